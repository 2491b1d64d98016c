package follow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// held is one record of the target.
type held struct {
	image  string // canonical record, its vector by reference
	vector string // as version.AppendVector makes it
}

type contents map[lockstep.Collection]map[string]held

// memory is a follower in memory that believes nothing: a step that does not fit what
// it holds, exactly, is refused as a whole.
type memory struct {
	mark     follow.Mark
	records  contents
	last     follow.Step
	changes  int
	failing  error // of the next Apply
	tampered func([]follow.Stored) []follow.Stored
}

func (m *memory) Position(ctx context.Context) (follow.Mark, error) { return m.mark, ctx.Err() }

var errStrict = errors.New("the step does not fit")

func (m *memory) Apply(ctx context.Context, step follow.Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	next := contents{}
	if !step.Full {
		if step.From.Store != m.mark.Store || step.From.Version != m.mark.Version || !maps.Equal(step.From.Digests, m.mark.Digests) {
			return fmt.Errorf("%w: it begins at %+v, here is %+v", errStrict, step.From, m.mark)
		}
		for c, records := range m.records {
			next[c] = maps.Clone(records)
		}
	}
	seen := map[string]bool{}
	for c, err := range step.Changes {
		if err != nil {
			return err
		}
		key := fmt.Sprintf("%s\x00%s", c.Collection, c.Record.ID)
		if c.Collection.Builtin() || seen[key] {
			return fmt.Errorf("%w: %s %q is built in or changed twice", errStrict, c.Collection, c.Record.ID)
		}
		seen[key] = true
		if next[c.Collection] == nil {
			next[c.Collection] = map[string]held{}
		}
		if err := change(next[c.Collection], c); err != nil {
			return fmt.Errorf("%w: %s %q: %w", errStrict, c.Collection, c.Record.ID, err)
		}
	}
	if m.failing != nil {
		return m.failing
	}
	for c, records := range next {
		known := slices.ContainsFunc(step.Collections, func(s follow.Spec) bool { return s.Name == c })
		if !known && len(records) > 0 {
			return fmt.Errorf("%w: %d records are left of %s, which is gone", errStrict, len(records), c)
		}
		if !known {
			delete(next, c)
		}
	}
	m.mark, m.records, m.last, m.changes = step.To, next, step, len(seen)
	return nil
}

func change(records map[string]held, c follow.Change) error {
	old, had := records[c.Record.ID]
	if c.New == had {
		return fmt.Errorf("new %t, there %t", c.New, had)
	}
	if c.Delete {
		delete(records, c.Record.ID)
		return nil
	}
	now := held{image: string(version.AppendRecord(nil, &c.Record)), vector: old.vector}
	if c.Vector != nil {
		now.vector = string(version.AppendVector(nil, c.Vector))
		if had && now.vector == old.vector {
			return errors.New("a vector that did not change")
		}
	}
	if version.RefOf([]byte(now.vector)) != c.Record.Vector {
		return errors.New("another vector than its record names")
	}
	if had && now == old {
		return errors.New("nothing changed")
	}
	records[c.Record.ID] = now
	return nil
}

func (m *memory) Records(ctx context.Context, c lockstep.Collection) iter.Seq2[follow.Stored, error] {
	var all []follow.Stored
	for id, h := range m.records[c] { // in any order, as the contract says
		rec, err := version.DecodeRecord(id, []byte(h.image))
		if err != nil {
			panic(err)
		}
		rec.Vector.Hash = [32]byte{}
		all = append(all, follow.Stored{Record: rec, Vector: version.VectorOf(bytes.Clone([]byte(h.vector)))})
	}
	if m.tampered != nil {
		all = m.tampered(all)
	}
	return func(yield func(follow.Stored, error) bool) {
		for _, s := range all {
			if !yield(s, ctx.Err()) {
				return
			}
		}
	}
}
