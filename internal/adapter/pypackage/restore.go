package pypackage

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// placed says where a thing is that was moved aside.
type placed int

const (
	lost  placed = iota
	lying        // aside
	back         // in the package, as it was
	inWay        // something else is in its place
)

func (p params) placeOf(m move) (placed, error) {
	name := filepath.Join(p.Root, m.Path)
	there, err := exists(name)
	if err != nil {
		return lost, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	if there {
		sum, err := digest(name)
		if err != nil {
			return lost, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
		}
		if sum == m.Digest {
			return back, nil
		}
		return inWay, nil
	}
	aside, err := exists(m.Slot)
	if err != nil {
		return lost, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	if aside {
		return lying, nil
	}
	return lost, nil
}

// lookRestored compares with what was before the step that is taken back.
func lookRestored(p params, k *kept) (rollback.Sight, error) {
	var missing []string
	for _, m := range p.Moves {
		at, err := p.placeOf(m)
		if err != nil {
			return rollback.Sight{}, err
		}
		if at != back {
			missing = append(missing, m.Path)
		}
	}
	same, err := p.initRestored()
	if err != nil {
		return rollback.Sight{}, err
	}
	if !same {
		missing = append(missing, p.Init)
	}
	s := rollback.Sight{State: Restored, Detail: "the package is as it was before"}
	if len(p.Moves) > 0 {
		s.Evidence = append(s.Evidence, rollback.Evidence{Item: rollback.ItemPkgAbsent, OK: false, Text: "put back: " + strings.Join(p.Directories, ", ")})
	}
	switch {
	case len(missing) > 0:
		s = rollback.Sight{State: Removed, Detail: "not as it was before: " + strings.Join(missing, ", ")}
	case k == nil || !k.Reinstalled:
		s.State, s.Detail = Unverified, "the files are back; the package was not reinstalled since"
	case p.VersionModule != "":
		s.Detail += fmt.Sprintf("; %s was %s and is %s", p.VersionModule, p.Before, k.After)
	}
	if k != nil && s.State != Restored {
		s.State = rollback.Partial
	}
	return s, nil
}

func (p params) initRestored() (bool, error) {
	if p.InitBefore == nil {
		return true, nil
	}
	c, err := readSmall(filepath.Join(p.Root, p.Init))
	if err != nil {
		return false, err
	}
	return c.Gone == p.InitBefore.Gone && bytes.Equal(c.Body, p.InitBefore.Body), nil
}

// restore puts everything back and reinstalls. Nothing is written over: what is in the
// way is a person's business.
func (w *worker) restore(ctx context.Context) error {
	if w.kept.Before == nil && w.VersionModule != "" {
		var err error
		if w.kept.Before, err = w.python.version(ctx, w.VersionModule); err != nil {
			return err
		}
		if err := w.keep(ctx); err != nil {
			return err
		}
	}
	w.keeper.Say("put back what was moved aside", 0, 2)
	for _, m := range slices.Backward(w.Moves) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.putBack(m); err != nil {
			return fmt.Errorf("put %s back: %w", m.Path, err)
		}
	}
	same, err := w.initRestored()
	if err != nil {
		return err
	}
	if !same {
		if err := w.restoreInit(); err != nil {
			return err
		}
	}
	if w.kept.Reinstalled {
		return nil
	}
	w.keeper.Say("reinstall", 1, 2)
	return w.reinstall(ctx)
}

func (w *worker) putBack(m move) error {
	if err := checkPlace(w.Root, m.Path); err != nil {
		return err
	}
	name := filepath.Join(w.Root, m.Path)
	at, err := w.placeOf(m)
	if err != nil {
		return err
	}
	switch at {
	case back:
		return nil
	case inWay:
		err := fmt.Errorf("%w: %s is there again, and is not what was moved aside", lockstep.ErrRefused, name)
		return lockstep.Hint(err, "compare it with "+m.Slot+", move one of them away, and go on")
	case lost:
		err := fmt.Errorf("%w: it is neither there nor in %s", lockstep.ErrNotFound, m.Slot)
		return lockstep.Hint(err, "take it from the reference branch")
	case lying:
	}
	if sum, err := digest(m.Slot); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	} else if sum != m.Digest {
		err := fmt.Errorf("%w: %s was changed while it lay aside", lockstep.ErrConflict, m.Slot)
		return lockstep.Hint(err, "look at it, and put it back by hand")
	}
	w.kept.Reinstalled = false
	if err := transfer(m.Slot, name); err != nil {
		return classed(err)
	}
	return nil
}

// restoreInit writes __init__.py as it was, if it is still as the rollback left it.
func (w *worker) restoreInit() error {
	ours, err := w.initIs()
	if err != nil {
		return err
	}
	if !ours {
		err := fmt.Errorf("%w: %s is neither what the rollback wrote nor what was before", lockstep.ErrRefused, w.Init)
		return lockstep.Hint(err, "git checkout <release> -- "+quoted(filepath.Join(w.Root, w.Init)))
	}
	w.kept.Reinstalled = false
	return w.InitBefore.write(filepath.Join(w.Root, w.Init))
}
