package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app/recovery"
	"lockstep/internal/incident"
)

// incidentView is an incident for programs: all that is stored of it, what the other ledgers
// say besides, and what follows from both.
type incidentView struct {
	incident.Incident

	Intervals []intervalRow `json:"intervals"`
	Due       []taskRow     `json:"due"`      // the tasks that are open, those that are due first at the top
	Blocking  []blockerRow  `json:"blocking"` // what keeps it from being closed
}

type intervalRow struct {
	Name  string            `json:"name"`
	From  incident.MarkKind `json:"from"`
	To    incident.MarkKind `json:"to"`
	Known bool              `json:"known"`
	Took  time.Duration     `json:"took_ns"`
	Words string            `json:"words"`
}

type taskRow struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Owner   string    `json:"owner,omitempty"`
	Due     time.Time `json:"due,omitzero"`
	Overdue bool      `json:"overdue"`
}

type blockerRow struct {
	ID   string `json:"id"`
	What string `json:"what"`
}

func (c *session) incidentShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show [INCIDENT]",
		Short: "Show what is known of an incident, and what is left to do",
		Long: `Shows the five times by which an incident is measured and what lies between them, the
tasks with the time at which each is due, the items of the checklist that are open,
and what belongs to it. Without an argument: the newest that is open.`,
		Args: atMostOne("one incident"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.desk(cmd.Context(), func(d *recovery.Desk) error {
				id, err := incidentNamed(cmd.Context(), d, args)
				if err != nil {
					return err
				}
				return c.shown(cmd.Context(), d, id)
			})
		},
	}
}

// shown prints an incident as it stands.
func (c *session) shown(ctx context.Context, d *recovery.Desk, id string) error {
	in, err := d.Input(ctx, id)
	if err != nil {
		return err
	}
	v := viewOfIncident(in)
	return c.printed(v, func(w io.Writer) { printIncident(w, &v) })
}

func viewOfIncident(input incident.Input) incidentView {
	in := input.Incident
	v := incidentView{Incident: in, Intervals: []intervalRow{}, Due: dueTasks(in, input.Now), Blocking: []blockerRow{}}
	for _, i := range in.Intervals() {
		v.Intervals = append(v.Intervals, intervalRow{i.Name, i.From, i.To, i.Known, i.Took, i.String()})
	}
	if in.Open() {
		for _, b := range in.Blocking(input.Checklist) {
			v.Blocking = append(v.Blocking, blockerRow{b.ID, b.Text})
		}
	}
	return v
}

// dueTasks are the open tasks, the most urgent first, those without a time last.
func dueTasks(in incident.Incident, now time.Time) []taskRow {
	rows := []taskRow{}
	for _, t := range in.Tasks {
		if t.Done == nil {
			rows = append(rows, taskRow{t.ID, t.Title, t.Owner, in.DueAt(t), in.Overdue(t, now)})
		}
	}
	slices.SortStableFunc(rows, func(a, b taskRow) int {
		if a.Due.IsZero() != b.Due.IsZero() {
			return -a.Due.Compare(b.Due) // the zero time is none, and not long ago
		}
		return a.Due.Compare(b.Due)
	})
	return rows
}

