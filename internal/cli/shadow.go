package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
	"lockstep/internal/shadow"
)

func (c *session) shadow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "shadow",
		GroupID: groupRead,
		Short:   "What a candidate would do differently",
		Long: `While a release is in its shadow, canary and bake steps, a running server has both
revisions answer every recorded change once more, beside the work itself: stable
twice, the candidate once. What the candidate does differently, and stable from
itself does not, counts against it. The answers are thrown away.`,
	}
	verbs(cmd)
	cmd.AddCommand(c.shadowReport(), c.shadowAccept(), c.shadowReplay())
	return cmd
}

// comparing opens the half that decides about releases and passes it to use.
func (c *session) comparing(ctx context.Context, use func(*app.Control) error) (err error) {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	control, err := app.OpenControl(ctx, cfg, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	return use(control)
}

func (c *session) shadowReport() *cobra.Command {
	var candidate string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Show the differences that were seen, by class, with examples",
		Long: `Shows what the comparison of the latest release has seen, or with --candidate that
of a revision with what is stable now. Differences that somebody accepted are
listed as expected as long as the acceptance lasts.`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.comparing(cmd.Context(), func(control *app.Control) error {
				r, err := control.ShadowReport(cmd.Context(), candidate)
				if err != nil {
					return err
				}
				if len(r.Report.Unexpected) > 0 {
					c.next("lockstep shadow accept CLASS --until 7d --reason WHY, where a class is meant")
				}
				return c.printed(r, func(w io.Writer) { printShadow(w, r) })
			})
		},
	}
	cmd.Flags().StringVar(&candidate, "candidate", "", "the revision (default: that of the latest release)")
	return cmd
}

func printShadow(w io.Writer, r app.ShadowReport) {
	fmt.Fprintf(w, "%s against %s, ", r.Candidate, r.Stable)
	switch {
	case r.From > 0:
		fmt.Fprintf(w, "versions %d to %d\n", r.From, r.To)
	case r.To == 0:
		fmt.Fprintln(w, "nothing compared yet")
	default:
		fmt.Fprintf(w, "up to version %d\n", r.To)
	}
	fmt.Fprint(w, r.Report.Text())
	for _, h := range r.Hard {
		if !slices.ContainsFunc(r.Report.Unexpected, func(row shadow.Row) bool { return row.Class == h.Class }) {
			continue // it is expected
		}
		fmt.Fprintf(w, "breaks the invariant %s in %d units, when they are run again as well\n", h.Class, h.Units)
	}
}

func (c *session) shadowAccept() *cobra.Command {
	var until, reason string
	cmd := &cobra.Command{
		Use:   "accept CLASS --until DATE|DURATION --reason WHY",
		Short: "Say that differences of a class are expected until a day",
		Long: `Differences of the class no longer count against a candidate, also those that were
seen already; from the end on they count again. CLASS is copied from "lockstep
shadow report", or is a glob over one: * stands for anything between two slashes.
A class about which records there are has to be spelt out.

The end is a duration from now (36h, 14d), a date (2026-12-31: the beginning of
that day, UTC), or a time in RFC 3339.`,
		Example: `  lockstep shadow accept "*/metadata.label/missing" --until 14d --reason "labels follow the items now"`,
		Args:    exactly(1, "one class"),
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := endOf(until, c.env.Now())
			if err != nil {
				return usageError{err}
			}
			return c.comparing(cmd.Context(), func(control *app.Control) error {
				a, err := control.Expect(cmd.Context(), args[0], reason, end)
				if err != nil {
					return err
				}
				c.next("lockstep shadow report")
				return c.printed(a, func(w io.Writer) {
					fmt.Fprintf(w, "%s is expected until %s, says %s: %s\n", a.Class, a.Until.Format(time.RFC3339), a.By, a.Reason)
				})
			})
		},
	}
	cmd.Flags().StringVar(&until, "until", "", "when the differences count again")
	cmd.Flags().StringVar(&reason, "reason", "", "why they are expected, for the ledger")
	return cmd
}

// endOf reads a duration from now, a date or a time.
func endOf(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--until %q: %w: want a duration such as 36h or 14d, a date such as 2026-12-31, or a time in RFC 3339", text, lockstep.ErrInvalid)
}

func (c *session) shadowReplay() *cobra.Command {
	var req app.ReplayRequest
	cmd := &cobra.Command{
		Use:   "replay --from VERSION --to VERSION",
		Short: "Compare a candidate with stable on recorded changes, now",
		Long: `Has both revisions answer the recorded changes of a range of versions once more,
each on the state that it was decided on, and shows what differs. Nothing is
changed and nothing is recorded. Embeddings come from the archive alone.

Ends with status 5 when there are differences that nobody has accepted.`,
		Example: `  lockstep shadow replay --from 100 --to 180 --candidate receipts@3`,
		Args:    exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("from") || !cmd.Flags().Changed("to") {
				return usageError{errors.New(`lockstep shadow replay: --from VERSION and --to VERSION are needed ("lockstep log" lists the versions)`)}
			}
			return c.comparing(cmd.Context(), func(control *app.Control) error { return c.replayed(cmd.Context(), control, req) })
		},
	}
	fl := cmd.Flags()
	fl.Uint64Var(&req.From, "from", 0, "the first version")
	fl.Uint64Var(&req.To, "to", 0, "the last version")
	fl.StringVar(&req.Candidate, "candidate", "", "the revision (default: that of the latest release)")
	return cmd
}

func (c *session) replayed(ctx context.Context, control *app.Control, req app.ReplayRequest) error {
	r, err := control.Replay(ctx, req)
	if err != nil {
		return err
	}
	if err := c.printed(r, func(w io.Writer) { printShadow(w, r) }); err != nil {
		return err
	}
	if n := r.Report.Counts.Unexpected; n > 0 {
		return lockstep.Hint(fmt.Errorf("shadow replay: %w: %d of %d units differ in a way that nobody has accepted", lockstep.ErrRefused, n, r.Report.Counts.Units),
			`what is meant is accepted by class: "lockstep shadow accept CLASS --until 7d --reason WHY"`)
	}
	return nil
}
