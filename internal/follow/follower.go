package follow

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// Follower keeps one target in step with the log.
type Follower struct {
	Log    *version.Log
	Store  string // identity of the store
	Target Target
}

// Moved says what one Bring did.
type Moved struct {
	From, To uint64
	Full     bool // the target was written anew
	Records  int  // written or deleted
}

// Bring moves the target to the version that the view shows, forward or backward:
// by the net change of every record, or, when the target is new or the way there
// is not kept any more, by writing it anew. ErrDiverged when the target was written
// by somebody else; Repair then. On error the target holds what it held.
func (f *Follower) Bring(ctx context.Context, view *state.Reader) (Moved, error) {
	at, err := f.Target.Position(ctx)
	if err != nil {
		return Moved{}, err
	}
	to, specs, err := f.mark(ctx, view.Version())
	if err != nil {
		return Moved{}, err
	}
	moved := Moved{From: at.Version, To: to.Version}
	if at.Store == to.Store && at.Version == to.Version {
		return moved, agree(at, to)
	}
	if at.Version == 0 || at.Store != to.Store {
		return f.full(ctx, view, to, specs, moved)
	}
	nets, err := f.net(ctx, at, to)
	if errors.Is(err, lockstep.ErrNotFound) {
		return f.full(ctx, view, to, specs, moved)
	}
	if err != nil {
		return moved, err
	}
	step := Step{From: at, To: to, Collections: specs, Changes: counted(changes(nets), &moved.Records)}
	if err := f.Target.Apply(ctx, step); err != nil {
		return moved, fmt.Errorf("follower: version %d to %d: %w", at.Version, to.Version, err)
	}
	return moved, nil
}

// Repair writes the target anew, whatever it holds.
func (f *Follower) Repair(ctx context.Context, view *state.Reader) (Moved, error) {
	to, specs, err := f.mark(ctx, view.Version())
	if err != nil {
		return Moved{}, err
	}
	return f.full(ctx, view, to, specs, Moved{To: to.Version})
}

func (f *Follower) full(ctx context.Context, view *state.Reader, to Mark, specs []Spec, moved Moved) (Moved, error) {
	moved.Full = true
	step := Step{To: to, Full: true, Collections: specs, Changes: counted(everything(ctx, view, specs), &moved.Records)}
	if err := f.Target.Apply(ctx, step); err != nil {
		return moved, fmt.Errorf("follower: write version %d: %w", to.Version, err)
	}
	return moved, nil
}

// mark returns what a target at version n writes down about itself, and the
// published collections.
func (f *Follower) mark(ctx context.Context, n uint64) (Mark, []Spec, error) {
	m := Mark{Store: f.Store, Version: n, Digests: map[lockstep.Collection]string{}}
	if n == 0 {
		return m, nil, nil
	}
	e, err := f.Log.Read(ctx, n)
	if err != nil {
		return m, nil, err
	}
	var specs []Spec
	for _, c := range e.Collections {
		if c.Name.Builtin() {
			continue
		}
		m.Digests[c.Name] = c.Digest
		space := c.Space
		if space == "" {
			space = "l2"
		}
		specs = append(specs, Spec{Name: c.Name, Dimension: c.Dimension, Space: space})
	}
	return m, specs, nil
}

// net returns what lies between what the target says it holds and where it shall go.
func (f *Follower) net(ctx context.Context, at, to Mark) ([]version.Net, error) {
	held, _, err := f.mark(ctx, at.Version)
	if err != nil {
		return nil, err
	}
	if err := agree(at, held); err != nil {
		return nil, err
	}
	path, err := f.Log.Path(ctx, at.Version, to.Version)
	if err != nil {
		return nil, err
	}
	return f.Log.NetChanges(ctx, path)
}

// agree returns ErrDiverged when a follower's mark states other digests than the log
// does for the same version.
func agree(at, held Mark) error {
	for c, digest := range at.Digests {
		if held.Digests[c] != digest {
			return lockstep.Hint(
				fmt.Errorf("follower says it holds version %d with digest %s of %s, the log says %s: %w", at.Version, version.Short(digest), c, version.Short(held.Digests[c]), ErrDiverged),
				`"lockstep follow --repair" writes it anew`)
		}
	}
	return nil
}

func counted(seq iter.Seq2[Change, error], n *int) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for c, err := range seq {
			if err == nil {
				*n++
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// changes turns net changes into steps of the published collections.
func changes(nets []version.Net) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for i := range nets {
			if nets[i].Collection.Builtin() {
				continue
			}
			if !yield(changeOf(&nets[i])) {
				return
			}
		}
	}
}

func changeOf(n *version.Net) (Change, error) {
	c := Change{Collection: n.Collection, Record: lockstep.Record{ID: n.ID}, New: n.Before == nil, Delete: n.After == nil}
	if c.Delete {
		return c, nil
	}
	var err error
	if c.Record, err = version.DecodeRecord(n.ID, n.After); err != nil {
		return c, err
	}
	var before lockstep.Record
	if n.Before != nil {
		if before, err = version.DecodeRecord(n.ID, n.Before); err != nil {
			return c, err
		}
	}
	if before.Vector == c.Record.Vector {
		return c, nil
	}
	if version.RefOf(n.Vector) != c.Record.Vector {
		return c, fmt.Errorf("%s %q: %w: the deltas do not hold the vector its record names", n.Collection, n.ID, lockstep.ErrCorrupt)
	}
	c.Vector = version.VectorOf(n.Vector)
	return c, nil
}

// everything yields all published records of the view, with their vectors.
func everything(ctx context.Context, view *state.Reader, specs []Spec) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for _, s := range specs {
			stop := errors.New("stopped")
			err := view.Scan(ctx, s.Name, "", func(row state.Row) error {
				c := Change{Collection: s.Name, New: true}
				var err error
				if c.Record, err = version.DecodeRecord(string(row.ID), row.Record); err != nil {
					return err
				}
				v, err := view.Vector(ctx, s.Name, c.Record.ID, c.Record.Vector)
				if err != nil {
					return err
				}
				c.Vector = version.VectorOf(v)
				if !yield(c, nil) {
					return stop
				}
				return nil
			})
			if errors.Is(err, stop) {
				return
			}
			if err != nil {
				yield(Change{}, err)
				return
			}
		}
	}
}
