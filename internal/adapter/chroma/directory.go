// Package chroma keeps a copy of the index in Chroma's own storage.
//
// The question it answers: how does a real ChromaDB directory come to hold
// version V, completely, without Chroma's help and without a reader ever seeing
// half of it? Directory writes rows (records, metadata, full text, and queue rows
// from which Chroma builds its own HNSW graph: CHROMA 5.9, 5.14, 5.15) into a copy
// beside the published directory, checks it, and switches one name.
//
// It promises: a step is taken as a whole or not at all; which version a
// directory holds is written in the same SQLite transaction as the records; what
// others wrote is noticed and never overwritten silently. It never writes the
// files of a vector segment, never runs a migration, and carries no text of
// Chroma's schema: an empty directory comes from the user's own Chroma
// (MakeTemplate). docs/format/follower.md states every table it touches.
package chroma

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

var _ follow.Target = (*Directory)(nil)

// DefaultKeep is how many previously published directories stay when
// Options.Keep is 0.
const DefaultKeep = 2

// Options says how a Directory is built. The zero value works for a root that
// already holds a directory; a first build needs a Template.
type Options struct {
	// Template says where an empty Chroma directory comes from.
	Template Template
	// Keep is how many previously published directories stay beside the current
	// one; 0 means DefaultKeep, below 0 none. One that a process holds open stays
	// in any case.
	Keep int
	// InPlace edits the published directory in one SQLite transaction instead of
	// building beside it. A step then costs what it changes and not the size of the
	// directory, but readers must have closed it, there is no earlier directory to
	// look at, and the whole-file check is left out. A Full step is always built beside.
	InPlace bool
}

// Directory is a follower: a Chroma directory under root, published as
// root/current. It holds no file open between calls and may be used by several
// goroutines and processes; a lock file lets one step happen at a time.
type Directory struct {
	root string
	opts Options
}

// OpenDirectory names the follower under root, which Apply creates when it is
// missing. It touches nothing. ErrInvalid when root is empty.
func OpenDirectory(root string, opts Options) (*Directory, error) {
	if root == "" {
		return nil, fmt.Errorf("%w follower directory: empty path", lockstep.ErrInvalid)
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open follower %s: %w", root, err)
	}
	if opts.Keep == 0 {
		opts.Keep = DefaultKeep
	}
	return &Directory{root: abs, opts: opts}, nil
}

// Position says which version the published directory holds: the zero Mark when
// nothing was ever published. follow.ErrDiverged, with the Mark that was last
// written, when somebody else wrote since; lockstep.ErrUnavailable when another
// process keeps the database locked. Nothing is changed.
func (d *Directory) Position(ctx context.Context) (follow.Mark, error) {
	if err := ctx.Err(); err != nil {
		return follow.Mark{}, err
	}
	dir, err := d.current()
	if err != nil || dir == "" {
		return follow.Mark{}, err
	}
	db, err := openDatabase(ctx, dir)
	if err != nil {
		return follow.Mark{}, fmt.Errorf("position of %s: %w", d.root, err)
	}
	defer db.close()
	note, err := checkHeld(ctx, db)
	return note.mark(), err
}

// Apply takes one step; follow.Target says what it means. A step that is not Full
// is refused with lockstep.ErrConflict when the follower does not hold step.From,
// with follow.ErrDiverged when somebody else wrote to it, and with
// lockstep.ErrRefused when a process has the published directory open. After any
// error root/current is what it was, unless the very last act, switching the
// name, has an unknown outcome: Position then tells.
func (d *Directory) Apply(ctx context.Context, step follow.Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkStep(step); err != nil {
		return err
	}
	unlock, err := lockRoot(d.root)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.removeUnfinished(); err != nil {
		return err
	}
	current, err := d.current()
	if err != nil {
		return err
	}
	switch {
	case step.Full:
		err = d.build(ctx, step)
	case current == "" && step.From.Version != 0:
		err = fmt.Errorf("%w: %s was never written, the step starts at version %d", lockstep.ErrConflict, d.root, step.From.Version)
	case current == "":
		err = d.build(ctx, step)
	case d.opts.InPlace:
		err = d.editInPlace(ctx, current, step)
	default:
		err = d.editBeside(ctx, current, step)
	}
	if err != nil {
		return fmt.Errorf("apply version %d to %s: %w", step.To.Version, d.root, err)
	}
	return nil
}

