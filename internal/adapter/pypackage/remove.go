package pypackage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// worker is one Do.
type worker struct {
	params
	kept   *kept
	python python
	keeper rollback.Keeper
}

func (w *worker) keep(ctx context.Context) error {
	body, err := encode(w.kept)
	if err != nil {
		return err
	}
	return w.keeper.Keep(ctx, body)
}

// remove makes the package what it was at the rollback point. What it will do is kept
// before it is done.
func (w *worker) remove(ctx context.Context) error {
	if err := w.before(ctx); err != nil {
		return err
	}
	w.keeper.Say("move the migrated directories aside", 0, 3)
	if err := w.moveAll(ctx); err != nil {
		return err
	}
	if err := w.writeInit(ctx); err != nil {
		return err
	}
	if !w.kept.Reinstalled {
		w.keeper.Say("reinstall", 1, 3)
		if err := w.reinstall(ctx); err != nil {
			return err
		}
	}
	w.keeper.Say("try the imports", 2, 3)
	r, err := w.python.probe(ctx, w.Settings)
	if err != nil || len(r.wrong) == 0 {
		return err
	}
	w.kept.Reinstalled = false // once more, when somebody has seen to it
	err = fmt.Errorf("%w: the package is not what it must be: %s", lockstep.ErrRefused, r.text())
	return errors.Join(lockstep.Hint(err, "remove what is left of it, or correct must_import and must_fail, and go on"), w.keep(ctx))
}

// before records the version, the first time.
func (w *worker) before(ctx context.Context) error {
	for _, d := range w.Directories {
		if err := checkPlace(w.Root, d); err != nil {
			return err
		}
	}
	if w.Init != "" {
		if err := checkPlace(w.Root, w.Init); err != nil {
			return err
		}
	}
	if w.kept.Before != nil || w.VersionModule == "" {
		return nil
	}
	var err error
	if w.kept.Before, err = w.python.version(ctx, w.VersionModule); err != nil {
		return err
	}
	return w.keep(ctx)
}

// moveAll moves aside everything that must go.
func (w *worker) moveAll(ctx context.Context) error {
	for _, d := range w.Directories {
		if err := os.RemoveAll(filepath.Join(w.Root, discarded(d))); err != nil {
			return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
		}
	}
	left, err := w.present()
	if err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	for _, name := range left {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := checkPlace(w.Root, name); err != nil {
			return err
		}
		if err := w.moveAside(ctx, name); err != nil {
			return fmt.Errorf("move %s aside: %w", name, err)
		}
		// What is installed now has more than the package has.
		w.kept.Reinstalled = false
	}
	return w.forget(ctx)
}

// forget drops what was about to be moved and went by itself.
func (w *worker) forget(ctx context.Context) error {
	var gone []move
	for _, m := range w.kept.Moves {
		at, err := w.placeOf(m)
		if err != nil {
			return err
		}
		if at == lost {
			gone = append(gone, m)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	w.kept.Moves = slices.DeleteFunc(w.kept.Moves, func(m move) bool { return slices.Contains(gone, m) })
	return w.keep(ctx)
}

func (w *worker) moveAside(ctx context.Context, name string) error {
	from := filepath.Join(w.Root, name)
	sum, err := digest(from)
	if err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	m, intended, err := w.slotFor(name, sum)
	if err != nil {
		return err
	}
	there, err := exists(m.Slot)
	if err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	if there {
		// The same lies there: a copy to another file system that was killed before it
		// removed what it had copied.
		return discard(from)
	}
	if !intended {
		w.kept.Moves = append(w.kept.Moves, m)
		if err := w.keep(ctx); err != nil {
			return err
		}
	}
	if err := transfer(from, m.Slot); err != nil {
		return classed(err)
	}
	return nil
}

// slotFor is where a thing lies, or will: where an earlier Do was about to put it, or a
// new place.
func (w *worker) slotFor(name, sum string) (m move, intended bool, err error) {
	for _, m := range w.kept.Moves {
		if m.Path == name && m.Digest == sum {
			there, err := exists(m.Slot)
			if err != nil {
				return m, false, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
			}
			if !there {
				return m, true, nil
			}
			if is, err := digest(m.Slot); err == nil && is == sum {
				return m, true, nil
			}
		}
	}
	for n := 1; ; n++ {
		m = move{Path: name, Slot: w.slot(n, name), Digest: sum}
		taken, err := exists(m.Slot)
		if err != nil {
			return m, false, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
		}
		for _, other := range w.kept.Moves {
			taken = taken || other.Slot == m.Slot
		}
		if !taken {
			return m, false, nil
		}
	}
}

// writeInit gives __init__.py the content of the rollback point.
func (w *worker) writeInit(ctx context.Context) error {
	is, err := w.initIs()
	if err != nil || is {
		return err
	}
	name := filepath.Join(w.Root, w.Init)
	if !w.writable() {
		err := fmt.Errorf("%w: %s is not that of the rollback point, and its content there is not known", lockstep.ErrRefused, w.Init)
		return lockstep.Hint(err, "git checkout <rollback point> -- "+quoted(name))
	}
	was, err := readSmall(name)
	if err != nil {
		return err
	}
	if w.kept.Init == nil {
		w.kept.Init = was
	}
	w.kept.Reinstalled = false
	if err := w.keep(ctx); err != nil {
		return err
	}
	return (&content{Body: w.InitBody, Mode: was.Mode}).write(name)
}

// reinstall runs the command and records the version after it.
func (w *worker) reinstall(ctx context.Context) error {
	c := call{args: w.command(), dir: w.Root, timeout: w.Timeout}
	status, said, err := w.python.around.run(ctx, c)
	w.kept.Said = lastLines(said, 5)
	if err == nil && status != 0 {
		err = fmt.Errorf("%w: %s ended with status %d: %s", lockstep.ErrUnavailable, shown(c.args), status, w.kept.Said)
		err = lockstep.Hint(err, "run it by hand in "+quoted(w.Root)+" and go on")
	}
	if err != nil {
		return fmt.Errorf("reinstall: %w", err)
	}
	if w.kept.After, err = w.python.version(ctx, w.VersionModule); err != nil {
		return err
	}
	w.kept.Reinstalled = true
	return w.keep(ctx)
}

// classed gives an error of the file system a class, if it has none.
func classed(err error) error {
	for _, class := range []error{lockstep.ErrRefused, lockstep.ErrConflict, lockstep.ErrInvalid, lockstep.ErrUnavailable, lockstep.ErrNotFound} {
		if errors.Is(err, class) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
}
