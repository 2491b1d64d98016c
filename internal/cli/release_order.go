package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/release"
)

// orderly is a command that is one order, carried out without starting any revision.
func (c *session) orderly(use, short string, order func(release.State, release.Order) (release.Transition, error)) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.order(cmd.Context(), reason, order)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger")
	return cmd
}

// order carries an order out and prints the state after it.
func (c *session) order(ctx context.Context, reason string, order func(release.State, release.Order) (release.Transition, error)) error {
	return c.releasing(ctx, app.OpenOrders, func(control *app.Control) error {
		head, err := control.Command(ctx, func(s release.State) (release.Transition, error) {
			return order(s, control.Order(why(reason)))
		})
		if err != nil {
			return err
		}
		return c.printedHead(head)
	})
}

func (c *session) releasePause() *cobra.Command {
	return c.orderly("pause", "Stop the release and its clock until somebody resumes it", release.Pause)
}

func (c *session) releaseResume() *cobra.Command {
	return c.orderly("resume", "Let a paused release go on, or ask anew for an approval that expired", release.Resume)
}

func (c *session) releaseApprove() *cobra.Command {
	return c.orderly("approve", "Approve the promotion, as somebody else than who started it", release.Approve)
}

func (c *session) releaseUnfreeze() *cobra.Command {
	return c.orderly("unfreeze", "Let the line run again", release.Unfreeze)
}

func (c *session) releaseSettle() *cobra.Command {
	return c.orderly("settle", "Say that the data is as it should be, so that the known good need not be kept", release.Settle)
}

func (c *session) releaseFreeze() *cobra.Command {
	var until string
	cmd := c.orderly("freeze", "Stop the line: nothing starts or advances; aborts and rollbacks do", nil)
	cmd.Flags().StringVar(&until, "until", "", "a duration such as 36h or 14d, a date, or a time in RFC 3339 (default: until unfrozen)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var end time.Time
		if until != "" {
			var err error
			if end, err = endOf(until, c.env.Now()); err != nil {
				return usageError{err}
			}
		}
		reason := cmd.Flag("reason").Value.String()
		return c.order(cmd.Context(), reason, func(s release.State, by release.Order) (release.Transition, error) {
			return release.Freeze(s, by, end)
		})
	}
	return cmd
}

func (c *session) releaseAccept() *cobra.Command {
	cmd := c.orderly("accept-risk NAME", "Accept a risk that preflight leaves open, by its name", nil)
	cmd.Args = exactly(1, "the name of one risk")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		reason := cmd.Flag("reason").Value.String()
		if err := needReason(cmd, reason); err != nil {
			return err
		}
		return c.order(cmd.Context(), reason, func(s release.State, by release.Order) (release.Transition, error) {
			return release.AcceptRisk(s, by, args[0])
		})
	}
	return cmd
}

func (c *session) releaseGlass() *cobra.Command {
	var second string
	cmd := c.orderly("break-glass GATE", "Open a gate for the rest of the release, with a second person", nil)
	cmd.Long = `Opens one gate of the release under way: freeze, chain, time, units, mix, verdict
(guards that hold or have no data; never those that say bad) or approval. Nothing
opens a bad verdict, a quarantine or preflight.

Then "lockstep release promote" goes on, or the controller does.`
	cmd.Args = exactly(1, "one gate")
	cmd.Flags().StringVar(&second, "second", "", "the second person")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		reason := cmd.Flag("reason").Value.String()
		if err := needReason(cmd, reason); err != nil {
			return err
		}
		glass, err := glassOf(args, second)
		if err != nil {
			return err
		}
		return c.order(cmd.Context(), reason, func(s release.State, by release.Order) (release.Transition, error) {
			return release.BreakGlass(s, by, glass[0].Gate, second)
		})
	}
	return cmd
}

