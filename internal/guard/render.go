package guard

import (
	"fmt"
	"strings"
	"time"
)

// Text renders the assessment for people: the verdict and its reason, then every line
// of the document with its evidence, reasons not to roll back last.
func (a Assessment) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n%s\n", a.Verdict.words(), a.Reason, a.Verdict.Sentence())
	part := func(title string, mine func(CriterionVerdict) bool) {
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, line := range a.Criteria {
			if mine(line) {
				line.text(&b)
			}
		}
	}
	part("Reasons to roll back", func(c CriterionVerdict) bool { return c.Trigger })
	part("Reasons not to", func(c CriterionVerdict) bool { return !c.Trigger })
	return b.String()
}

func (d Decision) words() string { return strings.ReplaceAll(string(d), "-", " ") }

func (c CriterionVerdict) text(b *strings.Builder) {
	if len(c.Evidence) == 0 {
		fmt.Fprintf(b, "  %-13s %s\n", "not asked", c.Title)
		return
	}
	fmt.Fprintf(b, "  %-13s %s\n", c.Verdict, c.Title)
	for _, r := range c.Evidence {
		fmt.Fprintf(b, "    %-13s %s (%s): %s", r.Verdict, r.Guard, r.Action, r.Reason)
		if r.Verdict != Pass && !r.Since.IsZero() {
			fmt.Fprintf(b, "; since %s", r.Since.UTC().Format(time.RFC3339))
		}
		b.WriteByte('\n')
	}
}
