package simtest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// target is a follower in memory: what it holds outlives the process that feeds it.
type target struct {
	a       *actor
	mark    follow.Mark
	records map[rowKey]follow.Stored
}

var _ follow.Target = (*target)(nil)

func (t *target) Position(context.Context) (follow.Mark, error) { return t.mark, nil }

func (t *target) Apply(_ context.Context, step follow.Step) error {
	v := t.a.at("apply", fmt.Sprint(step.To.Version))
	if v == failBefore {
		return weather("apply", "the step")
	}
	next := maps.Clone(t.records)
	if step.Full {
		next = map[rowKey]follow.Stored{}
	}
	for c, err := range step.Changes {
		if err != nil {
			return err
		}
		k := rowKey{c.Collection, c.Record.ID}
		old, had := next[k]
		if c.New == had {
			t.a.w.violated(fmt.Errorf("follower: step from %d to %d says new=%t of %v, which it has=%t", step.From.Version, step.To.Version, c.New, k, had))
		}
		if c.Delete {
			delete(next, k)
			continue
		}
		if c.Vector == nil {
			c.Vector = old.Vector
		}
		next[k] = follow.Stored{Record: c.Record, Vector: c.Vector}
	}
	t.mark, t.records = step.To, next
	if v == loseAnswer {
		return weather("apply", "the step")
	}
	if v == killAfter {
		panic(killed{})
	}
	return nil
}

func (t *target) Records(_ context.Context, c lockstep.Collection) iter.Seq2[follow.Stored, error] {
	return func(yield func(follow.Stored, error) bool) {
		for _, k := range slices.SortedFunc(maps.Keys(t.records), rowKey.compare) {
			if k.c == c && !yield(t.records[k], nil) {
				return
			}
		}
	}
}

// follower is the script of a process that keeps the target at some version, old or new.
func (a *actor) follower() {
	if a.target == nil {
		a.target = &target{a: a, records: map[rowKey]follow.Stored{}}
	}
	st, err := a.openState()
	if err != nil {
		a.w.violated(fmt.Errorf("%s: %w", a.name, err))
		return
	}
	log := a.openLog()
	f := &follow.Follower{Log: log, Store: "simulated", Target: a.target}
	for a.w.err == nil {
		a.at("idle", "")
		a.begunCalm = a.w.calm
		w, head := a.w, a.w.witness.head().n
		if head == 0 || !w.calm && w.chance(60) {
			continue
		}
		if !w.calm && w.chance(2) {
			break
		}
		to := head
		if !w.calm && w.chance(50) {
			to = 1 + uint64(w.rng.IntN(int(head)))
		}
		ctx, done := a.operation()
		if a.done("move to a version", st.MoveTo(ctx, log, to)) {
			a.bring(ctx, f)
		}
		done()
	}
	a.open = nil
	if err := st.Close(); err != nil {
		a.w.violated(fmt.Errorf("%s: %w", a.name, err))
	}
	a.well = true
}

// bring takes one step and reads the follower back (invariant 6).
func (a *actor) bring(ctx context.Context, f *follow.Follower) {
	w := a.w
	view, err := a.open.Read()
	if err != nil {
		w.violated(err)
		return
	}
	defer func() {
		if err := view.Close(); err != nil {
			w.violated(err)
		}
	}()
	if _, err := f.Bring(ctx, view); !a.done("bring", err) {
		return
	}
	w.count.brought++
	if err := w.witness.sameFollower(a.target); err != nil {
		w.violated(fmt.Errorf("follower at version %d: %w", a.target.mark.Version, err))
		return
	}
	verdicts, err := f.Verify(ctx, view)
	if !a.done("verify", err) {
		return
	}
	for _, v := range verdicts {
		if !v.Equal {
			w.violated(fmt.Errorf("follower at version %d: %+v", a.target.mark.Version, v))
		}
	}
	w.settled[a.name] = a.target.mark.Version
}

// sameFollower compares what the follower holds with what the version was, and the
// digests anew from its records.
func (x *witness) sameFollower(t *target) error {
	s := x.versions[t.mark.Version]
	for _, c := range s.entry.Collections {
		if c.Name.Builtin() {
			continue
		}
		var h version.Hasher
		var sum version.Sum
		n := int64(0)
		for k, got := range t.records {
			if k.c != c.Name {
				continue
			}
			got.Record.Vector = version.RefOf(version.AppendVector(nil, got.Vector))
			h.Add(&sum, k.id, version.AppendRecord(nil, &got.Record))
			n++
		}
		if n != c.Records || sum.Digest() != c.Digest {
			return fmt.Errorf("%s: %d records with digest %s, the version has %d with %s", c.Name, n, version.Short(sum.Digest()), c.Records, version.Short(c.Digest))
		}
	}
	for k := range t.records {
		if _, ok := s.rows[k]; !ok {
			return fmt.Errorf("%v is in the follower only", k)
		}
	}
	return nil
}

// rowKey names one record.
type rowKey struct {
	c  lockstep.Collection
	id string
}

func (k rowKey) compare(l rowKey) int {
	if k.c != l.c {
		return strings.Compare(string(k.c), string(l.c))
	}
	return strings.Compare(k.id, l.id)
}