func printIncident(w io.Writer, v *incidentView) {
	fmt.Fprintf(w, "incident %s in %s: %s\n", v.ID, v.Environment, v.Title)
	fmt.Fprintf(w, "opened at %s by %s: %s\n", stamp(v.OpenedAt), v.OpenedBy, v.Cause.Reason)
	switch r := v.Report; {
	case v.Closed != nil:
		fmt.Fprintf(w, "closed at %s by %s: %s\n", stamp(v.Closed.At), v.Closed.By, v.Closed.Reason)
	case r == nil:
		fmt.Fprintln(w, "it is open, and its report is a draft")
	default:
		fmt.Fprintln(w, "it is open")
	}
	if r := v.Report; r != nil {
		fmt.Fprintf(w, "report signed at %s by %s, sha256 %s\n", stamp(r.At), r.By, r.Markdown)
	}
	if s := v.Subject; s != nil {
		where := s.Step
		if where == "" {
			where = "every step passed"
		}
		fmt.Fprintf(w, "about %s: release %s, attempt %d, %s\n", s.Candidate, s.Release, s.Attempt, where)
	}
	if a := v.Affected; a != nil {
		fmt.Fprintf(w, "affected: %d records, on behalf of %d keys; counted from %s\n", a.Records(), a.KeyCount, a.Source)
	}
	printMarks(w, v)
	printTasks(w, v.Incident, v.Due)
	if len(v.Blocking) > 0 {
		fmt.Fprintln(w, "\nbefore it is closed:")
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		for _, b := range v.Blocking {
			fmt.Fprintf(t, "  %s\t%s\n", b.ID, b.What)
		}
		_ = t.Flush() // a failed write shows at the next one
	}
	printRecords(w, v.Incident)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func printMarks(w io.Writer, v *incidentView) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, k := range incident.MarkKinds() {
		if m := v.Mark(k); m.Known() {
			fmt.Fprintf(t, "%s\t%s\tby %s\n", k.Title(), m.At.UTC().Format("2006-01-02 15:04:05.000Z"), m.Source)
		} else {
			fmt.Fprintf(t, "%s\tnot known\t%s\n", k.Title(), m.Unknown)
		}
	}
	for _, i := range v.Intervals {
		fmt.Fprintf(t, "%s\t%s\n", i.Name, i.Words)
	}
	_ = t.Flush() // a failed write shows at the next one
}

func printTasks(w io.Writer, in incident.Incident, due []taskRow) {
	fmt.Fprintln(w, "\ntasks:")
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range due {
		when := "when it can be done"
		switch {
		case r.Overdue:
			when = "OVERDUE since " + stamp(r.Due)
		case !r.Due.IsZero():
			when = "due at " + stamp(r.Due)
		}
		if r.Owner != "" {
			when += ", by " + r.Owner
		}
		fmt.Fprintf(t, "  [ ]\t%s\t%s\t%s\n", r.ID, r.Title, when)
	}
	for _, task := range in.Tasks {
		if d := task.Done; d != nil {
			fmt.Fprintf(t, "  [x]\t%s\t%s\tat %s, %s: %s\n", task.ID, task.Title, stamp(d.At), d.By, d.Text)
		}
	}
	_ = t.Flush() // a failed write shows at the next one
}

// printRecords prints what people added, and what belongs to the incident.
func printRecords(w io.Writer, in incident.Incident) {
	if len(in.Decisions)+len(in.Notes)+len(in.Signatures)+len(in.Accepted)+len(in.Links) > 0 {
		fmt.Fprintln(w)
	}
	for _, x := range in.Decisions {
		fmt.Fprintf(w, "%s %s decided: %s, because %s\n", stamp(x.At), x.By, x.What, x.Why)
	}
	for _, n := range in.Notes {
		if n.Section != "" {
			fmt.Fprintf(w, "%s %s wrote the section %s\n", stamp(n.At), n.By, n.Section)
			continue
		}
		fmt.Fprintf(w, "%s %s noted: %s\n", stamp(n.At), n.By, n.Text)
	}
	for _, s := range in.Signatures {
		fmt.Fprintf(w, "%s %s signed %s: %s\n", stamp(s.At), s.By, s.Item, s.Reason)
	}
	for _, a := range in.Accepted {
		fmt.Fprintf(w, "%s %s closed it with %s open: %s\n", stamp(a.At), a.By, a.What, a.Reason)
	}
	for _, l := range in.Links {
		fmt.Fprintf(w, "%s: %s", l.Kind, l.To)
		if l.Text != "" {
			fmt.Fprintf(w, " (%s)", l.Text)
		}
		fmt.Fprintln(w)
	}
}
