package contract

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

func describes(_ context.Context, s subject) error {
	d := s.Describe()
	if err := d.Check(); err != nil {
		return err
	}
	if diff := difference(d, s.Describe()); diff != "" {
		return fmt.Errorf("two answers differ (first / second): %s", diff)
	}
	if a, b := handler.NewRevision(s.Handler).Hash, handler.NewRevision(s.Handler).Hash; a != b {
		return fmt.Errorf("two hashes: %s and %s", a, b)
	}
	return nil
}

// index returns an empty index that h fills at the clock of the checks.
func (s subject) index(h handler.Handler) *Index {
	x := NewIndex(h, s.Source)
	x.Now = start
	return x
}

func plans(ctx context.Context, s subject) error {
	w := &witness{Handler: s.Handler, clockKeys: s.ClockKeys}
	x, y := s.index(w), s.index(w)
	for _, run := range []struct {
		x     *Index
		batch int
	}{{x, 1}, {x, len(s.Messages)}, {y, 25}} {
		if err := fold(ctx, run.x, s.Messages, run.batch); err != nil {
			w.add("batches of %d: %w", run.batch, err)
			break
		}
	}
	if w.mutations == 0 && w.count == 0 {
		w.add("the fixture causes no mutation, so nothing was checked")
	}
	return w.err()
}

func cancels(ctx context.Context, s subject) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	x := NewIndex(s.Handler, s.Source)
	for _, m := range s.Messages {
		outcomes, err := x.Apply(ended, m)
		if err == nil && outcomes[0] == lockstep.Ignored {
			continue
		}
		if !errors.Is(err, context.Canceled) {
			return fmt.Errorf("message %s: %w, want context.Canceled", m.ID, orNil(err))
		}
		_, err = s.Plan(ended, handler.Unit{Messages: []lockstep.Message{m}})
		if !errors.Is(err, context.Canceled) {
			return fmt.Errorf("plan of message %s: %w, want context.Canceled", m.ID, orNil(err))
		}
		return nil
	}
	return errors.New("every message is ignored by rule, so nothing was checked")
}

var errNone = errors.New("no error")

func orNil(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

func ignores(ctx context.Context, s subject) error {
	for _, entity := range []string{"", "NOT_AN_ENTITY"} {
		for _, m := range s.Messages {
			m.Change.Entity = entity
			unit := handler.Unit{Messages: []lockstep.Message{m}, Now: start}
			if r := s.Reads(unit.Messages); len(r.Imports) > 0 {
				return fmt.Errorf("entity %q: message %s asks for %d imports", entity, m.ID, len(r.Imports))
			}
			muts, err := s.Plan(ctx, unit)
			if err != nil {
				return fmt.Errorf("entity %q: message %s causes an error: %w", entity, m.ID, err)
			}
			if len(muts) > 0 {
				return fmt.Errorf("entity %q: message %s causes %d mutations", entity, m.ID, len(muts))
			}
		}
	}
	return nil
}

func redelivers(ctx context.Context, s subject) error {
	x := s.index(s.Handler)
	if err := fold(ctx, x, s.Messages, 10); err != nil {
		return err
	}
	before := x.State()
	x.Now = start.Add(time.Hour)
	outcomes, err := x.Apply(ctx, s.Messages...)
	if err != nil {
		return err
	}
	var c complaints
	for i, o := range outcomes {
		if o == lockstep.Applied {
			c.add("message %s was applied twice", s.Messages[i].ID)
		}
	}
	if diff := difference(before, x.State()); diff != "" {
		c.add("the second delivery changed the index (first / second): %s", diff)
	}
	return c.err()
}

// buries removes every item there is, last to first, and expects neither an error
// nor a parked message.
func buries(ctx context.Context, s subject) error {
	w := &witness{Handler: s.Handler, clockKeys: s.ClockKeys}
	x := s.index(w)
	if err := fold(ctx, x, s.Messages, 50); err != nil {
		return err
	}
	seq := highest(s.Messages)
	var graves []lockstep.Message
	for _, id := range sortedKeys(x.Items) {
		it := x.Items[id]
		if it.Image == nil {
			continue
		}
		seq = next(seq)
		graves = append(graves, lockstep.Message{
			ID: "grave-" + string(seq), Group: it.Key.Partition, Source: "suite",
			Change: lockstep.Change{Key: it.Key, Event: lockstep.Remove, Entity: it.Entity, Seq: seq, Old: it.Image, At: start},
		})
	}
	slices.Reverse(graves)
	parked := len(x.Parked)
	if err := fold(ctx, x, graves, 7); err != nil {
		return err
	}
	for _, m := range x.Parked[parked:] {
		w.add("the removal of %s was parked", m.Change.Key)
	}
	for _, m := range graves {
		if it := x.Items[m.Change.Key.RecordID()]; it.Image != nil && it.Seq == m.Change.Seq {
			w.add("%s is still there", m.Change.Key)
		}
	}
	return w.err()
}

// batches compares one message at a time with one batch of all: a convergent
// handler must not tell them apart, any other must at least take both.
func batches(ctx context.Context, s subject) error {
	one, all := s.index(s.Handler), s.index(s.Handler)
	if err := fold(ctx, one, s.Messages, 1); err != nil {
		return fmt.Errorf("one by one: %w", err)
	}
	if err := fold(ctx, all, s.Messages, len(s.Messages)); err != nil {
		return fmt.Errorf("all at once: %w", err)
	}
	var c complaints
	if diff := difference(one.Items, all.Items); diff != "" {
		c.add("mirror (one by one / all at once): %s", diff)
	}
	if s.Convergent {
		if diff := difference(one.State(), all.State()); diff != "" {
			c.add("index (one by one / all at once): %s", diff)
		}
	}
	return c.err()
}

// converges tries other orders, batches and repetitions. Each is decided by Seed and its
// number, so that a report can be looked into again.
func converges(ctx context.Context, s subject) error {
	x := s.index(s.Handler)
	if err := fold(ctx, x, s.Messages, 1); err != nil {
		return err
	}
	want := x.State()
	orders := s.Orders
	if orders <= 0 {
		orders = defaultOrders
	}
	for n := range orders {
		r := rand.New(rand.NewPCG(s.Seed, uint64(n)))
		y := s.index(s.Handler)
		y.Now = start.Add(time.Duration(r.IntN(1e6)) * time.Second)
		messages := slices.Clone(s.Messages)
		r.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
		for range r.IntN(21) {
			messages = append(messages, messages[r.IntN(len(s.Messages))])
		}
		if err := fold(ctx, y, messages, 1+r.IntN(40)); err != nil {
			return fmt.Errorf("order %d of seed %d: %w", n, s.Seed, err)
		}
		if diff := difference(want, y.State()); diff != "" {
			return fmt.Errorf("order %d of seed %d ends elsewhere (stream order / this order): %s", n, s.Seed, diff)
		}
	}
	return nil
}
