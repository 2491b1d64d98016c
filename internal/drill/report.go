package drill

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Report is what is shown of the drills of an environment.
type Report struct {
	Environment string        `json:"environment"`
	At          time.Time     `json:"at"`
	Total       int           `json:"total"`
	Limit       time.Duration `json:"limit_ns"`          // on the age; 0: none
	Refusal     string        `json:"refusal,omitempty"` // why no release may start
	Statistics  Statistics    `json:"statistics"`
	Drills      []Drill       `json:"drills"` // newest first
}

// Report sums up the last n drills as they stand at now.
func (b Book) Report(now time.Time, maxAge time.Duration, n int) Report {
	r := Report{Environment: b.Environment, At: now.Round(0).UTC(), Total: b.Total, Limit: max(maxAge, 0), Statistics: b.Statistics(n), Drills: []Drill{}}
	if err := b.Gate(now, maxAge); err != nil {
		r.Refusal = err.Error()
	}
	for i := len(b.Last(n)) - 1; i >= 0; i-- {
		r.Drills = append(r.Drills, b.Last(n)[i])
	}
	return r
}

// JSON is the report for programs: one indented document.
func (r Report) JSON() ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("report of drills: %w", err)
	}
	return []byte(b.String()), nil
}

// verdict says in one sentence whether releases may start.
func (r Report) verdict() string {
	switch {
	case r.Refusal != "":
		return "releases are refused: " + r.Refusal
	case r.Limit == 0:
		return "releases do not ask for drills"
	}
	return fmt.Sprintf("releases may start: the last passed drill is at most %s old", words(r.Limit))
}

func (r Report) summary() string {
	s := r.Statistics
	if s.Drills == 0 {
		return "no drill has been run"
	}
	return fmt.Sprintf("the last %d of %d drills: %d passed, %d failed, %d incomplete", s.Drills, r.Total, s.Passed, s.Failed, s.Incomplete)
}

// Text is the report for a terminal.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "drills in %s at %s\n%s\n%s\n", r.Environment, stamp(r.At), r.summary(), r.verdict())
	if len(r.Drills) == 0 {
		return b.String()
	}
	b.WriteByte('\n')
	table(&b, r.intervals())
	b.WriteByte('\n')
	table(&b, r.rows(false))
	for _, d := range r.Drills {
		if d.Why != "" {
			fmt.Fprintf(&b, "%s: %s: %s\n", oneLine(d.ID), d.Outcome, oneLine(d.Why))
		}
	}
	return b.String()
}

func table(b *strings.Builder, rows [][]string) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = oneLine(row[i])
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // into a builder
}

// Markdown is the report for a page or an issue.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Rollback drills in %s\n\n%s, %s.\n\n**%s**\n", r.Environment, stamp(r.At), r.summary(), cell(r.verdict()))
	if len(r.Drills) == 0 {
		return b.String()
	}
	b.WriteString("\n## How long the way back takes\n\n")
	markdownTable(&b, r.intervals())
	b.WriteString("\n## Drills\n\n")
	markdownTable(&b, r.rows(true))
	return b.String()
}

func markdownTable(b *strings.Builder, rows [][]string) {
	for i, row := range rows {
		for _, text := range row {
			b.WriteString("| " + cell(text) + " ")
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
}

// cell keeps a text from ending its cell, its line or the table.
func cell(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "`", "\\`", "*", "\\*", "<", "&lt;", "&", "&amp;").Replace(oneLine(s))
}

// oneLine keeps what somebody wrote from being more than a line, or a command to a
// terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

func (r Report) intervals() [][]string {
	rows := [][]string{{"interval", "p50", "p95", "drills"}}
	for _, i := range r.Statistics.Intervals {
		p50, p95, samples := words(i.P50), words(i.P95), fmt.Sprint(i.Samples)
		if i.Samples == 0 {
			p50, p95 = "-", "-"
		}
		if i.Few {
			samples += fmt.Sprintf(", too few to rely on: want %d", Enough)
		}
		rows = append(rows, []string{i.Name, p50, p95, samples})
	}
	return rows
}

// rows has one line per drill; with the reason when there is room for it.
func (r Report) rows(reasons bool) [][]string { //nolint:revive // reasons is data
	head := []string{"drill", "began", "by", "scenario", "fault", "revision", "plan", "harmed", "restored", "digest equal", "took", "outcome"}
	if reasons {
		head = append(head, "why")
	}
	rows := [][]string{head}
	for _, d := range r.Drills {
		equal := "no"
		switch {
		case d.Same:
			equal = "yes"
		case d.Outcome == Incomplete:
			equal = "-"
		}
		row := []string{
			d.ID, stamp(d.At), d.By, d.Scenario + ", " + d.Procedure, orDash(d.Fault), orDash(d.Revision), orDash(d.Plan),
			fmt.Sprint(d.Harmed), fmt.Sprint(d.Restored), equal, words(d.Took), string(d.Outcome),
		}
		if reasons {
			row = append(row, orDash(d.Why))
		}
		rows = append(rows, row)
	}
	return rows
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// words is a duration to three digits or so, in days where it is long.
func words(d time.Duration) string {
	switch {
	case d >= 2*day && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*day:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.String()
}
