// Package targettest is the contract that every rollback.Target keeps.
package targettest

import (
	"context"
	"encoding/json"
	"testing"

	"lockstep/internal/rollback"
)

// Case is one step in a world that is still at the step's From.
type Case struct {
	Target rollback.Target
	Step   rollback.Step
	// Same compares the world with what it was when the case was made, after the undo:
	// nil, or what differs. A nil Same: the step has nothing to take back.
	Same func() error
}

// Keeper keeps in memory.
type Keeper struct{ Kept json.RawMessage }

// Say does nothing.
func (*Keeper) Say(string, int64, int64) {}

// Keep notes what was kept.
func (k *Keeper) Keep(_ context.Context, kept json.RawMessage) error {
	k.Kept = kept
	return nil
}

// Run checks what every target promises. fresh makes a new world each time.
func Run(t *testing.T, fresh func(t *testing.T) Case) {
	t.Run("a look changes nothing and finds the beginning", func(t *testing.T) {
		c := fresh(t)
		for range 2 {
			before := look(t, c, c.Step, nil)
			if before.State == c.Step.To || (c.Step.From != "" && before.State != c.Step.From) {
				t.Fatalf("it finds %q (%s), the step begins at %q", before.State, before.Detail, c.Step.From)
			}
		}
	})
	t.Run("doing makes the end true, and doing again keeps it", func(t *testing.T) {
		c := fresh(t)
		k := &Keeper{}
		for range 2 {
			do(t, c, c.Step, k)
			if s := look(t, c, c.Step, k.Kept); s.State != c.Step.To {
				t.Fatalf("after it was done it finds %q (%s), the step ends at %q", s.State, s.Detail, c.Step.To)
			}
		}
	})
	t.Run("a cancelled do goes on later", func(t *testing.T) {
		c := fresh(t)
		k := &Keeper{}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Target.Do(ctx, rollback.At{Step: c.Step}, k); err == nil {
			t.Log("a cancelled context did not stop it")
		}
		do(t, c, c.Step, k)
		if s := look(t, c, c.Step, k.Kept); s.State != c.Step.To {
			t.Fatalf("it finds %q (%s), the step ends at %q", s.State, s.Detail, c.Step.To)
		}
	})
	t.Run("it is undone, and done again", func(t *testing.T) {
		c := fresh(t)
		k := &Keeper{}
		do(t, c, c.Step, k)
		undo, err := c.Target.Undo(t.Context(), rollback.At{Step: c.Step, Kept: k.Kept})
		if err != nil {
			t.Fatal(err)
		}
		if c.Same == nil {
			if undo != nil {
				t.Fatalf("an undo %q of a step that has nothing to take back", undo.Title)
			}
			return
		}
		if undo == nil {
			t.Fatal("no undo")
		}
		ku := &Keeper{}
		do(t, c, *undo, ku)
		if s := look(t, c, *undo, ku.Kept); s.State != undo.To {
			t.Fatalf("after the undo it finds %q (%s), the undo ends at %q", s.State, s.Detail, undo.To)
		}
		if err := c.Same(); err != nil {
			t.Fatalf("after the undo: %v", err)
		}
		again := &Keeper{}
		do(t, c, c.Step, again)
		if s := look(t, c, c.Step, again.Kept); s.State != c.Step.To {
			t.Fatalf("done again it finds %q (%s)", s.State, s.Detail)
		}
	})
}

func look(t *testing.T, c Case, s rollback.Step, kept json.RawMessage) rollback.Sight {
	t.Helper()
	got, err := c.Target.Look(t.Context(), rollback.At{Step: s, Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func do(t *testing.T, c Case, s rollback.Step, k *Keeper) {
	t.Helper()
	if err := c.Target.Do(t.Context(), rollback.At{Step: s, Kept: k.Kept}, k); err != nil {
		t.Fatal(err)
	}
}
