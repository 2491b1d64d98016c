package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/app/recovery"
	"lockstep/internal/incident"
	"lockstep/internal/lockstep"
)

func (c *session) incident() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "incident",
		GroupID: groupChange,
		Short:   "Keep what is known of an incident, what is to be done, and write its report",
		Long: `An incident begins with a verdict that takes a release back, or with a person's word,
and ends when somebody closes it. It knows when the first bad effect was published,
when it was detected, commanded, stopped and cleaned, which records were affected,
what people noted and decided, and what the checklist of its rollback shows. The rest
of the report is yours to write.

Nothing of it holds a secret: texts are redacted before they are stored.`,
		Example: `  lockstep incident open --release latest --reason "labels are lost since noon"
  lockstep incident note prod-3 --section root-cause < cause.md
  lockstep incident report prod-3 --html > report.html
  lockstep incident close prod-3 --reason "fixed and understood"`,
	}
	verbs(cmd)
	cmd.AddCommand(c.incidentList(), c.incidentShow(), c.incidentOpen(), c.incidentNote(), c.incidentDecide(), c.incidentTask(),
		c.incidentSign(), c.incidentReport(), c.incidentClose(), c.incidentReopen())
	return cmd
}

// desk opens the incidents and passes them to use. No revision is started for it.
func (c *session) desk(ctx context.Context, use func(*recovery.Desk) error) (err error) {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	control, err := app.OpenOrders(ctx, cfg, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	secrets := (&recovery.Assembly{Config: cfg, Getenv: c.env.Getenv}).Secrets()
	return use(recovery.NewDesk(control, cfg, secrets))
}

// incidentNamed returns the id of an incident: the argument, or the newest one that is open,
// or the newest one.
func incidentNamed(ctx context.Context, d *recovery.Desk, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	all, err := d.Book().List(ctx, "")
	if err != nil {
		return "", err
	}
	for _, in := range all {
		if in.Open() {
			return in.ID, nil
		}
	}
	if len(all) == 0 {
		return "", lockstep.Hint(fmt.Errorf("incident: there is none: %w", lockstep.ErrNotFound), `"lockstep incident open" opens one by hand`)
	}
	return all[0].ID, nil
}

// changed carries an order out and shows the incident after it. What the other ledgers say
// is written down first, so that a decision and its grounds are in the order they came.
func (c *session) changed(ctx context.Context, id string, order func(incident.Incident, incident.Order) (incident.Transition, error)) error {
	return c.desk(ctx, func(d *recovery.Desk) error {
		if _, err := d.Attend(ctx, id); err != nil {
			return err
		}
		_, err := d.Book().Do(ctx, id, func(in incident.Incident) (incident.Transition, error) { return order(in, d.Order()) })
		if err != nil {
			return err
		}
		return c.shown(ctx, d, id)
	})
}

// incidentRow is one line of a list.
type incidentRow struct {
	ID       string          `json:"id"`
	Status   incident.Status `json:"status"`
	OpenedAt time.Time       `json:"opened_at"`
	OpenedBy string          `json:"opened_by"`
	Title    string          `json:"title"`
	Release  string          `json:"release,omitempty"`
	Attempt  int             `json:"attempt,omitempty"`
	Tasks    int             `json:"tasks"` // that are open
	Overdue  int             `json:"overdue"`
	Signed   bool            `json:"signed"` // the report
}

func (c *session) incidentList() *cobra.Command {
	open := false
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the incidents, newest first",
		Args:  exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.desk(cmd.Context(), func(d *recovery.Desk) error {
				all, err := d.Book().List(cmd.Context(), "")
				if err != nil {
					return err
				}
				var rows []incidentRow
				for _, in := range all {
					if in.Open() || !open {
						rows = append(rows, incidentRowOf(in, c.env.Now()))
					}
				}
				return c.printed(rows, func(w io.Writer) { printIncidents(w, rows) })
			})
		},
	}
	cmd.Flags().BoolVar(&open, "open", false, "only those that are open")
	return cmd
}

