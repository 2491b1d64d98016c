package release

import (
	"fmt"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Sentence says what a phase means, with the candidate as its subject.
func (p Phase) Sentence() string {
	switch p {
	case PhasePreflight:
		return "it is checked before it sees any input"
	case PhaseShadow:
		return "it sees the input, and its output is compared and thrown away"
	case PhaseCanary:
		return "it decides for a share of the keys"
	case PhaseBake:
		return "it keeps its share until it has seen everything for long enough"
	case PhasePromote:
		return "it has passed every step and waits for the last word"
	case PhasePromoted:
		return "it is stable"
	case PhaseAborted:
		return "it decides nothing any more"
	}
	return "it is in a phase that this program does not know"
}

// Sentence says what an outcome means.
func (o Outcome) Sentence() string {
	switch o {
	case Promoted:
		return "promoted"
	case RolledBack:
		return "aborted by a guard, and the candidate quarantined"
	case Unfit:
		return "aborted because it did not pass preflight"
	case Forbidden:
		return "aborted because the candidate was quarantined"
	case Called:
		return "aborted by a person"
	case TakenBack:
		return "aborted because its fence was found"
	}
	return "ended in a way that this program does not know"
}

func (r *Release) endWords() string {
	if r.Ending == nil {
		return string(r.Phase)
	}
	return fmt.Sprintf("%s at %s: %s", r.Ending.Outcome.Sentence(), clockTime(r.Ending.At), r.Ending.Reason)
}

// Describe is the state in sentences, one per line: what decides, what the release
// does or how the latest one ended, and what stands in the way of all.
func (s State) Describe(now time.Time) string {
	if s.Environment == "" {
		return "nothing is adopted yet\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "traffic: stable %s in %s, for %s\n", s.Stable.Revision, s.Environment, span(s.Occupied(s.Stable.Revision, now)))
	if r := s.Release; r != nil {
		b.WriteString(r.describe(now))
	}
	if stop := s.Stopped(now); stop != nil {
		fmt.Fprintf(&b, "the line was stopped by %s%s: %s\n", stop.By, untilWords(stop.Until), stop.Reason)
	}
	for _, q := range s.Quarantine {
		fmt.Fprintf(&b, "quarantined: %s, by %s: %s\n", q.Revision, q.By, q.Reason)
	}
	if len(s.Pending) > 0 {
		fmt.Fprintf(&b, "still to be carried out: %s\n", effectWords(s.Pending))
	}
	return b.String()
}

func (r *Release) describe(now time.Time) string {
	var b strings.Builder
	attempt := ""
	if r.Attempt > 1 {
		attempt = fmt.Sprintf(", attempt %d", r.Attempt)
	}
	if r.Phase.Final() {
		fmt.Fprintf(&b, "release %s of %s%s: %s\n", r.ID, r.Candidate, attempt, r.endWords())
		if a := r.Alarm; a != nil {
			fmt.Fprintf(&b, "  ALARM since %s: %s\n", clockTime(a.At), a.Reason)
		}
		return b.String()
	}
	fmt.Fprintf(&b, "release %s of %s%s: step %d of %d, %s at %s: %s\n",
		r.ID, r.Candidate, attempt, r.Step+1, len(r.Plan.Steps), r.Phase, r.Weight, r.Phase.Sentence())
	fmt.Fprintf(&b, "  in this step for %s by its clock; it asks for: %s\n", span(r.Clock.Elapsed(now)), r.Current())
	if r.Halt != nil {
		fmt.Fprintf(&b, "  %s by %s since %s: %s\n", r.Halt.Kind, r.Halt.By, clockTime(r.Halt.At), r.Halt.Reason)
	}
	fmt.Fprintf(&b, "  a rollback returns to %s at version %d\n", r.KnownGood.Revision, r.KnownGood.Version)
	return b.String()
}

// Outlook is one sentence on what comes next and when, at the earliest and if all
// goes well. Decision.Describe knows more, since it has looked.
func (s State) Outlook(now time.Time) string {
	r := s.Live()
	switch {
	case r == nil:
		return "nothing is under way"
	case r.Halt != nil && r.Halt.Kind == Held:
		return "it goes on when no guard holds it"
	case r.Halt != nil:
		return "it goes on when somebody resumes it"
	}
	then := "the candidate becomes stable"
	if r.Step+1 < len(r.Plan.Steps) {
		then = r.Plan.Steps[r.Step+1].String()
	}
	if left := r.Current().For - r.Clock.Elapsed(now); left > 0 {
		return fmt.Sprintf("next: %s, in %s at the earliest", then, span(left))
	}
	return fmt.Sprintf("next: %s, as soon as this step is fulfilled", then)
}

// Describe is the decision in one sentence.
func (d Decision) Describe() string {
	if d.Transition != nil {
		return string(d.Transition.Entry.Kind) + ": " + d.Why
	}
	return "nothing yet: " + d.Why + untilWords(d.Until)
}

// Describe is the entry on one line, for a history: number, time, what, who, why, and
// where the release was then.
func (e *Entry) Describe() string {
	where := ""
	if r := e.State.Release; r != nil {
		where = fmt.Sprintf(" %s %s at %s", r.ID, r.Phase, r.Weight)
		if r.Ending != nil {
			where = fmt.Sprintf(" %s %s", r.ID, r.Ending.Outcome)
		}
	}
	return fmt.Sprintf("%d %s %s%s by %s: %s", e.Number, clockTime(e.At), e.Kind, where, e.Actor, e.Reason)
}

func words(list []unmet) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = c.words
	}
	return strings.Join(parts, "; ")
}

// glassHint names the gates that would have to be opened, when that can help.
func glassHint(closed []unmet) string {
	var gates []Gate
	for _, c := range closed {
		if c.gate == "" {
			return "it cannot be skipped"
		}
		gates = append(gates, c.gate)
	}
	return "wait, or break the glass with a second person; gates: " + gateWords(gates)
}

func effectWords(effects []Effect) string {
	parts := make([]string, len(effects))
	for i, e := range effects {
		parts[i] = string(e.Kind) + " " + e.Name()
	}
	return strings.Join(parts, ", ")
}

func untilWords(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", until " + clockTime(t)
}

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

func mixNames(mix []lockstep.Event) string {
	parts := make([]string, len(mix))
	for i, e := range mix {
		parts[i] = strings.ToLower(string(e))
	}
	return strings.Join(parts, ", ")
}

func mixWords(mix []lockstep.Event) string { return "with " + mixNames(mix) }

// span is a duration as people write it: "48h", "1m30s", "0s". What is left of a
// second is rounded away.
func span(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
