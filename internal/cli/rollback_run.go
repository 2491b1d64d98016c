package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lockstep/internal/app/recovery"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

func (c *session) rollbackPlan() *cobra.Command {
	var f wishFlags
	markdown := false
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Work out the cheapest safe way back, and change nothing",
		Long: `Looks at the ledgers, the repository and what is deployed, and prints the steps: what
each will change, how long it will take against the time that the manual gives, what is
lost (normally nothing), and how each is undone. Nothing is stored; "run" works it out
again and stores it.`,
		Example: `  lockstep rollback plan --full
  lockstep rollback plan --to receipts@1:41 --data reset`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.assembled(cmd.Context(), func(a *recovery.Assembly) error {
				p, err := c.planned(cmd.Context(), a, f)
				if err != nil {
					return err
				}
				c.next("lockstep rollback run")
				return c.printed(p, func(w io.Writer) {
					if markdown {
						fmt.Fprint(w, p.Markdown())
						return
					}
					fmt.Fprint(w, p.Text())
				})
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print it as a page, for a pull request or a wiki")
	return cmd
}

func (c *session) planned(ctx context.Context, a *recovery.Assembly, f wishFlags) (rollback.Plan, error) {
	req, err := c.request(f, a.Config.Rollback.Data)
	if err != nil {
		return rollback.Plan{}, err
	}
	id, err := a.Journals().NextID(ctx, a.Config.Environment)
	if err != nil {
		return rollback.Plan{}, err
	}
	return a.Plan(ctx, id, req)
}

func (c *session) rollbackRun() *cobra.Command {
	var f wishFlags
	yes, dryRun := false, false
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Work out the way back, store it, and walk it",
		Long: `Stores the plan before its first step and walks it: flag, traffic, code, data, watch,
tell. A step that cannot be done holds up those that need it, and no others. Killed at
any moment, it goes on with "lockstep rollback resume".`,
		Example: `  lockstep rollback run --quick --reason "labels are lost" --yes
  lockstep rollback run --full --scenario dev --yes`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.assembled(cmd.Context(), func(a *recovery.Assembly) error {
				p, err := c.planned(cmd.Context(), a, f)
				if err != nil {
					return err
				}
				fmt.Fprintln(c.env.Stderr, p.Text())
				if dryRun {
					return c.printed(p, func(io.Writer) {})
				}
				return c.start(cmd.Context(), a, p, consentTo{"rollback", yes, f.accept})
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would happen")
	return cmd
}

// consentTo is what a person has agreed to.
type consentTo struct {
	what   string
	yes    bool
	accept []string
}

// start stores a plan and walks it, once a person has agreed.
func (c *session) start(ctx context.Context, a *recovery.Assembly, p rollback.Plan, by consentTo) error {
	if loss := p.Loss(); len(loss) > 0 && !accepted(by.accept, riskLoseChanges) {
		return lockstep.Hint(fmt.Errorf("%s %s: %w: lost would be %v", by.what, p.ID, lockstep.ErrRefused, loss), "give --accept-risk="+riskLoseChanges)
	}
	if !by.yes {
		if err := c.consent(by.what); err != nil {
			return err
		}
	}
	e, err := c.engine(a)
	if err != nil {
		return err
	}
	if _, err := e.Start(ctx, p); err != nil {
		return err
	}
	s, err := e.Run(ctx, p.ID)
	if err != nil {
		return brokenOff(p.ID, err)
	}
	if err := afterUndo(ctx, e, s); err != nil {
		return err
	}
	c.nextOfRollback(s)
	return c.walked(s)
}

func brokenOff(id string, err error) error {
	if errors.Is(err, rollback.ErrElsewhere) {
		return err
	}
	return lockstep.Hint(fmt.Errorf("rollback %s was broken off: %w", id, err), "it goes on with: lockstep rollback resume "+id)
}

func (c *session) nextOfRollback(s rollback.State) {
	if s.Outcome() == rollback.Incomplete {
		c.next("lockstep rollback resume %s", s.Plan.ID)
		return
	}
	c.next("lockstep rollback checklist %s", s.Plan.ID)
}

func (c *session) rollbackResume() *cobra.Command {
	return &cobra.Command{
		Use:     "resume [PLAN]",
		Short:   "Go on with a rollback that was broken off, or that needed a person",
		Long:    "Tries again what could not be done, and goes on behind it. What is done already is not done again.",
		Example: "  lockstep rollback resume prod-3",
		Args:    atMostOne("one plan"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.assembled(cmd.Context(), func(a *recovery.Assembly) error {
				id, err := planNamed(cmd.Context(), a.Journals(), args)
				if err != nil {
					return err
				}
				e, err := c.engine(a)
				if err != nil {
					return err
				}
				if _, err := e.Retry(cmd.Context(), id); err != nil {
					return err
				}
				s, err := e.Run(cmd.Context(), id)
				if err != nil {
					return brokenOff(id, err)
				}
				if err := afterUndo(cmd.Context(), e, s); err != nil {
					return err
				}
				c.nextOfRollback(s)
				return c.walked(s)
			})
		},
	}
}

func (c *session) rollbackSkip() *cobra.Command {
	plan, reason := "", ""
	cmd := &cobra.Command{
		Use:     "skip STEP --reason TEXT",
		Short:   "Leave a step out, because a person has done it or it need not be done",
		Example: `  lockstep rollback skip git --reason "reverted by hand in #812"`,
		Args:    exactly(1, "the step"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.assembled(cmd.Context(), func(a *recovery.Assembly) error {
				id, err := planNamed(cmd.Context(), a.Journals(), given(plan))
				if err != nil {
					return err
				}
				e, err := c.engine(a)
				if err != nil {
					return err
				}
				s, err := e.Skip(cmd.Context(), id, args[0], c.who(), reason)
				if err != nil {
					return err
				}
				c.next("lockstep rollback resume %s", id)
				return c.printed(viewOfRollback(s), func(w io.Writer) { fmt.Fprint(w, s.Text()) })
			})
		},
	}
	cmd.Flags().StringVar(&plan, "plan", "", "the plan (default: the newest one)")
	cmd.Flags().StringVar(&reason, "reason", "", "why (required)")
	return cmd
}

func given(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func (c *session) rollbackUndo() *cobra.Command {
	reason := ""
	yes, dryRun := false, false
	cmd := &cobra.Command{
		Use:   "undo [PLAN]",
		Short: "Roll a rollback back: code and data as before, the release where it left",
		Long: `Makes a plan of the steps that were done, in reverse order, each taken back by what its
own target knows, and walks it like any other. The release goes on where it left, with
its evidence. An undo is undone in the same way.`,
		Example: "  lockstep rollback undo prod-3 --yes",
		Args:    atMostOne("one plan"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.assembled(cmd.Context(), func(a *recovery.Assembly) error {
				p, err := c.plannedUndo(cmd.Context(), a, args, reason)
				if err != nil {
					return err
				}
				fmt.Fprintln(c.env.Stderr, p.Text())
				if dryRun {
					return c.printed(p, func(io.Writer) {})
				}
				return c.start(cmd.Context(), a, p, consentTo{"undo", yes, nil})
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&reason, "reason", "the rollback was wrong", "why, for the ledgers")
	fl.BoolVarP(&yes, "yes", "y", false, "do not ask")
	fl.BoolVar(&dryRun, "dry-run", false, "only say what would happen")
	return cmd
}

func (c *session) plannedUndo(ctx context.Context, a *recovery.Assembly, args []string, reason string) (rollback.Plan, error) {
	id, err := planNamed(ctx, a.Journals(), args)
	if err != nil {
		return rollback.Plan{}, err
	}
	e, err := c.engine(a)
	if err != nil {
		return rollback.Plan{}, err
	}
	s, err := e.State(ctx, id)
	if err != nil {
		return rollback.Plan{}, err
	}
	if s.UndoneBy != "" {
		return rollback.Plan{}, fmt.Errorf("undo plan %s: %w: plan %s has done it", id, lockstep.ErrRefused, s.UndoneBy)
	}
	next, err := a.Journals().NextID(ctx, a.Config.Environment)
	if err != nil {
		return rollback.Plan{}, err
	}
	return e.PlanUndo(ctx, s, next, c.who(), reason)
}

// afterUndo notes in the plan that was taken back that it was.
func afterUndo(ctx context.Context, e *rollback.Engine, s rollback.State) error {
	if s.Plan.Undoes == "" || s.Outcome() != rollback.Complete {
		return nil
	}
	undone, err := e.MarkUndone(ctx, s.Plan.Undoes, s.Plan.ID)
	if err != nil || undone.Plan.Undoes == "" {
		return err
	}
	_, err = e.UnmarkUndone(ctx, undone.Plan.Undoes) // what that one had taken back is in force again
	return err
}
