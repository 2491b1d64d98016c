package revert

import (
	"errors"
	"strings"
	"testing"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// faults are ways in which a revision can be wrong.
func faults() map[string]func(handler.Unit, []lockstep.Mutation) []lockstep.Mutation {
	n := 0
	return map[string]func(handler.Unit, []lockstep.Mutation) []lockstep.Mutation{
		"wrong metadata": func(_ handler.Unit, ms []lockstep.Mutation) []lockstep.Mutation {
			for i := range ms {
				if ms[i].Op == lockstep.Upsert {
					ms[i].Record.Metadata = ms[i].Record.Metadata.With("merchant_name", lockstep.String("nobody"))
				}
			}
			return ms
		},
		"an extra record": func(u handler.Unit, ms []lockstep.Mutation) []lockstep.Mutation {
			for _, r := range u.View.Records["words"] {
				if strings.HasSuffix(r.ID, "-extra") {
					continue
				}
				extra := lockstep.Record{ID: r.ID + "-extra", Document: "x", HasDocument: true}
				return append(ms, lockstep.Mutation{Op: lockstep.Upsert, Collection: "words", Record: extra, Vector: []float32{1, 2, 3}, Cause: 0})
			}
			return ms
		},
		"nothing is done": func(handler.Unit, []lockstep.Mutation) []lockstep.Mutation { return nil },
		"every third mutation is lost": func(_ handler.Unit, ms []lockstep.Mutation) []lockstep.Mutation {
			out := ms[:0:0]
			for i := range ms {
				if n++; n%3 != 0 {
					out = append(out, ms[i])
				}
			}
			return out
		},
		"deletes too much": func(u handler.Unit, ms []lockstep.Mutation) []lockstep.Mutation {
			for c, rs := range u.View.Records {
				for _, r := range rs {
					ms = append(ms, lockstep.Mutation{Op: lockstep.Delete, Collection: c, Record: lockstep.Record{ID: r.ID}, Cause: 0})
				}
			}
			return onePerRecord(ms)
		},
		"wrong vectors": func(_ handler.Unit, ms []lockstep.Mutation) []lockstep.Mutation {
			for i := range ms {
				if len(ms[i].Vector) > 0 {
					ms[i].Vector = []float32{9, 9, 9}
				}
			}
			return ms
		},
	}
}

func onePerRecord(ms []lockstep.Mutation) []lockstep.Mutation {
	last := map[place]int{}
	for i := range ms {
		last[place{ms[i].Collection, ms[i].Record.ID}] = i
	}
	var out []lockstep.Mutation
	for i := range ms {
		if last[place{ms[i].Collection, ms[i].Record.ID}] == i {
			out = append(out, ms[i])
		}
	}
	return out
}

func TestAfterARevertTheIndexIsWhatTheGoodRevisionWouldHaveMade(t *testing.T) {
	for name, spoil := range faults() {
		t.Run(name, func(t *testing.T) {
			bad := spoilt{v2(), spoil}
			w, alone := newWorld(t, v2(), bad, 40), newWorld(t, v2(), bad, 40)
			w.share(25)
			w.traffic(12, 20)
			alone.traffic(12, 20)
			if w.digest() == alone.digest() {
				t.Fatal("the fault did no harm")
			}
			before := w.digest()
			out := w.revert(w.request())
			if w.digest() != alone.digest() {
				t.Errorf("digest %s, the good revision alone has %s", w.digest(), alone.digest())
			}
			if p := w.prove(out); !p.Equal {
				t.Errorf("not proven: %v", p.Differ)
			}
			_, err := Do(t.Context(), w.Compactor, w.origin(), w.request())
			if !errors.Is(err, ErrNothing) {
				t.Errorf("reverted again: %v", err)
			}
			// And back, and forth again.
			undo := w.request()
			undo.Bad = Bad{Version: out.Version}
			undone := w.revert(undo)
			if w.digest() != before {
				t.Errorf("undone it has digest %s, before %s", w.digest(), before)
			}
			redo := w.request()
			redo.Bad = Bad{Version: undone.Version}
			w.revert(redo)
			if w.digest() != alone.digest() {
				t.Errorf("redone it has digest %s, want %s", w.digest(), alone.digest())
			}
			w.revertsOnlyTheClosure(out)
		})
	}
}

// revertsOnlyTheClosure checks that no record of another key is in the delta.
func (w *world) revertsOnlyTheClosure(out Outcome) {
	w.t.Helper()
	d, err := w.log.Delta(w.t.Context(), out.Version)
	if err != nil {
		w.t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, m := range d.Messages {
		if m.Outcome != lockstep.Rederived || !w.router.Canary(m.Group) {
			w.t.Fatalf("message %s of key %q is %s", m.ID, m.Group, m.Outcome)
		}
		keys[m.Group] = true
	}
	if len(keys) != out.Keys {
		w.t.Errorf("%d keys are marked, %d were handled again", len(keys), out.Keys)
	}
}

func TestChangesAfterTheBadOneStay(t *testing.T) {
	bad := spoilt{v2(), faults()["wrong metadata"]}
	w, alone := newWorld(t, v2(), bad, 40), newWorld(t, v2(), bad, 40)
	w.share(25)
	w.traffic(6, 20)
	w.share(0) // aborted: stable goes on upon what the bad one left
	alone.traffic(6, 20)
	for range 6 {
		w.edits(20)
		alone.edits(20)
	}
	out := w.revert(w.request())
	if w.digest() != alone.digest() {
		t.Errorf("digest %s, the good revision alone has %s", w.digest(), alone.digest())
	}
	for range 3 { // and it goes on from there
		w.edits(20)
		alone.edits(20)
	}
	if w.digest() != alone.digest() {
		t.Error("the lines part after the revert")
	}
	if p := w.prove(out); !p.Equal {
		t.Errorf("not proven: %v", p.Differ)
	}
}

func TestAProofFailsForAnIndexThatIsNotTheCounterfactual(t *testing.T) {
	w := newWorld(t, v2(), spoilt{v2(), faults()["wrong metadata"]}, 30)
	w.share(25)
	w.traffic(4, 20)
	digests := map[string]string{}
	for name, d := range w.Head().Entry.Digests() {
		digests[string(name)] = d
	}
	out := w.revert(w.request())
	p, err := Prove(t.Context(), w.origin(), ProofRequest{Since: out.Since, Through: out.Through, Digests: digests, Good: w.router.Stable})
	if err != nil || p.Equal || len(p.Differ) == 0 {
		t.Errorf("the index before the revert is proven: %+v, %v", p, err)
	}
}

func TestOneVersionAndOneMessageAreReverted(t *testing.T) {
	for _, form := range []string{"version", "message"} {
		t.Run(form, func(t *testing.T) {
			bad := spoilt{v2(), faults()["wrong metadata"]}
			w, alone := newWorld(t, v2(), bad, 30), newWorld(t, v2(), bad, 30)
			w.traffic(4, 10)
			alone.traffic(4, 10)
			w.share(100)
			w.edits(1)
			w.share(0)
			alone.edits(1)
			at := w.Head().Number()
			w.edits(10)
			alone.edits(10)
			req := w.request()
			req.Bad = Bad{Version: at}
			if form == "message" {
				d, err := w.log.Delta(t.Context(), at)
				if err != nil {
					t.Fatal(err)
				}
				req.Bad = Bad{Message: d.Messages[0].ID}
			}
			w.revert(req)
			if w.digest() != alone.digest() {
				t.Errorf("digest %s, the good revision alone has %s", w.digest(), alone.digest())
			}
		})
	}
}

func TestWhatCannotBeRevertedIsRefused(t *testing.T) {
	w := newWorld(t, v2(), spoilt{v2(), faults()["wrong metadata"]}, 10)
	w.traffic(2, 5)
	for name, bad := range map[string]Bad{
		"nothing named": {}, "two things named": {Revision: "a", Version: 1}, "a revision that decided nothing": {Revision: w.router.Candidate.ID()},
		"a version that is not there": {Version: 999}, "a message that is not there": {Message: "nope"},
	} {
		req := w.request()
		req.Bad = bad
		_, err := Do(t.Context(), w.Compactor, w.origin(), req)
		if !errors.Is(err, lockstep.ErrInvalid) && !errors.Is(err, ErrNothing) && !errors.Is(err, version.ErrRetired) && !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