func incidentRowOf(in incident.Incident, now time.Time) incidentRow {
	r := incidentRow{ID: in.ID, Status: in.Status, OpenedAt: in.OpenedAt, OpenedBy: in.OpenedBy, Title: in.Title, Signed: in.Report != nil}
	if s := in.Subject; s != nil {
		r.Release, r.Attempt = s.Release, s.Attempt
	}
	for _, t := range in.Tasks {
		if t.Done == nil {
			r.Tasks++
		}
		if in.Overdue(t, now) {
			r.Overdue++
		}
	}
	return r
}

func printIncidents(w io.Writer, rows []incidentRow) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		tasks := fmt.Sprintf("%d tasks open", r.Tasks)
		if r.Overdue > 0 {
			tasks += fmt.Sprintf(", %d overdue", r.Overdue)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Status, r.OpenedAt.UTC().Format(time.DateTime), tasks, r.Title)
	}
	_ = t.Flush() // a failed write shows at the next one
}

func (c *session) incidentOpen() *cobra.Command {
	var h recovery.ByHand
	verdict := false
	cmd := &cobra.Command{
		Use:   "open --reason TEXT [--release ID]",
		Short: "Open an incident, by your word or by the verdict that took a release back",
		Long: `Opens an incident with the tasks of the manual. With --release it is about that release,
and knows from the ledgers what its candidate wrote and when; an attempt of a release
has one incident at most, and when it is open it is shown instead.

A running server opens one by itself when guards take a release back; without one,
--verdict does it.`,
		Example: `  lockstep incident open --reason "customers miss receipts"
  lockstep incident open --release prod-7 --reason "labels are lost"
  lockstep incident open --verdict`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if verdict {
				if h != (recovery.ByHand{}) {
					return usageError{errors.New("--verdict takes everything from the verdict, and no other flag")}
				}
				return c.openByVerdict(cmd.Context())
			}
			if h.Attempt != 0 && h.Release == "" || h.Attempt < 0 {
				return usageError{errors.New("--attempt counts from 1, and wants --release")}
			}
			if err := needReason(cmd, h.Reason); err != nil {
				return err
			}
			return c.openByHand(cmd.Context(), h)
		},
	}
	f := cmd.Flags()
	f.StringVar(&h.Reason, "reason", "", "what is wrong (required)")
	f.StringVar(&h.Title, "title", "", "one line for lists (default: made from the reason)")
	f.StringVar(&h.Release, "release", "", `the release that it is about, or "latest"`)
	f.IntVar(&h.Attempt, "attempt", 0, "which attempt of that release (default: its latest)")
	f.BoolVar(&verdict, "verdict", false, "open that of the latest release, if guards took it back")
	return cmd
}

func (c *session) openByHand(ctx context.Context, h recovery.ByHand) error {
	return c.desk(ctx, func(d *recovery.Desk) error {
		in, opened, err := d.OpenByHand(ctx, h)
		if err != nil {
			return err
		}
		return c.opened(ctx, d, in, opened)
	})
}

func (c *session) openByVerdict(ctx context.Context) error {
	return c.releasing(ctx, app.OpenOrders, func(control *app.Control) error {
		head, err := control.Releases.Head(ctx)
		if err != nil {
			return err
		}
		return c.desk(ctx, func(d *recovery.Desk) error {
			in, opened, err := d.OpenByVerdict(ctx, head.State())
			if err != nil {
				return err
			}
			if in.ID == "" {
				return lockstep.Hint(fmt.Errorf("open an incident: %w: no guard took the latest release back", lockstep.ErrNotFound),
					`by your own word: "lockstep incident open --release latest --reason TEXT"`)
			}
			return c.opened(ctx, d, in, opened)
		})
	})
}

//nolint:revive // opened is what was found and no mode
func (c *session) opened(ctx context.Context, d *recovery.Desk, in incident.Incident, opened bool) error {
	if !opened {
		fmt.Fprintf(c.env.Stderr, "there is one about the same: %s\n", in.ID)
	}
	c.next("lockstep incident report %s", in.ID)
	return c.shown(ctx, d, in.ID)
}
