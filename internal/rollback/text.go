package rollback

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Text is the plan for people.
func (p *Plan) Text() string {
	var b strings.Builder
	what := string(p.Procedure) + " rollback"
	if p.Undoes != "" {
		what = "undo of plan " + p.Undoes
	}
	fmt.Fprintf(&b, "plan %s: %s in %s (%s; impact %s)\n", p.ID, what, p.Environment, p.Scenario, p.Scenario.Impact())
	t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	if p.Bad != "" && p.Undoes == "" {
		fmt.Fprintf(t, "  from\t%s\n", p.Bad)
	}
	if p.To.Revision != "" && p.Undoes == "" {
		fmt.Fprintf(t, "  to\t%s, last known good at version %d\n", p.To.Revision, p.To.Version)
	}
	fmt.Fprintf(t, "  why\t%s (%s)\n", oneLine(p.Reason), p.By)
	fmt.Fprintf(t, "  time\t%s\n", p.timeText())
	fmt.Fprintf(t, "  lost\t%s\n", lossText(p.Loss()))
	_ = t.Flush() // a strings.Builder takes everything
	b.WriteByte('\n')
	t = tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\tstep\twhat\ttime\tundone by")
	for i := range p.Steps {
		s := &p.Steps[i]
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", i+1, s.ID, oneLine(s.Title), short(s.Predicted), orDash(oneLine(s.UndoBy)))
	}
	_ = t.Flush() // as above
	p.detail(&b)
	for i, n := range p.Notes {
		if i == 0 {
			b.WriteString("\nwhy this way:\n")
		}
		fmt.Fprintf(&b, "  - %s\n", oneLine(n))
	}
	return b.String()
}

// timeText is the predicted time against that of the document.
func (p *Plan) timeText() string {
	budget, d := Budget(p.Scenario, p.Procedure), p.Predicted()
	switch {
	case d <= 0:
		return fmt.Sprintf("not known; the document gives %s", short(budget))
	case d > budget:
		return fmt.Sprintf("about %s, more than the %s that the document gives", short(d), short(budget))
	}
	return fmt.Sprintf("about %s; the document gives %s", short(d), short(budget))
}

// detail is what each step changes, and what may go wrong.
func (p *Plan) detail(b *strings.Builder) {
	for i := range p.Steps {
		s := &p.Steps[i]
		var parts []string
		if s.Changes != "" {
			parts = append(parts, sentence(s.Changes))
		}
		if s.Risk != "" {
			parts = append(parts, "Risk: "+sentence(s.Risk))
		}
		if len(s.Loss) > 0 {
			parts = append(parts, "Lost for good: "+sentence(lossText(s.Loss)))
		}
		if len(parts) > 0 && len(s.Needs) > 0 {
			parts = append(parts, "Needs "+strings.Join(s.Needs, ", ")+".")
		}
		if len(parts) > 0 {
			fmt.Fprintf(b, "\n%s: %s\n", s.ID, strings.Join(parts, " "))
		}
	}
}

func sentence(s string) string { return strings.TrimSuffix(oneLine(s), ".") + "." }

func lossText(loss []string) string {
	if len(loss) == 0 {
		return "nothing"
	}
	return oneLine(strings.Join(loss, "; "))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// short is a duration for people: "1.2 s", "30 min".
func short(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	case d < time.Minute-time.Second/20:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// Text is the state for people, with what is left for them.
func (s *State) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s is %s", s.Plan.ID, s.Outcome())
	if !s.Began.IsZero() && !s.Ended.IsZero() {
		fmt.Fprintf(&b, " after %s", short(max(s.Ended.Sub(s.Began), time.Millisecond)))
	}
	if s.UndoneBy != "" {
		fmt.Fprintf(&b, ", by plan %s", s.UndoneBy)
	}
	b.WriteString("\n\n")
	t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	for i := range s.Steps {
		x, step := &s.Steps[i], &s.Plan.Steps[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", mark(x), step.ID, x.took(), oneLine(x.line(step)))
	}
	_ = t.Flush() // a strings.Builder takes everything
	b.WriteString(s.stuckText())
	return b.String()
}

func (x *StepState) took() string {
	switch x.Progress {
	case Done, Failed, Third:
		return short(max(x.Ended.Sub(x.Began), time.Millisecond))
	case Waiting, Doing, Blocked, Skipped:
	}
	return "-"
}

func mark(x *StepState) string {
	switch x.Progress {
	case Done:
		return "done"
	case Doing:
		return "...."
	case Failed:
		return "FAIL"
	case Third:
		return "STOP"
	case Skipped:
		return "skip"
	case Blocked:
		return "wait"
	case Waiting:
	}
	return "    "
}

// line says in one line how it stands about a step.
func (x *StepState) line(step *Step) string {
	switch x.Progress {
	case Done:
		out := x.Sight.Detail
		if out == "" {
			out = step.To
		}
		if x.Already {
			out += " (it was so already)"
		}
		return out
	case Failed, Third:
		return x.Error
	case Skipped:
		return "left out by " + x.By + ": " + x.Error
	case Blocked:
		return "needs " + strings.Join(step.Needs, ", ")
	case Waiting, Doing:
	}
	return step.Title
}

// stuckText says what a person does now, and whom to call.
func (s *State) stuckText() string {
	stuck := s.Stuck()
	if len(stuck) == 0 || s.Ended.IsZero() {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nSTUCK: what is left needs a person.\n")
	for _, i := range stuck {
		x, step := &s.Steps[i], &s.Plan.Steps[i]
		if x.Progress == Blocked {
			continue
		}
		fmt.Fprintf(&b, "  %s: %s\n", step.ID, indented(x.Error))
		if x.Hint != "" {
			fmt.Fprintf(&b, "    hint: %s\n", indented(x.Hint))
		}
		if step.Manual != "" {
			fmt.Fprintf(&b, "    by hand: %s\n", indented(step.Manual))
		}
		if held := s.held(step.ID); len(held) > 0 {
			fmt.Fprintf(&b, "    it holds up: %s\n", strings.Join(held, ", "))
		}
	}
	fmt.Fprintf(&b, "  then: lockstep rollback resume %s\n", s.Plan.ID)
	b.WriteString("  or leave a step out: lockstep rollback skip STEP --reason TEXT\n")
	for i, e := range s.Plan.Escalation {
		if i == 0 {
			b.WriteString("  if that does not help:\n")
		}
		fmt.Fprintf(&b, "    %s\n", oneLine(e))
	}
	return b.String()
}

// held are the blocked steps that need a step, themselves or through others.
func (s *State) held(id string) []string {
	var out []string
	upon := map[string]bool{id: true}
	for i := range s.Steps {
		if s.Steps[i].Progress != Blocked {
			continue
		}
		for _, n := range s.Plan.Steps[i].Needs {
			if upon[n] && !upon[s.Plan.Steps[i].ID] {
				upon[s.Plan.Steps[i].ID] = true
				out = append(out, s.Plan.Steps[i].ID)
			}
		}
	}
	return out
}

// indented keeps a text of many lines below its first one.
func indented(s string) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n      ")
}
