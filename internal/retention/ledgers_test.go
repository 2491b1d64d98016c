package retention

import (
	"slices"
	"testing"
)

func TestTheLedgersOfWhatWasDecidedStay(t *testing.T) {
	w, mem := aged(t)
	var all []string
	for _, ledger := range []string{"drill", "plan/prod-1", "plan-low", "outbox", "outbox-low", "incident/prod-1", "incident-report/prod-1", "release", "gc"} {
		key := ledger + "/00000000000000000009"
		if deletable(key) {
			t.Errorf("a collection may delete %s", key)
		}
		all = append(all, key)
		if err := mem.Create(t.Context(), key, []byte("old")); err != nil {
			t.Fatal(err)
		}
	}
	w.Clock = w.Clock.Add(400 * day)
	if d := collect(t, w, Policy{}); d.Objects == 0 {
		t.Fatalf("nothing was collected: %+v", d)
	}
	left := keys(t, mem, "")
	for _, key := range all {
		if !slices.Contains(left, key) {
			t.Errorf("%s was deleted", key)
		}
	}
}
