package incident

import (
	"fmt"
	"strings"

	"lockstep/internal/rollback"
)

func (in Input) resolution() []block {
	r := in.Rollback
	if r == nil {
		blocks := []block{para("Nothing was rolled back.")}
		return append(blocks, in.written(SectionResolution, "whoever resolved it", "how it was resolved")...)
	}
	sentences := []string{r.words()}
	if r.Revision != "" {
		sentences = append(sentences, fmt.Sprintf("It goes back to %s at version %d.", r.Revision, r.Version))
	}
	if len(r.Loss) == 0 {
		sentences = append(sentences, "Nothing was lost.")
	}
	blocks := []block{para(sentences...)}
	if len(r.Loss) > 0 {
		blocks = append(blocks, para("Lost for good:"), block{List: rowsOf(r.Loss, boxNone)})
	}
	if len(r.Left) > 0 {
		blocks = append(blocks, para("Left for a person:"), block{List: rowsOf(r.Left, boxOpen)})
	}
	return append(blocks, in.addition(SectionResolution)...)
}

func (r *Rollback) words() string {
	what := strings.TrimSpace(fmt.Sprintf("The %s rollback", r.Procedure))
	if r.Procedure == "" {
		what = "The rollback"
	}
	what += " (plan " + r.Plan
	if r.Scenario != "" {
		what += ", scenario " + r.Scenario
	}
	what += ")"
	steps := fmt.Sprintf("%d of its %s", r.Done, count(r.Steps, "step"))
	took := ""
	if !r.Began.IsZero() && !r.Ended.IsZero() {
		took = " in " + span(r.Ended.Sub(r.Began))
	}
	switch r.Outcome {
	case RollbackDone:
		return fmt.Sprintf("%s took everything back: %s were done%s.", what, steps, took)
	case RollbackIncomplete:
		return fmt.Sprintf("%s did what it could: %s were done%s.", what, steps, took)
	case RollbackUndone:
		return fmt.Sprintf("%s was rolled back itself after %s.", what, steps)
	case RollbackRunning:
		return fmt.Sprintf("%s is under way: %s are done.", what, steps)
	}
	return fmt.Sprintf("%s has done %s.", what, steps)
}

func rowsOf(texts []string, b box) []row {
	var rows []row
	for _, t := range texts {
		rows = append(rows, row{Text: t, Box: b})
	}
	return rows
}

// prevention says what the machine did so that it does not happen again, and leaves
// the rest to people.
func (in Input) prevention() []block {
	var rows []row
	for _, g := range in.Checklist {
		for _, i := range g.Items {
			if i.ID == rollback.ItemQuarantine && i.Evidence != nil && i.Evidence.OK {
				rows = append(rows, row{Text: "The bad revision is refused in every environment: " + i.Evidence.Text, Link: i.Evidence.Link})
			}
		}
	}
	var blocks []block
	if len(rows) > 0 {
		blocks = append(blocks, block{List: rows})
	}
	return append(blocks, in.written(SectionPrevention, "whoever fixes it", "what will prevent this in the future")...)
}

func (in Input) actions() []block {
	var rows []row
	for _, t := range in.Incident.Tasks {
		if t.Term == "" {
			rows = append(rows, in.taskRow(t))
		}
	}
	n, there := in.Incident.Written(SectionActions)
	for l := range strings.SplitSeq(n.Text, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			rows = append(rows, action(l))
		}
	}
	if len(rows) > 0 {
		return []block{{List: rows}}
	}
	if there {
		return []block{para("None.")}
	}
	return in.written(SectionActions, "the team", "one action per line")
}

// action reads a line of the section, which people may write as in the template.
func action(l string) row {
	for prefix, b := range map[string]box{"- [x] ": boxDone, "- [X] ": boxDone, "- [ ] ": boxOpen} {
		if rest, ok := strings.CutPrefix(l, prefix); ok {
			return row{Text: rest, Box: b}
		}
	}
	return row{Text: strings.TrimPrefix(l, "- "), Box: boxOpen}
}

func (in Input) taskRow(t Task) row {
	s := t.Title
	if t.Owner != "" {
		s += ", by " + t.Owner
	}
	if d := t.Done; d != nil {
		how := "by " + d.By
		if d.Evidence {
			how = "seen by " + d.By
		}
		return row{Text: fmt.Sprintf("%s: %s (%s at %s)", s, stopless(d.Text), how, clockTime(d.At)), Link: d.Link, Box: boxDone}
	}
	due := in.Incident.DueAt(t)
	switch {
	case due.IsZero():
	case in.Incident.Overdue(t, in.Now):
		s += fmt.Sprintf(": overdue for %s, was due at %s", span(in.Now.Sub(due)), clockTime(due))
	default:
		s += ": due at " + clockTime(due)
	}
	return row{Text: s, Box: boxOpen}
}

func (in Input) tasks() []block {
	from := "the opening, since the data is not known to be clean"
	if in.Incident.Mark(MarkClean).Known() {
		from = "the data being clean"
	}
	blocks := []block{para("Times are counted from " + from + ".")}
	for _, term := range []Term{TermImmediate, TermShort, TermMedium} {
		var rows []row
		for _, t := range in.Incident.Tasks {
			if t.Term != term {
				continue
			}
			r := in.taskRow(t)
			if t.Done == nil && len(t.Steps) > 0 {
				r.Text += " (" + strings.Join(t.Steps, "; ") + ")"
			}
			rows = append(rows, r)
		}
		if len(rows) > 0 {
			blocks = append(blocks, para(term.Title()+":"), block{List: rows})
		}
	}
	return blocks
}

func (in Input) escalation() []block {
	var rows []row
	for _, e := range in.Contacts.Escalate() {
		rows = append(rows, plainRow(e.Title+": "+e.Text))
	}
	return []block{para("If the rollback fails, or something else turns up:"), {List: rows, Numbered: true}}
}
