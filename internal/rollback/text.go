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
	fmt.Fprintf(&b, "plan %s: %s rollback in %s (%s; impact %s)\n", p.ID, p.Procedure, p.Environment, p.Scenario, p.Scenario.Impact())
	if p.Undoes != "" {
		fmt.Fprintf(&b, "  it takes plan %s back\n", p.Undoes)
	}
	if p.Bad != "" {
		fmt.Fprintf(&b, "  from   %s\n", p.Bad)
	}
	if p.To.Revision != "" {
		fmt.Fprintf(&b, "  to     %s, with the index of version %d as the last known good\n", p.To.Revision, p.To.Version)
	}
	fmt.Fprintf(&b, "  time   about %s; the document gives %s\n", short(p.Predicted()), short(Budget(p.Scenario, p.Procedure)))
	fmt.Fprintf(&b, "  lost   %s\n", lossText(p.Loss()))
	b.WriteByte('\n')
	t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\tstep\twhat\ttime\tundone by")
	for i := range p.Steps {
		s := &p.Steps[i]
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", i+1, s.ID, s.Title, short(s.Predicted), orDash(s.UndoBy))
	}
	_ = t.Flush() // a strings.Builder takes everything
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Changes+s.Risk != "" {
			fmt.Fprintf(&b, "\n%s: %s", s.ID, sentence(s.Changes))
			if s.Risk != "" {
				fmt.Fprintf(&b, " Risk: %s", sentence(s.Risk))
			}
		}
	}
	if len(p.Notes) > 0 {
		b.WriteString("\n\nwhy:\n")
		for _, n := range p.Notes {
			fmt.Fprintf(&b, "  - %s\n", n)
		}
	} else {
		b.WriteByte('\n')
	}
	return b.String()
}

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.TrimSuffix(s, ".") + "."
}

func lossText(loss []string) string {
	if len(loss) == 0 {
		return "nothing"
	}
	return strings.Join(loss, "; ")
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
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
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
		fmt.Fprintf(&b, " after %s", short(s.Ended.Sub(s.Began)))
	}
	if s.UndoneBy != "" {
		fmt.Fprintf(&b, ", by plan %s", s.UndoneBy)
	}
	b.WriteString("\n\n")
	t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	for i := range s.Steps {
		x, step := &s.Steps[i], &s.Plan.Steps[i]
		took := "-"
		if !x.Ended.IsZero() && !x.Began.IsZero() {
			took = short(max(x.Ended.Sub(x.Began), time.Millisecond))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", mark(x), step.ID, took, x.line(step))
	}
	_ = t.Flush() // a strings.Builder takes everything
	b.WriteString(s.stuckText())
	return b.String()
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
		if x.Already {
			return orDash(x.Sight.Detail) + " (it was so already)"
		}
		return orDash(x.Sight.Detail)
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
		fmt.Fprintf(&b, "  %s: %s\n", step.ID, x.Error)
		if x.Hint != "" {
			fmt.Fprintf(&b, "    hint: %s\n", x.Hint)
		}
		if step.Manual != "" {
			fmt.Fprintf(&b, "    by hand: %s\n", step.Manual)
		}
	}
	fmt.Fprintf(&b, "  then: lockstep rollback resume %s\n", s.Plan.ID)
	for _, e := range s.Plan.Escalation {
		fmt.Fprintf(&b, "  call: %s\n", e)
	}
	return b.String()
}
