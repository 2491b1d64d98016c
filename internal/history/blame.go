package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// BlameOptions bound a Blame.
type BlameOptions struct {
	Limit  int // writes; 0: 100
	Depth  int // versions to look through for a record that is not there any more; 0: 1000
	Schema change.Schema
}

// Write is one write of a record.
type Write struct {
	Version  uint64       `json:"version"`
	Kind     version.Kind `json:"kind,omitempty"`
	At       time.Time    `json:"at,omitzero"`
	Revision string       `json:"revision,omitempty"`
	Message  *Message     `json:"message,omitempty"`
	Change   Change       `json:"change,omitempty"`
	Fields   []FieldDiff  `json:"fields,omitempty"`
	// Retired says that this write is known only by name: retention removed what it
	// did and everything before it.
	Retired bool `json:"retired,omitempty"`
}

const (
	defaultWrites = 100
	defaultDepth  = 1000
)

// Blame returns the writes of one record as the view shows it, newest first: from
// image before to image before, until its creation or to where retention has cut.
// Of a record that is not there it looks for the deletion, backward along the line
// of states. ErrNotFound when no trace of it is found.
func Blame(ctx context.Context, log *version.Log, r *state.Reader, c lockstep.Collection, id string, opts BlameOptions) ([]Write, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opts.Limit == 0 {
		opts.Limit = defaultWrites
	}
	if opts.Depth == 0 {
		opts.Depth = defaultDepth
	}
	b := blamer{log: log, c: c, id: id, opts: opts}
	writes, err := b.run(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("blame %s %q: %w", c, id, err)
	}
	return writes, nil
}

type blamer struct {
	log  *version.Log
	c    lockstep.Collection
	id   string
	opts BlameOptions
	low  uint64
	out  []Write
}

func (b *blamer) run(ctx context.Context, r *state.Reader) ([]Write, error) {
	low, err := b.log.Ledger().Low(ctx)
	if err != nil {
		return nil, err
	}
	b.low = low
	_, author, found, err := r.Record(b.c, b.id)
	if err != nil {
		return nil, err
	}
	if !found {
		n, err := b.search(ctx, r.Version())
		if err != nil {
			return nil, err
		}
		author = lockstep.Author{Version: n}
	}
	for author.Version > 0 && len(b.out) < b.opts.Limit {
		if author, err = b.step(ctx, author); err != nil {
			return nil, err
		}
	}
	return b.out, nil
}

// search walks the line of states for the newest version that wrote the record.
func (b *blamer) search(ctx context.Context, n uint64) (uint64, error) {
	hint := "the record never was on this line of versions, as far as it is kept"
	for range b.opts.Depth {
		if n < max(b.low, 1) {
			return 0, lockstep.Hint(lockstep.ErrNotFound, hint)
		}
		e, err := b.log.Read(ctx, n)
		if err != nil {
			return 0, err
		}
		d, err := b.log.Delta(ctx, n)
		if errors.Is(err, version.ErrRetired) {
			return 0, lockstep.Hint(lockstep.ErrNotFound, hint)
		}
		if err != nil {
			return 0, err
		}
		if d != nil && b.last(d, len(d.Mutations)) >= 0 {
			return n, nil
		}
		n = e.Parent
	}
	return 0, lockstep.Hint(fmt.Errorf("%w in the last %d versions", lockstep.ErrNotFound, b.opts.Depth), "look deeper")
}

// last returns the last mutation of the record among the first n of d, -1 for none.
func (b *blamer) last(d *version.Delta, n int) int {
	for i := n - 1; i >= 0; i-- {
		if m := &d.Mutations[i]; m.Collection == b.c && m.ID == b.id {
			return i
		}
	}
	return -1
}

// step adds the writes that the author's version made and returns who wrote before,
// the zero Author at the end.
func (b *blamer) step(ctx context.Context, a lockstep.Author) (lockstep.Author, error) {
	cut := func() (lockstep.Author, error) {
		w := Write{Version: a.Version, Revision: a.Revision, Retired: true}
		if a.Message != "" {
			w.Message = &Message{ID: a.Message}
		}
		b.out = append(b.out, w)
		return lockstep.Author{}, nil
	}
	if a.Version < b.low {
		return cut()
	}
	e, err := b.log.Read(ctx, a.Version)
	if errors.Is(err, version.ErrRetired) {
		return cut()
	}
	if err != nil {
		return lockstep.Author{}, err
	}
	d, err := b.log.Delta(ctx, a.Version)
	if errors.Is(err, version.ErrRetired) {
		return cut()
	}
	if err != nil {
		return lockstep.Author{}, err
	}
	i := -1
	if d != nil {
		i = b.last(d, len(d.Mutations))
	}
	if i < 0 {
		return lockstep.Author{}, fmt.Errorf("version %d: %w: it is named as the writer and did not write", a.Version, lockstep.ErrCorrupt)
	}
	// A version may write a record more than once; each of them is one step.
	for {
		m := &d.Mutations[i]
		w, err := b.write(ctx, e, d, i)
		if err != nil {
			return lockstep.Author{}, err
		}
		b.out = append(b.out, w)
		before := b.last(d, i)
		switch {
		case len(b.out) >= b.opts.Limit:
			return lockstep.Author{}, nil
		case before >= 0:
			i = before
		case m.Before == nil:
			return lockstep.Author{}, nil
		case m.Author.Version >= a.Version:
			return lockstep.Author{}, fmt.Errorf("version %d: %w: it names version %d as the writer before it", a.Version, lockstep.ErrCorrupt, m.Author.Version)
		default:
			return m.Author, nil
		}
	}
}

func (b *blamer) write(ctx context.Context, e *version.Entry, d *version.Delta, i int) (Write, error) {
	m := &d.Mutations[i]
	diff, err := compare(m.Collection, m.ID, m.Before, m.After)
	if err != nil {
		return Write{}, fmt.Errorf("version %d: %w", e.Number, err)
	}
	w := Write{Version: e.Number, Kind: e.Kind, At: e.At, Revision: m.Revision, Change: diff.Change, Fields: diff.Fields}
	if m.Cause >= 0 {
		msg := messageOf(ctx, d, m.Cause, b.opts.Schema)
		w.Message = &msg
	}
	return w, nil
}
