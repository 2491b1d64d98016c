package recovery

import (
	"encoding/json"
	"errors"
	"testing"

	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/revert"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

func (w *world) index() *Index {
	return &Index{Store: w.server.Store, Revisions: w.server.Revisions, Workplace: Serving{w.server}, Actor: func() string { return "tester" }}
}

func (w *world) step(s rollback.Step, err error) rollback.Step {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestTheFlagKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		w := newWorld(t)
		w.trial()
		s := w.step(FlagStep(w.bad, release.Pair{Revision: w.goodID()}, "a test"))
		return targettest.Case{Target: Flag{w.server.Control}, Step: s, Same: w.same()}
	})
}

func TestTheQuarantineKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		w := newWorld(t)
		return targettest.Case{Target: Quarantine{w.server.Control}, Step: w.step(QuarantineStep(w.bad, "a test")), Same: w.same()}
	})
}

func TestARevertKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		w := newWorld(t)
		w.trial()
		p := IndexParams{Wish: Revert, Bad: revert.Bad{Revision: w.bad}, Good: w.goodID(), Head: w.server.Compactor.Head().Number(), Reason: "a test"}
		return targettest.Case{Target: w.index(), Step: w.step(IndexStep(p, "")), Same: w.same()}
	})
}

func TestAResetKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		w := newWorld(t)
		w.edits(10)
		head := w.server.Compactor.Head().Number()
		p := IndexParams{Wish: Reset, To: head - 1, Head: head, Reason: "a test"}
		return targettest.Case{Target: w.index(), Step: w.step(IndexStep(p, "")), Same: w.same()}
	})
}

func TestARebuildKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		w := newWorld(t)
		w.trial()
		w.abort()
		p := IndexParams{Wish: Rebuild, Head: w.server.Compactor.Head().Number(), Reason: "a test"}
		return targettest.Case{Target: w.index(), Step: w.step(IndexStep(p, "")), Same: w.same()}
	})
}

func (w *world) abort() {
	w.t.Helper()
	if _, err := w.server.Abort(w.t.Context(), "a test"); err != nil {
		w.t.Fatal(err)
	}
}

func TestEveryWayBackIsProven(t *testing.T) {
	w := newWorld(t)
	w.trial()
	w.abort()
	before := w.server.Compactor.Head().Number()
	for _, p := range []IndexParams{
		{Wish: Revert, Bad: revert.Bad{Revision: w.bad}, Good: w.goodID(), Head: before, Reason: "plan 1"},
		{Wish: Rebuild, Head: before, Reason: "plan 2"},
		{Wish: Reset, To: before, Head: before + 1, Reason: "plan 3"},
		{Wish: None},
	} {
		step := w.step(IndexStep(p, ""))
		proof := &Proof{Store: w.server.Store, Revisions: w.server.Revisions, Workplace: Serving{w.server}}
		ps := ProofStep(step)
		k := &targettest.Keeper{}
		if err := w.index().Do(t.Context(), rollback.At{Step: step}, k); err != nil {
			t.Fatalf("%s: %v", p.Wish, err)
		}
		k = &targettest.Keeper{}
		if err := proof.Do(t.Context(), rollback.At{Step: ps}, k); err != nil {
			t.Fatalf("proof of the %s: %v", p.Wish, err)
		}
		s, err := proof.Look(t.Context(), rollback.At{Step: ps, Kept: k.Kept})
		if err != nil || s.State != proven || len(s.Evidence) != 1 || !s.Evidence[0].OK {
			t.Errorf("proof of the %s: %+v, %v", p.Wish, s, err)
		}
	}
}

func TestARevertThatIsNotTheCounterfactualIsNotProven(t *testing.T) {
	w := newWorld(t)
	w.trial()
	w.abort()
	head := w.server.Compactor.Head().Number()
	p := IndexParams{Wish: Revert, Bad: revert.Bad{Revision: w.bad}, Good: w.bad, Head: head, Reason: "a test"}
	step := w.step(IndexStep(p, ""))
	if err := w.index().Do(t.Context(), rollback.At{Step: step}, &targettest.Keeper{}); err != nil {
		t.Fatal(err)
	}
	// It was handled again by the wrong revision; the proof is asked for the good one.
	p.Good = w.goodID()
	var err error
	if step.Params, err = json.Marshal(p); err != nil {
		t.Fatal(err)
	}
	k := &targettest.Keeper{}
	proof := &Proof{Store: w.server.Store, Revisions: w.server.Revisions, Workplace: Serving{w.server}}
	err = proof.Do(t.Context(), rollback.At{Step: ProofStep(step)}, k)
	if !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("proven: %v", err)
	}
	s, lerr := proof.Look(t.Context(), rollback.At{Step: ProofStep(step), Kept: k.Kept})
	if lerr != nil || s.State != unproven || len(s.Evidence) != 1 || s.Evidence[0].OK {
		t.Errorf("%+v, %v", s, lerr)
	}
}
