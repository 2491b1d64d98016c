package blobtest

import (
	"errors"
	"testing"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

func TestFaultyWithoutFaultsKeepsTheContract(t *testing.T) {
	Run(t, func(*testing.T) blob.Store { return NewFaulty(new(blob.Mem), nil) })
}

func TestEachFaultDoesWhatItSays(t *testing.T) {
	for _, c := range []struct {
		name           string
		fault          Fault
		want           error
		before, after  bool   // is the object there before and after Flush
		bodyOfTwoCalls string // after a second, healthy or equally broken create
	}{
		{"none", None, nil, true, true, "1"},
		{"fail before", FailBefore, lockstep.ErrUnavailable, false, false, ""},
		{"lose answer", LoseAnswer, lockstep.ErrUnavailable, true, true, "1"},
		{"delay", Delay, lockstep.ErrUnavailable, false, true, "1"},
		{"send twice", SendTwice, blob.ErrExists, true, true, "1"},
		{"ignore condition", IgnoreCondition, nil, true, true, "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := NewFaulty(new(blob.Mem), func(op, _ string) Fault {
				if op == "create" {
					return c.fault
				}
				return None
			})
			if err := f.Create(t.Context(), "k", []byte("1")); !errors.Is(err, c.want) {
				t.Errorf("Create = %v, want %v", err, c.want)
			}
			there := func(want bool, when string) {
				t.Helper()
				_, _, err := f.Get(t.Context(), "k")
				if got := err == nil; got != want {
					t.Errorf("%s Flush the object is there: %t, want %t", when, got, want)
				}
			}
			there(c.before, "before")
			if err := f.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			there(c.after, "after")
			_ = f.Create(t.Context(), "k", []byte("2"))
			_ = f.Flush(t.Context())
			if c.after {
				wantBody(t, f, "k", []byte(c.bodyOfTwoCalls))
			}
			if got := f.Calls("create"); got != 2 {
				t.Errorf("%d creates counted, want 2", got)
			}
		})
	}
}
