package shadow

import (
	"fmt"
	"testing"
)

func TestOrderIsAFairCoinThatCanBeTossedAgain(t *testing.T) {
	const n = 10000
	candidate, changed := 0, 0
	for i := range n {
		unit := fmt.Sprint("shard-0/", i)
		o := Order(1, unit)
		if o != Order(1, unit) || o[0] == o[1] {
			t.Fatalf("%s: %v", unit, o)
		}
		if o[0] == Candidate {
			candidate++
		}
		if o != Order(2, unit) {
			changed++
		}
	}
	for what, got := range map[string]int{"candidate first": candidate, "another seed decides otherwise": changed} {
		if got < n*48/100 || got > n*52/100 { // four standard deviations
			t.Errorf("%s: %d of %d", what, got, n)
		}
	}
}
