package handlertest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Fixture is the input on which a handler is judged.
type Fixture struct {
	Messages []lockstep.Message // in stream order; enough to reach every entity and event
	Source   ImportSource
	// ClockKeys are the metadata keys that may follow Unit.Now.
	ClockKeys []string
	// Convergent promises that any order of arrival, any batches and any repetition
	// of Messages end in one state. Sequence numbers then must be unique per item.
	Convergent bool
}

// Run checks that h keeps the contract of package handler on the fixture.
func Run(t *testing.T, h handler.Handler, f Fixture) {
	t.Helper()
	if len(f.Messages) == 0 {
		t.Fatal("the fixture has no messages, so nothing would be checked")
	}
	t.Run("description is valid and stable", func(t *testing.T) { describes(t, h) })
	t.Run("every unit is planned purely", func(t *testing.T) { plans(t, h, f) })
	t.Run("a cancelled context ends the plan", func(t *testing.T) { cancels(t, h, f) })
	t.Run("unknown entities cause nothing", func(t *testing.T) { ignores(t, h, f) })
	t.Run("redelivery changes nothing", func(t *testing.T) { redelivers(t, h, f) })
	t.Run("tombstones are handled", func(t *testing.T) { buries(t, h, f) })
	t.Run("batches do not matter more than the clock", func(t *testing.T) { batches(t, h, f) })
	if f.Convergent {
		t.Run("order and repetition do not matter", func(t *testing.T) { converges(t, h, f) })
	}
}

func describes(t *testing.T, h handler.Handler) {
	d := h.Describe()
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, h.Describe()); diff != "" {
		t.Errorf("two answers differ (-first +second):\n%s", diff)
	}
	if a, b := handler.NewRevision(h).Hash, handler.NewRevision(h).Hash; a != b {
		t.Errorf("two hashes: %s and %s", a, b)
	}
}

// start is the clock of the suite; any would do.
var start = time.Date(2025, 12, 15, 10, 13, 0, 0, time.UTC)

func fold(t testing.TB, x *Index, messages []lockstep.Message, batch int) {
	for part := range slices.Chunk(messages, batch) {
		if _, err := x.Apply(t.Context(), part...); err != nil {
			t.Fatal(err)
		}
	}
}

func plans(t *testing.T, h handler.Handler, f Fixture) {
	w := &witness{Handler: h, t: t, clockKeys: f.ClockKeys}
	x := NewIndex(w, f.Source)
	x.Now = start
	fold(t, x, f.Messages, 1)
	fold(t, x, f.Messages, len(f.Messages))
	y := NewIndex(w, f.Source)
	y.Now = start
	fold(t, y, f.Messages, 25)
	if w.mutations == 0 {
		t.Error("the fixture causes no mutation, so nothing was checked")
	}
}

func cancels(t *testing.T, h handler.Handler, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x := NewIndex(h, f.Source)
	for _, m := range f.Messages {
		outcomes, err := x.Apply(ctx, m)
		if err == nil && (outcomes[0] == lockstep.Ignored) {
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("message %s: %v, want context.Canceled", m.ID, err)
		}
		_, err = h.Plan(ctx, handler.Unit{Messages: []lockstep.Message{m}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("plan of message %s: %v, want context.Canceled", m.ID, err)
		}
		return
	}
	t.Error("every message is ignored by rule, so nothing was checked")
}

func ignores(t *testing.T, h handler.Handler, f Fixture) {
	for _, entity := range []string{"", "NOT_AN_ENTITY"} {
		for _, m := range f.Messages {
			m.Change.Entity = entity
			unit := handler.Unit{Messages: []lockstep.Message{m}, Now: start}
			if r := h.Reads(unit.Messages); len(r.Imports) > 0 {
				t.Fatalf("entity %q: message %s asks for %d imports", entity, m.ID, len(r.Imports))
			}
			muts, err := h.Plan(t.Context(), unit)
			if err != nil || len(muts) > 0 {
				t.Fatalf("entity %q: message %s causes %d mutations and error %v", entity, m.ID, len(muts), err)
			}
		}
	}
}

func redelivers(t *testing.T, h handler.Handler, f Fixture) {
	x := NewIndex(h, f.Source)
	x.Now = start
	fold(t, x, f.Messages, 10)
	before := x.State()
	x.Now = start.Add(time.Hour)
	outcomes, err := x.Apply(t.Context(), f.Messages...)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o == lockstep.Applied {
			t.Errorf("message %s was applied twice", f.Messages[i].ID)
		}
	}
	if diff := cmp.Diff(before, x.State()); diff != "" {
		t.Errorf("the second delivery changed the index (-first +second):\n%s", diff)
	}
}

// buries removes every item there is, last to first, and expects neither an error
// nor a parked message.
func buries(t *testing.T, h handler.Handler, f Fixture) {
	x := NewIndex(&witness{Handler: h, t: t, clockKeys: f.ClockKeys}, f.Source)
	x.Now = start
	fold(t, x, f.Messages, 50)
	seq := highest(f.Messages)
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
	fold(t, x, graves, 7)
	if len(x.Parked) > parked {
		t.Errorf("%d removals were parked, the first is %s", len(x.Parked)-parked, x.Parked[parked].Change.Key)
	}
	for _, m := range graves {
		if it := x.Items[m.Change.Key.RecordID()]; it.Image != nil && it.Seq == m.Change.Seq {
			t.Errorf("%s is still there", m.Change.Key)
		}
	}
}

// batches compares one message at a time with one batch of all: a convergent
// handler must not tell them apart, any other must at least take both.
func batches(t *testing.T, h handler.Handler, f Fixture) {
	one, all := NewIndex(h, f.Source), NewIndex(h, f.Source)
	one.Now, all.Now = start, start
	fold(t, one, f.Messages, 1)
	fold(t, all, f.Messages, len(f.Messages))
	if diff := cmp.Diff(one.Items, all.Items); diff != "" {
		t.Errorf("mirror (-one by one +all at once):\n%s", diff)
	}
	if !f.Convergent {
		return
	}
	if diff := cmp.Diff(one.State(), all.State()); diff != "" {
		t.Errorf("index (-one by one +all at once):\n%s", diff)
	}
}

func converges(t *testing.T, h handler.Handler, f Fixture) {
	x := NewIndex(h, f.Source)
	x.Now = start
	fold(t, x, f.Messages, 1)
	want := x.State()
	rapid.Check(t, func(r *rapid.T) {
		y := NewIndex(h, f.Source)
		y.Now = start.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(r, "clock")) * time.Second)
		messages := rapid.Permutation(f.Messages).Draw(r, "order")
		again := rapid.SliceOfN(rapid.IntRange(0, len(messages)-1), 0, 20).Draw(r, "again")
		for _, i := range again {
			messages = append(messages, messages[i])
		}
		size := rapid.IntRange(1, 40).Draw(r, "batch")
		for part := range slices.Chunk(messages, size) {
			if _, err := y.Apply(t.Context(), part...); err != nil {
				r.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, y.State()); diff != "" {
			r.Fatalf("another order ends elsewhere (-stream order +this order):\n%s", diff)
		}
	})
}