// checkHeld reads the mark of an open directory and compares what the directory
// holds with what we last wrote there.
func checkHeld(ctx context.Context, db *database) (note, error) {
	if _, err := readStructure(ctx, db); err != nil {
		return note{}, err
	}
	n, err := readNote(ctx, db)
	if errors.Is(err, lockstep.ErrNotFound) {
		err = fmt.Errorf("%w: %s was not written by lockstep", follow.ErrDiverged, db.dir)
		return note{}, lockstep.Hint(err, "a Full step builds the index beside it and publishes that instead; the directory itself stays")
	}
	if err != nil {
		return note{}, err
	}
	return n, checkDrift(ctx, db, n.Held)
}

// build makes a directory from the template and publishes it.
func (d *Directory) build(ctx context.Context, step follow.Step) error {
	tmpl, err := d.template(ctx)
	if err != nil {
		return err
	}
	b, err := d.newBuild(step.To.Version)
	if err != nil {
		return err
	}
	defer b.discard()
	if err := copyFile(filepath.Join(tmpl.dir, databaseName), filepath.Join(b.dir, databaseName)); err != nil {
		return err
	}
	if err := b.write(ctx, step, tmpl.forms); err != nil {
		return err
	}
	return d.publish(b)
}

// editBeside copies the current directory, edits the copy and publishes it.
func (d *Directory) editBeside(ctx context.Context, current string, step follow.Step) error {
	b, err := d.newBuild(step.To.Version)
	if err != nil {
		return err
	}
	defer b.discard()
	if err := copyCurrent(ctx, current, b.dir, step.From); err != nil {
		return err
	}
	forms, err := d.formsFor(ctx, b.dir, step)
	if err != nil {
		return err
	}
	if err := b.write(ctx, step, forms); err != nil {
		return err
	}
	// Whoever opened it meanwhile may have been writing segment files while we
	// copied them.
	if err := refuseHolders(current); err != nil {
		return err
	}
	return d.publish(b)
}

// copyCurrent copies the published directory while its database is locked, after
// checking that it holds from and nothing else.
func copyCurrent(ctx context.Context, current, to string, from follow.Mark) error {
	if err := refuseHolders(current); err != nil {
		return err
	}
	db, err := openDatabase(ctx, current)
	if err != nil {
		return err
	}
	defer db.close()
	if err := db.lock(ctx); err != nil {
		return err
	}
	n, err := checkHeld(ctx, db)
	if err != nil {
		return err
	}
	if err := checkFrom(n.mark(), from); err != nil {
		return err
	}
	keep, err := segmentFolders(ctx, db)
	if err != nil {
		return err
	}
	return copyDirectory(ctx, current, to, keep)
}

// editInPlace edits the published directory itself, in one transaction.
func (d *Directory) editInPlace(ctx context.Context, current string, step follow.Step) error {
	if err := refuseHolders(current); err != nil {
		return err
	}
	forms, err := d.formsFor(ctx, current, step)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, current)
	if err != nil {
		return err
	}
	defer db.close()
	if err := db.exec(ctx, "PRAGMA synchronous = FULL"); err != nil {
		return err
	}
	if err := db.lock(ctx); err != nil {
		return err
	}
	n, err := checkHeld(ctx, db)
	if err != nil {
		return err
	}
	if err := checkFrom(n.mark(), step.From); err != nil {
		return err
	}
	return takeStep(ctx, db, step, forms)
}
