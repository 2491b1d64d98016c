package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// Print writes the result as a table, with what it means below. It returns the error
// of w.
func (r *Result) Print(w io.Writer) error {
	fmt.Fprintf(w, "%d receipts, seed %d, skew %g, %s; %d per request, %s arrivals, at most %d requests under way\n\n",
		r.Keys, r.Seed, r.Skew, r.Mix, r.Batch, r.Arrivals, r.InFlight)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "rate/s\tachieved\tp50\tp90\tp99\tp99.9\tmax\terrors\tparked\tversions\tbacklog\theld\t")
	for i := range r.Steps {
		s := &r.Steps[i]
		fmt.Fprintf(tw, "%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t\n", number(s.Rate), s.Achieved,
			brief(s.Latency.P50), brief(s.Latency.P90), brief(s.Latency.P99), brief(s.Latency.P999), brief(s.Latency.Max),
			s.Failed+s.Unsent, s.Parked, s.Versions, s.Backlog, yes(s.Held))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for i := range r.Steps {
		r.Steps[i].explain(w)
	}
	if r.Held > 0 {
		fmt.Fprintf(w, "highest rate held: %s changes per second\n", number(r.Held))
	} else {
		fmt.Fprintln(w, "highest rate held: none")
	}
	if r.Objective == "" {
		return nil
	}
	verdict := "holds"
	if !r.Passed {
		verdict = "does not hold: " + r.Why
	}
	_, err := fmt.Fprintf(w, "objective %s: %s\n", r.Objective, verdict)
	return err
}

// explain says of one step what the table cannot hold.
func (s *StepResult) explain(w io.Writer) {
	sent := s.Sent.Inserts + s.Sent.Edits + s.Sent.Deletes
	if sent > 0 {
		fmt.Fprintf(w, "at %s/s: %d changes (%.0f%% edits, %.0f%% inserts, %.0f%% deletes) changed %d published records\n", number(s.Rate), sent,
			share(s.Sent.Edits, sent), share(s.Sent.Inserts, sent), share(s.Sent.Deletes, sent), s.Changed)
	}
	for _, class := range slices.Sorted(maps.Keys(s.Errors)) {
		fmt.Fprintf(w, "  errors: %d %s\n", s.Errors[class], class)
	}
	if s.Example != "" {
		fmt.Fprintf(w, "  the first: %s\n", s.Example)
	}
	if s.Why != "" {
		fmt.Fprintf(w, "  not held: %s\n", s.Why)
	}
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func yes(b bool) string { //nolint:revive // b is data
	if b {
		return "yes"
	}
	return "no"
}

// brief rounds a duration to three digits or so.
func brief(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= 100*time.Millisecond:
		d = d.Round(time.Millisecond)
	case d >= 10*time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	case d >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	default:
		d = d.Round(time.Microsecond)
	}
	return d.String()
}