func (c *session) releasePromote() *cobra.Command {
	var full, yes bool
	var reason string
	cmd := &cobra.Command{
		Use:   "promote",
		Short: "Take the release to its next step now",
		Long: `Takes the release to its next step, or with --full makes the candidate stable whatever
steps are left. It is no way round anything: what the steps still ask for must have
been opened by "lockstep release break-glass".`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			promote, what := release.Promote, "take the release to its next step"
			if full {
				promote, what = release.PromoteFully, "make the candidate stable"
			}
			return c.promote(cmd.Context(), yes, what, reason, promote)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&full, "full", false, "to the end: the candidate becomes stable")
	fl.StringVar(&reason, "reason", "", "why, for the ledger")
	fl.BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

type promoter func(release.State, release.Order, release.Observation) (release.Transition, error)

func (c *session) promote(ctx context.Context, yes bool, what, reason string, promote promoter) error {
	return c.releasing(ctx, app.OpenControl, func(control *app.Control) error {
		controller := control.Controller()
		_, s, err := control.Standing(ctx)
		if err != nil {
			return err
		}
		fmt.Fprint(c.env.Stderr, s.Describe(c.env.Now()))
		head, err := c.agreed(ctx, control, yes, what, func(s release.State) (release.Transition, error) {
			seen, err := controller.Observe(ctx, s, c.env.Now())
			if err != nil {
				return release.Transition{}, err
			}
			return promote(s, control.Order(why(reason)), seen)
		})
		if err != nil {
			return err
		}
		if head.State().Live() == nil {
			c.next("lockstep release history")
		} else {
			c.next("lockstep release status")
		}
		return c.printedHead(head)
	})
}

func (c *session) releaseRetry() *cobra.Command {
	var f struct {
		reason, second string
		yes            bool
		gates          []string
	}
	cmd := &cobra.Command{
		Use:   "retry",
		Short: "Begin an aborted release again, from its first step, with the evidence it has",
		Args:  exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(f.gates) > 0 {
				if err := needReason(cmd, f.reason); err != nil {
					return err
				}
			}
			glass, err := glassOf(f.gates, f.second)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			return c.releasing(ctx, app.OpenOrders, func(control *app.Control) error {
				head, err := c.agreed(ctx, control, f.yes, "begin the release again", func(s release.State) (release.Transition, error) {
					var p app.Proposal
					if s.Release != nil {
						p = app.Proposal{Candidate: s.Release.Candidate, Plan: s.Release.Plan, Glass: glass}
					}
					req, err := control.Request(ctx, p)
					if err != nil {
						return release.Transition{}, err
					}
					return release.Retry(s, control.Order(why(f.reason)), req)
				})
				if err != nil {
					return err
				}
				return c.printedHead(head)
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.reason, "reason", "", "why, for the ledger")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fl.StringSliceVar(&f.gates, "break-glass", nil, "open a gate; needs --second and --reason")
	fl.StringVar(&f.second, "second", "", "the second person who opens the gates")
	return cmd
}

func (c *session) releaseAbort() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "abort",
		Short: "End the release now: stable decides for every key",
		Long: `Ends the release from any step. It asks nothing, starts no revision and needs no server:
the fence that it writes keeps everything that was planned with the candidate from
being published. What the candidate has published before stays, until it is taken
back; the known good version is kept for that until "lockstep release settle".`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runAbort(cmd.Context(), reason) },
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger")
	return cmd
}

// abortView is what an abort tells programs.
type abortView struct {
	releaseView

	// Trace is what the candidate left; absent when it could not be read.
	Trace *app.Trace `json:"trace,omitempty"`
}

func (c *session) runAbort(ctx context.Context, reason string) error {
	return c.releasing(ctx, app.OpenOrders, func(control *app.Control) error {
		head, err := control.Abort(ctx, why(reason))
		if err != nil {
			return err
		}
		v := abortView{releaseView: viewOf(head)}
		t, err := control.Trace(ctx, head.State().Release)
		if err != nil {
			// It is aborted, whatever can be said of the data.
			fmt.Fprintf(c.env.Stderr, "lockstep: the release is aborted; what it left cannot be read: %v\n", err)
			err = nil
		} else {
			v.Trace = &t
		}
		switch {
		case v.Trace == nil:
			c.next("lockstep log")
		case t.Mutations > 0:
			c.next("lockstep reset --to %d --dry-run", t.KnownGood)
		default:
			c.next("lockstep release settle")
		}
		return errors.Join(err, c.printed(v, func(w io.Writer) {
			fmt.Fprint(w, head.State().Describe(c.env.Now()))
			if v.Trace != nil {
				printTrace(w, t)
			}
		}))
	})
}

func printTrace(w io.Writer, t app.Trace) {
	if t.Fence > 0 {
		fmt.Fprintf(w, "stopped: from version %d on the candidate can publish nothing\n", t.Fence)
	}
	if t.Units == 0 && t.Mutations == 0 {
		fmt.Fprintln(w, "data: the candidate decided about nothing; no record is its")
		return
	}
	fmt.Fprintf(w, "data: the candidate decided %d units of work, %d of which failed and were done by stable\n", t.Units, t.Failed)
	if t.Mutations == 0 {
		fmt.Fprintln(w, "data: it changed no record")
		return
	}
	fmt.Fprintf(w, "data: it changed records %d times, in %d of the versions %d to %d; that stays until it is taken back\n", t.Mutations, t.Versions, t.First, t.Last)
	fmt.Fprintf(w, "data: version %d, from before the release, is kept\n", t.KnownGood)
}
