package drill

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func t0() time.Time { return time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC) } // a Monday

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// passed is a drill that passed, with marks so many times a second apart.
func passed(id string, at time.Time, second int) Drill {
	s := func(n int) time.Time { return at.Add(time.Duration(n*second) * time.Second) }
	return Drill{
		ID: id, Environment: "prod", At: at, By: "lockstep", Scenario: "prod", Procedure: "quick", Fault: "drops the labels of a word",
		Revision: "receipts@2+222222222222", Plan: "rollback-" + id, Outcome: Passed,
		Marks:  Marks{FirstBad: s(1), Detected: s(3), Commanded: s(4), LastBad: s(5), Clean: s(9)},
		Harmed: 120, Restored: 120, Same: true, Took: time.Duration(20*second) * time.Second,
	}
}

func failed(id string, at time.Time) Drill {
	d := passed(id, at, 1)
	d.Outcome, d.Why, d.Same, d.Restored, d.Marks.Clean = Failed, "3 records differ from the counterfactual", false, 117, time.Time{}
	return d
}

func incomplete(id string, at time.Time) Drill {
	return Drill{ID: id, Environment: "prod", At: at, By: "anna", Scenario: "prod", Procedure: "full", Outcome: Incomplete, Why: "the process was stopped", Took: time.Minute}
}

// book records drills of prod in order.
func book(t testing.TB, drills ...Drill) Book {
	t.Helper()
	b := Book{Environment: "prod"}
	for _, d := range drills {
		next, changed, err := b.With(d)
		if err != nil || !changed {
			t.Fatalf("record %s: %t, %v", d.ID, changed, err)
		}
		b = next
	}
	return b
}

// anyDrill draws a drill that may be recorded.
func anyDrill(t *rapid.T, id string) Drill {
	at := t0().Add(time.Duration(rapid.Int64Range(0, int64(1000*day)).Draw(t, "at")))
	switch rapid.SampledFrom(Outcomes()).Draw(t, "outcome") {
	case Passed:
		return passed(id, at, rapid.IntRange(0, 1000).Draw(t, "second"))
	case Failed:
		return failed(id, at)
	case Incomplete:
	}
	return incomplete(id, at)
}
