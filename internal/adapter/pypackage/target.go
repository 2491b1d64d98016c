package pypackage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lockstep/internal/durable"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// Name is the name under which steps know Target.
const Name = "package"

// The states of a step, beside rollback.Partial.
const (
	Present    = "present"    // what must be gone is there, or __init__.py is another
	Unverified = "unverified" // the files are right; nobody has reinstalled them
	Removed    = "removed"    // all of it is as it must be, and the imports say so
	Restored   = "restored"   // all of it is again as it was before the step
)

// Options are what targets are made of.
type Options struct {
	// Lookup answers for PATH, HOME and the variables that settings name.
	Lookup func(name string) (string, bool)
}

// Target takes a Python package back.
type Target struct{ opts Options }

var _ rollback.Target = (*Target)(nil)

// New returns the target. It runs nothing.
func New(o Options) *Target { return &Target{o} }

func (t *Target) python(p params) python {
	return python{p.Python, surround(p.Env, t.opts.Lookup)}
}

// Look compares the files, and when they are right and reinstalled asks the interpreter
// for every import. It writes nothing to the package. ErrNotFound: no package or no
// interpreter. ErrUnavailable: a file cannot be read, or the interpreter does not answer.
func (t *Target) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	if err := ctx.Err(); err != nil {
		return rollback.Sight{}, err
	}
	p, k, err := read(at)
	if err != nil {
		return rollback.Sight{}, err
	}
	if err := checkRoot(p.Root); err != nil {
		return rollback.Sight{}, fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	var s rollback.Sight
	if p.Restore {
		s, err = lookRestored(p, k)
	} else {
		s, err = t.lookRemoved(ctx, p, k)
	}
	if err != nil {
		return rollback.Sight{}, fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	return s, nil
}

func (t *Target) lookRemoved(ctx context.Context, p params, k *kept) (rollback.Sight, error) {
	left, err := p.present()
	if err != nil {
		return rollback.Sight{}, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	init, err := p.initIs()
	if err != nil {
		return rollback.Sight{}, err
	}
	var s rollback.Sight
	if len(p.Directories) > 0 {
		s.Evidence = append(s.Evidence, absence(p, k, left))
	}
	if p.InitHash != "" {
		e := rollback.Evidence{Item: rollback.ItemPkgInit, OK: init, Text: p.Init + " is not that of the rollback point"}
		if init {
			e.Text = p.Init + " is that of the rollback point, sha256:" + p.InitHash[:12]
		}
		s.Evidence = append(s.Evidence, e)
	}
	if k != nil && k.Reinstalled {
		s.Evidence = append(s.Evidence, rollback.Evidence{Item: rollback.ItemPkgInstall, OK: true, Text: reinstalled(p, k)})
	}
	switch {
	case len(left) > 0:
		s.State, s.Detail = Present, "there is still "+strings.Join(left, ", ")
	case !init:
		s.State, s.Detail = Present, p.Init+" is not that of the rollback point"
	case k == nil || !k.Reinstalled:
		s.State, s.Detail = Unverified, "the files are right; the package was not reinstalled since"
	default:
		r, err := t.python(p).probe(ctx, p.Settings)
		if err != nil {
			return rollback.Sight{}, err
		}
		if r.tried > 0 {
			s.Evidence = append(s.Evidence, rollback.Evidence{Item: rollback.ItemPkgImports, OK: len(r.wrong) == 0, Text: r.text()})
		}
		if s.State, s.Detail = Removed, r.text(); len(r.wrong) > 0 {
			s.State = Unverified
		}
	}
	if k != nil && s.State != Removed {
		s.State = rollback.Partial
	}
	return s, nil
}

func absence(p params, k *kept, left []string) rollback.Evidence {
	e := rollback.Evidence{Item: rollback.ItemPkgAbsent, OK: len(left) == 0, Text: strings.Join(p.Directories, ", ") + " absent"}
	if !e.OK {
		e.Text = "still there: " + strings.Join(left, ", ")
	} else if k != nil && len(k.Moves) > 0 {
		e.Link = p.aside()
	}
	return e
}

func reinstalled(p params, k *kept) string {
	text := "reinstalled by " + shown(p.command())
	if p.VersionModule != "" {
		text += fmt.Sprintf("; %s was %s and is %s", p.VersionModule, k.Before, k.After)
	}
	return text
}

// initIs says whether __init__.py is that of the rollback point, where one is known.
func (p params) initIs() (bool, error) {
	if p.InitHash == "" {
		return true, nil
	}
	c, err := readSmall(filepath.Join(p.Root, p.Init))
	if err != nil {
		return false, err
	}
	return !c.Gone && hash(c.Body) == p.InitHash, nil
}

// readSmall reads an __init__.py.
func readSmall(name string) (*content, error) {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &content{Gone: true}, nil
	case err != nil:
		return nil, fmt.Errorf("%w: look at %s: %w", lockstep.ErrUnavailable, name, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is no regular file", lockstep.ErrRefused, name)
	case info.Size() > maxInit:
		return nil, fmt.Errorf("%w: %s has %d bytes, more than %d", lockstep.ErrRefused, name, info.Size(), maxInit)
	}
	body, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", lockstep.ErrUnavailable, name, err)
	}
	return &content{Body: body, Mode: info.Mode().Perm()}, nil
}

// write makes a file what it was, with its rights.
func (c *content) write(name string) error {
	if c.Gone {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: remove %s: %w", lockstep.ErrUnavailable, name, err)
		}
		return durable.SyncDir(filepath.Dir(name))
	}
	if err := durable.Replace(name, c.Body); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	if c.Mode == 0 {
		return nil
	}
	if err := os.Chmod(name, c.Mode); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	return nil
}

// Do removes, reinstalls and asks, or puts back and reinstalls. An error leaves what was
// done so far, which is journalled; the next Do goes on. ErrRefused: a path that is a
// link, a content that is not known, imports that are not as they must be: a person has
// to look. ErrUnavailable: the reinstall failed. ErrNotFound: no package or no program.
func (t *Target) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, k, err := read(at)
	if err != nil {
		return err
	}
	if err := checkRoot(p.Root); err != nil {
		return fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	if k == nil {
		k = &kept{}
	}
	w := &worker{params: p, kept: k, python: t.python(p), keeper: keep}
	if p.Restore {
		err = w.restore(ctx)
	} else {
		err = w.remove(ctx)
	}
	if err != nil {
		return fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	return nil
}

// Undo returns the step that puts back what this one has moved and written, or removes
// again what that has put back. nil: nothing was changed.
func (*Target) Undo(_ context.Context, at rollback.At) (*rollback.Step, error) {
	p, k, err := read(at)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, nil //nolint:nilnil // the contract: there is nothing to take back
	}
	if p.Restore {
		p.Restore, p.Moves, p.InitBefore, p.Before = false, nil, nil, nil
		return p.step(turned(at.Step.ID))
	}
	p.Restore, p.InitBefore, p.Before = true, k.Init, k.Before
	for _, m := range k.Moves {
		// What came into the same place later was not there before the step.
		if !slices.ContainsFunc(p.Moves, func(first move) bool { return first.Path == m.Path }) {
			p.Moves = append(p.Moves, m)
		}
	}
	return p.step(turned(at.Step.ID))
}
