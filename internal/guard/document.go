package guard

import (
	"fmt"
	"strings"
)

// Page returns docs/guards.md, written from the tables that the program itself uses. A
// test compares the two, so that the list cannot rot.
func Page() string {
	var b strings.Builder
	b.WriteString(pageHead)
	b.WriteString("\n## The lines of the document\n\n| line | criterion | a reason to roll back | meaning |\n|---|---|---|---|\n")
	for _, c := range Criteria() {
		trigger := "no: fix forward"
		if c.Trigger() {
			trigger = "yes"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", c.Title(), c, trigger, c.Sentence())
	}
	b.WriteString("\n## Verdicts\n\n| verdict | meaning |\n|---|---|\n")
	for _, v := range Verdicts() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v, v.Sentence())
	}
	b.WriteString(pageJudge)
	for _, d := range Decisions() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", d, d.Sentence())
	}
	b.WriteString(pageAssess)
	writeGuards(&b)
	writeMetrics(&b)
	b.WriteString(pageSources)
	b.WriteString(pageRecordings)
	b.WriteString(pageConfig)
	return b.String()
}

func writeGuards(b *strings.Builder) {
	b.WriteString("\n## Built-in guards\n\nAll ask the source `ledger`. A guard with the same name in the configuration replaces one of these.\n")
	for _, c := range Criteria() {
		fmt.Fprintf(b, "\n### %s\n\n| guard | question | must hold | window | fails at | action | asked |\n|---|---|---|---|---|---|---|\n", c.Title())
		for _, g := range Builtin() {
			if g.Criterion != c {
				continue
			}
			question := "`" + g.Question + "`"
			if g.Against != "" {
				question += " against `" + g.Against + "`"
			}
			d := g.Debounce.resolved()
			fmt.Fprintf(b, "| `%s` | %s | %s | %s | %d of %d looks | %s | %s |\n",
				g.Name, question, g.Test.Sentence(), short(g.Window.String()), d.Fails, d.Of, g.Action, g.Needs.Sentence())
		}
		b.WriteByte('\n')
		for _, g := range Builtin() {
			if g.Criterion == c {
				fmt.Fprintf(b, "- `%s`: %s\n", g.Name, g.Why)
			}
		}
	}
}

func writeMetrics(b *strings.Builder) {
	b.WriteString("\n## Metrics of the source `ledger`\n\n| metric | unit | counts |\n|---|---|---|\n")
	for _, m := range Metrics() {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", m.Name, m.Unit, m.Sentence)
	}
}

// short leaves the zero parts of a duration's text away.
func short(d string) string {
	d = strings.TrimSuffix(d, "0s")
	if s := strings.TrimSuffix(d, "0m"); s != d && strings.HasSuffix(s, "h") {
		return s
	}
	return d
}
