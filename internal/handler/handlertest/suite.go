// Package handlertest runs the checks of package contract as a test, with orders of
// arrival that rapid draws and shrinks, and hands out the model by which results are
// judged.
package handlertest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/handler"
	"lockstep/internal/handler/contract"
)

// Run checks that h keeps the contract of package handler on the fixture.
func Run(t *testing.T, h handler.Handler, f Fixture) {
	t.Helper()
	if len(f.Messages) == 0 {
		t.Fatal("the fixture has no messages, so nothing would be checked")
	}
	for _, c := range contract.Checks() {
		if !c.Applies(f) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if c.Name == contract.OrderName {
				converges(t, h, f)
				return
			}
			if err := c.Run(t.Context(), h, f, contract.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// start is the clock of the suite; any would do.
var start = time.Date(2025, 12, 15, 10, 13, 0, 0, time.UTC)

// converges is the check of that name, with orders that shrink.
func converges(t *testing.T, h handler.Handler, f Fixture) {
	x := NewIndex(h, f.Source)
	x.Now = start
	for _, m := range f.Messages {
		if _, err := x.Apply(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
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
