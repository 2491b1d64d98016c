package guard

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func result(guard string, c Criterion, a Action, v Verdict) Result {
	return Result{Guard: guard, Criterion: c, Action: a, Verdict: v, Reason: "because", At: noon, Since: noon, Unit: Count}
}

func TestAssess(t *testing.T) {
	good := result("good", ProductionFailure, Rollback, Pass)
	for _, c := range []struct {
		name    string
		results []Result
		want    Decision
		decided string // joined by spaces
	}{
		{"nothing was asked", nil, Holding, ""},
		{"only observers were asked", []Result{result("o", Performance, Observe, Pass), result("l", Lint, Observe, Pass)}, Holding, ""},
		{"all pass", []Result{good, result("h", Performance, Hold, Pass)}, Healthy, ""},
		{"one rolls back", []Result{good, result("b", DataIntegrity, Rollback, Fail)}, RollBack, "b"},
		{"nothing stays a rollback", []Result{
			result("b", DataIntegrity, Rollback, Fail), result("x", Performance, Rollback, Broken), result("h", Performance, Hold, Fail), result("l", Lint, Observe, Fail),
		}, RollBack, "b"},
		{"all that roll back are named, in the document's order", []Result{
			result("p", Performance, Rollback, Fail), result("c", ProductionFailure, Rollback, Fail), result("a", Performance, Rollback, Fail),
		}, RollBack, "c a p"},
		{"a hold fails", []Result{good, result("h", Performance, Hold, Fail)}, Holding, "h"},
		{"a rollback guard is inconclusive", []Result{good, result("b", DataIntegrity, Rollback, Inconclusive)}, Holding, "b"},
		{"a rollback guard is broken", []Result{good, result("b", DataIntegrity, Rollback, Broken)}, Holding, "b"},
		{"a hold guard is inconclusive", []Result{good, result("b", DataIntegrity, Hold, Inconclusive)}, Holding, "b"},
		{"a verdict nobody knows", []Result{good, result("b", DataIntegrity, Hold, "ok")}, Holding, "b"},
		{"an action nobody knows", []Result{good, result("b", DataIntegrity, "undo", Fail)}, Holding, "b"},
		{"a line nobody knows rolls back", []Result{good, result("b", "weather", Rollback, Fail)}, RollBack, "b"},
		{"an observer decides nothing", []Result{good, result("o", Performance, Observe, Fail)}, Healthy, ""},
		{"a minor test fails", []Result{good, result("m", MinorTests, Observe, Fail)}, FixForward, "m"},
		{"all four reasons not to", []Result{
			good, result("m", MinorTests, Observe, Fail), result("l", Lint, Observe, Fail), result("d", Docs, Observe, Fail), result("n", NonCritical, Observe, Fail),
		}, FixForward, "m l d n"},
		{"a reason not to never rolls back, whatever it asks for", []Result{good, result("l", Lint, Rollback, Fail)}, FixForward, "l"},
		{"a reason not to never holds", []Result{good, result("l", Lint, Hold, Broken), result("d", Docs, Observe, Inconclusive)}, Healthy, ""},
		{"fix forward waits for those who do not know", []Result{good, result("l", Lint, Observe, Fail), result("b", DataIntegrity, Hold, Inconclusive)}, Holding, "b"},
	} {
		a := Assess(c.results)
		if a.Verdict != c.want || strings.Join(a.Decided, " ") != c.decided || a.Reason == "" {
			t.Errorf("%s: %s because of %q (%s), want %s because of %q", c.name, a.Verdict, a.Decided, a.Reason, c.want, c.decided)
		}
		if b, err := json.Marshal(a); err != nil || !json.Valid(b) {
			t.Errorf("%s: %v", c.name, err)
		}
		seen := 0
		for _, line := range a.Criteria {
			seen += len(line.Evidence)
		}
		if seen != len(c.results) || len(a.Criteria) < len(Criteria()) {
			t.Errorf("%s: %d of %d results are evidence", c.name, seen, len(c.results))
		}
	}
}

func TestAssessKnowsNoOrderAndOnlyPassesAdvance(t *testing.T) {
	anyResult := rapid.Custom(func(t *rapid.T) Result {
		return result(rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "guard"),
			rapid.SampledFrom(append(Criteria(), "odd")).Draw(t, "line"),
			rapid.SampledFrom(append(Actions(), "odd")).Draw(t, "action"), anyVerdict.Draw(t, "verdict"))
	})
	rapid.Check(t, func(t *rapid.T) {
		results := rapid.SliceOfNDistinct(anyResult, 0, 8, func(r Result) string { return r.Guard }).Draw(t, "results")
		before := slices.Clone(results)
		a := Assess(results)
		if b := Assess(rapid.Permutation(results).Draw(t, "order")); a.Text() != b.Text() || a.Verdict != b.Verdict {
			t.Fatalf("the order decides:\n%s\n%s", a.Text(), b.Text())
		}
		if !slices.Equal(before, results) {
			t.Fatal("the results were changed")
		}
		fails := func(r Result) bool { return r.Criterion.Trigger() && r.Action == Rollback && r.Verdict == Fail }
		if slices.ContainsFunc(results, fails) != (a.Verdict == RollBack) {
			t.Fatalf("%s", a.Text())
		}
		if a.Verdict == Healthy || a.Verdict == FixForward {
			for _, r := range results {
				if r.Criterion.Trigger() && r.Action != Observe && r.Verdict != Pass {
					t.Fatalf("advances past %+v", r)
				}
			}
		}
	})
}

func TestAssessmentIsRendered(t *testing.T) {
	facts := map[string]func(f *Facts){
		"healthy":   func(*Facts) {},
		"roll-back": func(f *Facts) { f.RederivedWrong, f.Findings[Lint] = 2, []string{"E501"} },
		"hold": func(f *Facts) {
			f.Candidate = Arm{}
			f.Analysis.Verdict, f.Analysis.Sentence = Inconclusive, "12 of 59 units"
		},
		"fix-forward": func(f *Facts) { f.Tests[1].Passed, f.Findings[Docs] = false, []string{"runbook"} },
	}
	for name, change := range facts {
		l := NewLedger(0)
		for m := range 3 {
			f := goodTime(m)
			change(&f)
			if err := l.Add(f); err != nil {
				t.Fatal(err)
			}
		}
		var results []Result
		now := goodTime(2).At
		for _, g := range Select(Builtin(), NeedRelease, NeedAnalysis, NeedTests, NeedFindings) {
			s, err := Collect(t.Context(), map[string]Meter{LedgerSource: l}, g, now)
			if err != nil {
				t.Fatal(err)
			}
			r, _ := Judge(g, s, DebounceState{}, now)
			results = append(results, r)
		}
		a := Assess(results)
		if string(a.Verdict) != name {
			t.Errorf("%s: %s", name, a.Text())
		}
		golden(t, "testdata/assess-"+name+".txt", []byte(a.Text()))
		b, err := json.MarshalIndent(a, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var back Assessment
		if err := json.Unmarshal(b, &back); err != nil || back.Text() != a.Text() {
			t.Errorf("%s does not survive being stored: %v", name, err)
		}
		if name == "hold" {
			golden(t, "testdata/assess-hold.json", append(b, '\n'))
		}
	}
}
