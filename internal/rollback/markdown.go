package rollback

import (
	"fmt"
	"strings"
	"time"
)

// Markdown is the plan as a page, in the manner of the document.
func (p *Plan) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Rollback plan %s\n\n", p.ID)
	fmt.Fprintf(&b, "**Environment**: %s  \n**Scenario**: %s  \n**Impact**: %s  \n**Procedure**: %s  \n**Asked for by**: %s, %s  \n**Reason**: %s\n\n",
		cell(p.Environment), p.Scenario, p.Scenario.Impact(), p.Procedure, cell(p.By), stamp(p.At), cell(p.Reason))
	switch {
	case p.Undoes != "":
		fmt.Fprintf(&b, "It takes plan `%s` back.\n\n", p.Undoes)
	case p.Bad != "" && p.To.Revision != "":
		fmt.Fprintf(&b, "From %s to %s, last known good at version %d.\n\n", code(p.Bad), code(p.To.Revision), p.To.Version)
	}
	b.WriteString("## Steps\n\n| # | Step | What changes | Needs | Predicted | Risk | Undone by |\n|---|---|---|---|---|---|---|\n")
	for i := range p.Steps {
		s := &p.Steps[i]
		fmt.Fprintf(&b, "| %d | **%s**: %s | %s | %s | %s | %s | %s |\n", i+1, cell(s.ID), cell(s.Title), cell(orDash(s.Changes)), cell(orDash(strings.Join(s.Needs, ", "))),
			short(s.Predicted), cell(orDash(s.Risk)), cell(orDash(s.UndoBy)))
	}
	fmt.Fprintf(&b, "\n**Time to Execute**: %s  \n**Lost**: %s  \n**Rollback This Rollback**: `lockstep rollback undo %s`\n",
		p.timeText(), cell(lossText(p.Loss())), p.ID)
	list(&b, "By hand, if a step is stuck", p.manual())
	list(&b, "Why this way", cells(p.Notes))
	list(&b, "Emergency Contact", cells(p.Escalation))
	return b.String()
}

// manual is what a person does about each step.
func (p *Plan) manual() []string {
	var out []string
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Manual != "" {
			out = append(out, fmt.Sprintf("**%s**: %s", cell(s.ID), code(s.Manual)))
		}
	}
	return out
}

// list writes a section, unless nothing is in it.
func list(b *strings.Builder, title string, items []string) {
	for i, s := range items {
		if i == 0 {
			fmt.Fprintf(b, "\n## %s\n\n", title)
		}
		fmt.Fprintf(b, "- %s\n", s)
	}
}

// cell keeps a text inside one line, one cell of a table, and out of the markup.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", ">", "&gt;", "[", "\\[", "]", "\\]").Replace(oneLine(s))
}

func cells(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = cell(s)
	}
	return out
}

// code is a text as it is typed.
func code(s string) string { return "`" + strings.ReplaceAll(oneLine(s), "`", "'") + "`" }

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// ChecklistMarkdown is the checklist in the form of the document: a box per item, and
// behind it the evidence, the signature, or why it is open.
func ChecklistMarkdown(groups []Group) string {
	var b strings.Builder
	total, ticked := 0, 0
	for _, g := range groups {
		for i := range g.Items {
			if g.Items[i].Status != ItemNotApplicable {
				total++
			}
			if g.Items[i].Status == ItemTicked {
				ticked++
			}
		}
	}
	b.WriteString("## Rollback Checklist\n\n")
	if open := len(Open(groups)); open > 0 {
		fmt.Fprintf(&b, "%d of %d are ticked. Before the rollback is declared complete, %d are to be settled.\n", ticked, total, open)
	} else {
		fmt.Fprintf(&b, "All %d are ticked: the rollback may be declared complete.\n", total)
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n### %s\n\n", g.Title)
		for i := range g.Items {
			it := &g.Items[i]
			box := " "
			if it.Status == ItemTicked {
				box = "x"
			}
			fmt.Fprintf(&b, "- [%s] %s (`%s`)%s\n", box, it.Title, it.ID, it.why())
		}
	}
	return b.String()
}

// why is what stands behind an item.
func (it *Item) why() string {
	switch it.Status {
	case ItemTicked:
		by := cell(it.By)
		if it.Person {
			by = "signed by " + by + ", " + stamp(it.At)
		}
		if it.Link != "" {
			by += ", " + cell(it.Link)
		}
		return ": " + cell(it.Text) + " (" + by + ")"
	case ItemContradicted:
		return ": **NOT SO**: " + cell(it.Text) + " (" + cell(it.By) + ")"
	case ItemNotApplicable:
		return ": n/a, " + cell(it.Text)
	case ItemOpen:
	}
	return ": open, " + cell(it.Text)
}
