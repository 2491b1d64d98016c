package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app/recovery"
	"lockstep/internal/rollback"
)

func (c *session) rollbackStatus() *cobra.Command {
	watch := false
	cmd := &cobra.Command{
		Use:     "status [PLAN]",
		Short:   "Show how a rollback stands, and what is left for a person",
		Example: "  lockstep rollback status --watch",
		Args:    atMostOne("one plan"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.runRollbackStatus(cmd.Context(), args, watch)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "look again every second until it has ended")
	return cmd
}

func (c *session) runRollbackStatus(ctx context.Context, args []string, watch bool) error { //nolint:revive // watch is what the user asked for
	j, err := c.journals(ctx)
	if err != nil {
		return err
	}
	id, err := planNamed(ctx, j, args)
	if err != nil {
		return err
	}
	for last := ""; ; {
		s, err := (&rollback.Engine{Journals: j}).State(ctx, id)
		if err != nil {
			return err
		}
		over := s.Outcome() != rollback.Running && s.Outcome() != rollback.Planned
		if !watch || over {
			return c.walked(s)
		}
		if text := s.Text(); text != last {
			fmt.Fprint(c.env.Stderr, text)
			last = text
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchEvery):
		}
	}
}

// journals opens the plans alone: for what only reads them.
func (c *session) journals(ctx context.Context) (*rollback.Journals, error) {
	s, _, err := c.store(ctx)
	if err != nil {
		return nil, err
	}
	return recovery.Journals(s, c.env.Now), nil
}

// rollbackRow is one line of a list.
type rollbackRow struct {
	ID        string             `json:"id"`
	At        time.Time          `json:"at"`
	Outcome   rollback.Outcome   `json:"outcome"`
	Scenario  rollback.Scenario  `json:"scenario"`
	Procedure rollback.Procedure `json:"procedure"`
	Bad       string             `json:"bad,omitempty"`
	Undoes    string             `json:"undoes,omitempty"`
	By        string             `json:"by"`
	Reason    string             `json:"reason"`
}

func (c *session) rollbackList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the rollbacks, newest first",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			j, err := c.journals(ctx)
			if err != nil {
				return err
			}
			ids, err := j.IDs(ctx)
			if err != nil {
				return err
			}
			var rows []rollbackRow
			for _, id := range ids {
				s, err := (&rollback.Engine{Journals: j}).State(ctx, id)
				if err != nil {
					return err
				}
				p := &s.Plan
				rows = append(rows, rollbackRow{p.ID, p.At, s.Outcome(), p.Scenario, p.Procedure, p.Bad, p.Undoes, p.By, p.Reason})
			}
			return c.printed(rows, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				for _, r := range rows {
					what := r.Bad
					if r.Undoes != "" {
						what = "undoes " + r.Undoes
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s %s\t%s\t%s: %s\n", r.ID, r.At.UTC().Format(time.DateTime), r.Outcome, r.Scenario, r.Procedure, what, r.By, r.Reason)
				}
				_ = t.Flush() // a failed write shows at the next one
			})
		},
	}
}

func (c *session) rollbackChecklist() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "checklist [PLAN]",
		Short: "Show the checklist of the manual, each item with its evidence or the reason why it is open",
		Long: `An item is ticked by what a step has seen, with a link to it, or by a person who signs
for it ("lockstep rollback sign"). Nothing else ticks it.`,
		Args: atMostOne("one plan"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			j, err := c.journals(ctx)
			if err != nil {
				return err
			}
			id, err := planNamed(ctx, j, args)
			if err != nil {
				return err
			}
			s, err := (&rollback.Engine{Journals: j}).State(ctx, id)
			if err != nil {
				return err
			}
			groups := s.Checklist()
			if open := rollback.Open(groups); len(open) > 0 {
				c.next("lockstep rollback sign %s --reason TEXT", open[0].ID)
			}
			return c.printed(groups, func(w io.Writer) { fmt.Fprint(w, rollback.ChecklistMarkdown(groups)) })
		},
	}
	return cmd
}

func (c *session) rollbackSign() *cobra.Command {
	plan, reason := "", ""
	cmd := &cobra.Command{
		Use:     "sign ITEM --reason TEXT",
		Short:   "Answer for an item of the checklist, with your name",
		Example: `  lockstep rollback sign monitor.customers --reason "support has seen no ticket for an hour"`,
		Args:    exactly(1, `the id of the item ("lockstep rollback checklist -o json" shows them)`),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			j, err := c.journals(ctx)
			if err != nil {
				return err
			}
			id, err := planNamed(ctx, j, given(plan))
			if err != nil {
				return err
			}
			s, err := (&rollback.Engine{Name: c.who(), Journals: j, Now: c.env.Now}).Sign(ctx, id, args[0], c.who(), reason)
			if err != nil {
				return err
			}
			groups := s.Checklist()
			return c.printed(groups, func(w io.Writer) { fmt.Fprint(w, rollback.ChecklistMarkdown(groups)) })
		},
	}
	cmd.Flags().StringVar(&plan, "plan", "", "the plan (default: the newest one)")
	cmd.Flags().StringVar(&reason, "reason", "", "what you have seen (required)")
	return cmd
}
