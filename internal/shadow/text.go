package shadow

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Text renders the report for people.
func (r Report) Text() string {
	var b strings.Builder
	c := r.Counts
	fmt.Fprintf(&b, "%d units compared, %d dropped, %d failed on both sides\n", c.Units, c.Dropped, c.BothFailed)
	fmt.Fprintf(&b, "%d equal, %d as expected, %d within noise, %d unexpected\n", c.Equal, c.Expected, c.Noise, c.Unexpected)
	if c.Twice > 0 {
		fmt.Fprintf(&b, "stable ran twice on %d: in %d only the candidate differs, in %d only stable from itself; %d break an invariant\n",
			c.Twice, c.Worse, c.Noisier, c.Hard)
	} else if c.Units > 0 {
		fmt.Fprintf(&b, "stable never ran twice, so nothing is known about noise\n")
	}
	if c.Timed > 0 {
		fmt.Fprintf(&b, "slower than tolerated: %d of %d\n", c.Slower, c.Timed)
	}
	if c.Ignored > 0 {
		fmt.Fprintf(&b, "%d differing values ignored by rule\n", c.Ignored)
	}
	section(&b, "Unexpected", r.Unexpected)
	section(&b, "Expected", r.Expected)
	section(&b, "Noise: stable differs from itself", r.Noise)
	drift(&b, r.Drift)
	if r.Other.Records > 0 || r.Other.Drift > 0 {
		fmt.Fprintf(&b, "\n%d more differences, and %d more from the table, are of further classes: at most %d are kept apart\n",
			r.Other.Records, r.Other.Drift, MaxClasses)
	}
	if len(r.BadInput) > 0 {
		b.WriteString("\nFailed on both sides\n")
		for _, s := range r.BadInput {
			s.text(&b)
		}
	}
	return b.String()
}

// section lists rows with their samples. A class is never cut: people copy it.
func section(b *strings.Builder, title string, rows []Row) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  class\tunits\trecords\tstable itself\tinvariant\tre-derived\n")
	for _, row := range rows {
		invariant := "no"
		if row.Hard {
			invariant = "yes"
		}
		fmt.Fprintf(w, "  %s\t%d\t%d\t%d\t%s\t%s\n", row.Class, row.Units, row.Records, row.Again, invariant, row.says())
	}
	_ = w.Flush() // a strings.Builder takes everything
	b.WriteString(table.String())
	for _, row := range rows {
		row.notes(b)
	}
}

func (r *Row) says() string {
	if r.Reading != Divided {
		return string(r.Reading)
	}
	return fmt.Sprintf("divided: stable %d, candidate %d, neither %d", r.StableRight, r.CandidateRight, r.NeitherRight)
}

func (r *Row) notes(b *strings.Builder) {
	if r.Accepted == nil && r.Ended == nil && len(r.Samples) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s\n", r.Class)
	if a := r.Accepted; a != nil {
		fmt.Fprintf(b, "    accepted until %s by %s: %s\n", day(a.Until), plain(a.By), plain(a.Reason))
	}
	if a := r.Ended; a != nil {
		fmt.Fprintf(b, "    was accepted until %s by %s: %s\n", day(a.Until), plain(a.By), plain(a.Reason))
	}
	for _, s := range r.Samples {
		s.text(b)
	}
}

func (s *Sample) text(b *strings.Builder) {
	what := strings.TrimSpace(string(s.Collection) + " " + plain(s.ID))
	if what != "" {
		what += " "
	}
	fmt.Fprintf(b, "    %sin unit %s: stable %s, candidate %s", what, plain(s.Unit), orNothing(s.Stable), orNothing(s.Candidate))
	if s.Right != RightUnknown {
		fmt.Fprintf(b, ", re-derived %s", orNothing(s.Derived))
	}
	b.WriteByte('\n')
}

// plain quotes what could move a terminal's cursor: ids and reasons come from outside.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return plain(s)
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func drift(b *strings.Builder, rows []Row) {
	if len(rows) == 0 {
		return
	}
	b.WriteString("\nStable and candidate agree, and the table says otherwise\n")
	for _, row := range rows {
		fmt.Fprintf(b, "  %s: %d\n", row.Class, row.Drift)
	}
}
