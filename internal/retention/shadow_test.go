package retention

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"lockstep/internal/ledger"
)

// TestComparisonsOfReleasesThatAreLongOverGo has three ledgers of comparisons: of a release
// that is long over, of one that waits for a person for months, and a young one.
func TestComparisonsOfReleasesThatAreLongOverGo(t *testing.T) {
	w, mem := newWorld(t)
	w.Commit(t.Context(), put("a", "1"))
	compare := func(pair string, entries int) {
		t.Helper()
		log := ledger.New(mem, "shadow/"+pair, ledger.Options{})
		head := ledger.Entry{}
		for range entries {
			var err error
			if head, err = log.Append(t.Context(), head, []byte(`{"samples":["a customer"]}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	compare("old.stable", 3)
	compare("waiting.stable", 2)
	compare("accepted", 2)
	w.Clock = w.Clock.Add(20 * 24 * time.Hour)
	compare("young.stable", 1)
	inUse := func(context.Context) ([]string, error) { return []string{"shadow/waiting.stable"}, nil }
	before := keys(t, mem, "shadow/")

	plan, err := MakePlan(t.Context(), w.Log, Policy{NoWait: true}, w.Clock, nil)
	if err != nil || plan.ByReason[OldShadow].Objects != 0 {
		t.Fatalf("where nobody knows what is in use, %+v goes, %v", plan.ByReason, err)
	}
	if _, err := MakePlan(t.Context(), w.Log, Policy{}, w.Clock, func(context.Context) ([]string, error) { return nil, errors.New("no") }); err == nil {
		t.Error("it is planned although it is not known what is in use")
	}
	run := func(inUse InUse) (planned, done int) {
		t.Helper()
		plan, err := MakePlan(t.Context(), w.Log, Policy{NoWait: true}, w.Clock, func(context.Context) ([]string, error) { return []string{"shadow/waiting.stable"}, nil })
		if err != nil {
			t.Fatal(err)
		}
		if plan, err = Store(t.Context(), mem, plan); err != nil {
			t.Fatal(err)
		}
		d, err := Execute(t.Context(), w.Log, plan.N, w.Clock, inUse)
		if err != nil {
			t.Fatal(err)
		}
		return plan.ByReason[OldShadow].Objects, d.By[OldShadow].Objects
	}
	again := func(context.Context) ([]string, error) {
		return []string{"shadow/old.stable", "shadow/waiting.stable"}, nil
	}
	if planned, done := run(again); planned != 3 || done != 0 || !slices.Equal(keys(t, mem, "shadow/"), before) {
		t.Errorf("of a pair that is released again %d of %d planned objects went", done, planned)
	}
	if planned, done := run(inUse); planned != 3 || done != 3 {
		t.Errorf("%d planned, %d deleted; want the 3 of the old one", planned, done)
	}
	left := keys(t, mem, "shadow/")
	if len(left) != len(before)-3 || slices.ContainsFunc(left, func(k string) bool { return shadowOf(k) == "shadow/old.stable" }) {
		t.Errorf("left are %q", left)
	}
	compare("old.stable", 1) // and the pair may be compared from its beginning
}
