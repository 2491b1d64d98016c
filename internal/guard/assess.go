package guard

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Decision is the one answer of an assessment. The zero value is none.
type Decision string

// The four decisions.
const (
	RollBack   Decision = "roll-back"
	Holding    Decision = "hold"
	FixForward Decision = "fix-forward"
	Healthy    Decision = "healthy"
)

// Decisions lists the decisions from the gravest on.
func Decisions() []Decision { return []Decision{RollBack, Holding, FixForward, Healthy} }

// Sentence says what the decision means for people.
func (d Decision) Sentence() string {
	switch d {
	case RollBack:
		return "Go back to the known-good revision now."
	case Holding:
		return "Change nothing and give the candidate no more traffic until this is cleared."
	case FixForward:
		return "Do not roll back; repair it in the next revision."
	case Healthy:
		return "Nothing speaks against going on."
	}
	return "Not a decision that this program knows."
}

// UnmarshalText accepts the four words and refuses everything else with ErrInvalid,
// which leaves d as it was.
func (d *Decision) UnmarshalText(text []byte) error {
	if !slices.Contains(Decisions(), Decision(text)) {
		return fmt.Errorf("%w decision %.40q: known are %v", lockstep.ErrInvalid, text, Decisions())
	}
	*d = Decision(text)
	return nil
}

// Assessment is the verdict on the whole, with the evidence per line of the document.
type Assessment struct {
	Verdict  Decision           `json:"verdict"`
	Reason   string             `json:"reason"`
	Decided  []string           `json:"decided"`  // the guards that made it so, in the order of Criteria
	Criteria []CriterionVerdict `json:"criteria"` // every line, asked or not
}

// CriterionVerdict is one line of the document.
type CriterionVerdict struct {
	Criterion Criterion `json:"criterion"`
	Title     string    `json:"title"`
	Trigger   bool      `json:"trigger"` // a reason to roll back; the others are reasons not to
	// Verdict is the worst of the evidence; Inconclusive when nobody asked.
	Verdict  Verdict  `json:"verdict"`
	Evidence []Result `json:"evidence"` // by name of the guard; empty when nobody asked
}

// Assess answers what to do, from the results of all guards that were asked. It is pure
// and knows no order among the results. The first rule that applies decides:
//
//  1. roll back: a result with action rollback on one of the six lines is Fail. Judge
//     has debounced it; nothing else is waited for, and no other result can stay it.
//  2. hold: a result with action hold is Fail; or one with action hold or rollback is
//     Broken, Inconclusive or no verdict at all; or an action is unknown and its verdict
//     is not Pass; or no result has an action that could have held, because then
//     nothing was asked that could have said no.
//  3. fix forward: a result on one of the four lines that are reasons not to roll back
//     is Fail. The reason names them: they are real, and a rollback would not cure them.
//  4. healthy.
//
// Results on the four lines never hold and never roll back, whatever action they carry.
// Observers on the six lines are evidence and decide nothing. A line about which nobody
// asked is Inconclusive on the page and decides nothing either: which guards are asked
// is a matter of configuration (Select), and this must stay visible rather than make a
// small set-up hold for ever. A result of an unknown line counts as one of the six.
func Assess(results []Result) Assessment {
	a := Assessment{Criteria: lines(results), Decided: []string{}}
	var back, hold, forward []Result
	deciding := 0
	for _, line := range a.Criteria {
		for _, r := range line.Evidence {
			if !line.Trigger {
				if r.Verdict == Fail {
					forward = append(forward, r)
				}
				continue
			}
			if r.Action == Observe {
				continue
			}
			deciding++
			switch {
			case r.Verdict == Pass:
			case r.Verdict == Fail && r.Action == Rollback:
				back = append(back, r)
			default:
				hold = append(hold, r)
			}
		}
	}
	switch {
	case len(back) > 0:
		a.decide(RollBack, back)
	case len(hold) > 0:
		a.decide(Holding, hold)
	case deciding == 0:
		a.Verdict, a.Reason = Holding, "no guard was asked that could have said no"
	case len(forward) > 0:
		a.decide(FixForward, forward)
	default:
		a.Verdict, a.Reason = Healthy, counted(deciding, "guard")+" passed"
	}
	return a
}

func (a *Assessment) decide(d Decision, because []Result) {
	a.Verdict = d
	for _, r := range because {
		a.Decided = append(a.Decided, r.Guard)
	}
	first := because[0]
	a.Reason = fmt.Sprintf("%s: %s", first.Guard, first.Reason)
	if d == Holding {
		a.Reason = fmt.Sprintf("%s is %s: %s", first.Guard, first.Verdict, first.Reason)
	}
	if d == FixForward {
		a.Reason += "; " + strings.ToLower(first.Criterion.Title()) + " are no reason to roll back"
	}
	if more := len(because) - 1; more > 0 {
		a.Reason += "; and " + counted(more, "other")
	}
}

// lines sorts the results under the lines of the document, and those of unknown lines
// under one more at the end.
func lines(results []Result) []CriterionVerdict {
	var out []CriterionVerdict
	for _, c := range Criteria() {
		out = append(out, gather(c, results, func(r Result) bool { return r.Criterion == c }))
	}
	stray := gather("", results, func(r Result) bool { return !slices.Contains(Criteria(), r.Criterion) })
	if len(stray.Evidence) > 0 {
		stray.Title = "Belongs to no line of the document"
		out = append(out, stray)
	}
	return out
}

func gather(c Criterion, results []Result, mine func(Result) bool) CriterionVerdict {
	v := CriterionVerdict{Criterion: c, Title: c.Title(), Trigger: c.Trigger(), Evidence: []Result{}}
	var verdicts []Verdict
	for _, r := range results {
		if !mine(r) {
			continue
		}
		if r.Verdict.rank() == unknownRank { // it cannot be stored, and holds all the same
			r.Reason = fmt.Sprintf("%.40q is no verdict; %s", string(r.Verdict), r.Reason)
			r.Verdict = Broken
		}
		v.Evidence = append(v.Evidence, r)
		verdicts = append(verdicts, r.Verdict)
	}
	slices.SortStableFunc(v.Evidence, func(a, b Result) int { return strings.Compare(a.Guard, b.Guard) })
	v.Verdict = Worst(verdicts...)
	return v
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
