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
	fmt.Fprintf(&b, "**Environment**: %s  \n**Situation**: %s, impact %s  \n**Procedure**: %s  \n**Asked for by**: %s, %s: %s\n\n",
		cell(p.Environment), p.Scenario, p.Scenario.Impact(), p.Procedure, cell(p.By), p.At.UTC().Format(time.RFC3339), cell(p.Reason))
	if p.Bad != "" {
		fmt.Fprintf(&b, "From `%s` to `%s`, last known good version %d.\n\n", p.Bad, p.To.Revision, p.To.Version)
	}
	b.WriteString("| # | step | what changes | predicted | risk | undone by |\n|---|---|---|---|---|---|\n")
	for i := range p.Steps {
		s := &p.Steps[i]
		fmt.Fprintf(&b, "| %d | %s: %s | %s | %s | %s | %s |\n", i+1, cell(s.ID), cell(s.Title), cell(orDash(s.Changes)), short(s.Predicted), cell(orDash(s.Risk)), cell(orDash(s.UndoBy)))
	}
	fmt.Fprintf(&b, "\n**Time to execute**: about %s (the document gives %s)  \n**Lost**: %s  \n**Roll back this rollback**: `lockstep rollback undo %s`\n",
		short(p.Predicted()), short(Budget(p.Scenario, p.Procedure)), cell(lossText(p.Loss())), p.ID)
	if len(p.Notes) > 0 {
		b.WriteString("\n## Why\n\n")
		for _, n := range p.Notes {
			fmt.Fprintf(&b, "- %s\n", cell(n))
		}
	}
	return b.String()
}

// cell keeps a text inside one cell of a table, and out of the markup.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "\r", " ", "<", "&lt;", ">", "&gt;").Replace(s)
}

// ChecklistMarkdown is the checklist in the form of the document.
func ChecklistMarkdown(groups []Group) string {
	var b strings.Builder
	b.WriteString("## Rollback Checklist\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "\n### %s\n\n", g.Title)
		for _, it := range g.Items {
			box := " "
			if it.Status == ItemTicked {
				box = "x"
			}
			fmt.Fprintf(&b, "- [%s] %s%s\n", box, it.Title, it.why())
		}
	}
	return b.String()
}

// why is what stands behind an item.
func (it *Item) why() string {
	switch it.Status {
	case ItemTicked:
		out := ": " + cell(it.Text)
		if it.Person {
			return out + fmt.Sprintf(" (signed by %s, %s)", cell(it.By), it.At.UTC().Format(time.RFC3339))
		}
		if it.Link != "" {
			return out + fmt.Sprintf(" (%s, %s)", cell(it.By), cell(it.Link))
		}
		return out + fmt.Sprintf(" (%s)", cell(it.By))
	case ItemContradicted:
		return ": **not so**: " + cell(it.Text)
	case ItemNotApplicable:
		return ": n/a, " + cell(it.Text)
	case ItemOpen:
	}
	return ": open, " + cell(it.Text)
}
