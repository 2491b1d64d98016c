package drill

import (
	"fmt"
	"strings"
)

// Text is the drill for a terminal.
func (d Drill) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "drill %s: %s in %s\n", oneLine(d.ID), d.Outcome, words(d.Took))
	if d.Why != "" {
		fmt.Fprintf(&b, "%s\n", oneLine(d.Why))
	}
	rows := [][]string{
		{"the fault", orDash(d.Fault)},
		{"went back to", orDash(d.Revision)},
		{"by", fmt.Sprintf("the %s plan of scenario %s", d.Procedure, d.Scenario)},
		{"records", fmt.Sprintf("%d were wrong, %d were put right", d.Harmed, d.Restored)},
		{"digest", "is not that of the counterfactual"},
	}
	switch digest := &rows[len(rows)-1][1]; {
	case d.Same:
		*digest = "is that of the counterfactual"
	case d.Outcome == Incomplete:
		*digest = "was not compared"
	}
	took, known := d.Marks.Took()
	for i, name := range intervalNames() {
		row := []string{name, "-"}
		if known[i] {
			row[1] = words(took[i])
		}
		rows = append(rows, row)
	}
	table(&b, rows)
	return b.String()
}

// List is the drills of the report alone, newest first, one on a line.
func (r Report) List() string {
	var b strings.Builder
	if len(r.Drills) > 0 {
		table(&b, r.rows(false))
	}
	return b.String()
}
