package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lockstep/internal/app/recovery"
	"lockstep/internal/drill"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// drillFlags say which drill is asked for, or that none is.
type drillFlags struct {
	changes  int
	scenario string
	list     bool
	last     int
}

func (c *session) rollbackDrill() *cobra.Command {
	var f drillFlags
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Practise a rollback on a branch of the store, and record what came of it",
		Long: `Takes a branch of the store, releases a fault there that spoils the records of real
items, takes it back by the quick plan (the flag, the quarantine, the index and its
proof: the code that takes back a real one), and compares the branch with another one on
which there never was a fault. Then the branch is gone. Of the store itself nothing is
changed but the book of drills, and readers and a running server notice nothing.

The five marks are measured: the first bad effect, when the drill saw it, when the
rollback was commanded, the last execution of the fault, and when the data was clean.

Exit status 0: the drill passed. 1: it failed, the way back does not work. Any other: it
is incomplete and proves nothing.`,
		Example: `  lockstep rollback drill
  lockstep rollback drill --changes 1000 --scenario prod -o json
  lockstep rollback drill --list
  lockstep rollback drill report`,
		Args: exactly(0, `no arguments besides its flags, or "report"`),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.list {
				return c.listDrills(cmd.Context(), f.last)
			}
			x, err := c.exercise(f)
			if err != nil {
				return err
			}
			return c.assembled(cmd.Context(), func(a *recovery.Assembly) error { return c.drill(cmd.Context(), a, x) })
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&f.changes, "changes", recovery.DrillChanges, fmt.Sprintf("how many changes of items are made on the branch, at most %d", recovery.MaxDrillChanges))
	fl.StringVar(&f.scenario, "scenario", "auto", "auto, pre-deploy, dev or prod: the situations of the manual")
	fl.BoolVar(&f.list, "list", false, "run none, and list those that were run, newest first")
	fl.IntVarP(&f.last, "last", "n", drill.Keep, "how many are listed")
	cmd.AddCommand(c.rollbackDrillReport())
	return cmd
}

func (c *session) exercise(f drillFlags) (recovery.Exercise, error) {
	x := recovery.Exercise{Changes: f.changes, By: c.who(), Say: func(text string) { fmt.Fprintln(c.env.Stderr, text) }}
	if f.changes < 1 || f.changes > recovery.MaxDrillChanges {
		return x, usageError{fmt.Errorf("--changes %d: want 1 to %d", f.changes, recovery.MaxDrillChanges)}
	}
	req, err := c.request(wishFlags{scenario: f.scenario}, string(rollback.WishAuto))
	x.Scenario = req.Scenario
	return x, err
}

func (c *session) drill(ctx context.Context, a *recovery.Assembly, x recovery.Exercise) error {
	d, err := a.Drill(ctx, x)
	if err != nil {
		return err
	}
	c.next("lockstep rollback drill report")
	if err := c.printed(d, func(w io.Writer) { fmt.Fprint(w, d.Text()) }); err != nil {
		return err
	}
	if d.Outcome == drill.Failed {
		return silentError{fmt.Errorf("drill %s failed: %w", d.ID, lockstep.ErrCorrupt), exitError}
	}
	return nil
}

func (c *session) listDrills(ctx context.Context, last int) error {
	r, err := c.drillReport(ctx, last)
	if err != nil {
		return err
	}
	return c.printed(r.Drills, func(w io.Writer) { fmt.Fprint(w, r.List()) })
}

func (c *session) rollbackDrillReport() *cobra.Command {
	last, markdown := 0, false
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Show how long the way back takes, and whether releases may start",
		Long: `The time to detect, to command, to stop, to clean and in all, as medians and 95th
percentiles over the drills; the drills themselves; and whether the last one that passed
is young enough for releases to start (rollback.drill.max_age).`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := c.drillReport(cmd.Context(), last)
			if err != nil {
				return err
			}
			if r.Refusal != "" {
				c.next("lockstep rollback drill")
			}
			return c.printed(r, func(w io.Writer) {
				if markdown {
					fmt.Fprint(w, r.Markdown())
					return
				}
				fmt.Fprint(w, r.Text())
			})
		},
	}
	cmd.Flags().IntVarP(&last, "last", "n", drill.Keep, "how many drills count")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print it as a page, for a pull request or a wiki")
	return cmd
}

// drillReport reads the book alone; it needs no revision and no local state.
func (c *session) drillReport(ctx context.Context, last int) (drill.Report, error) {
	if last < 1 {
		return drill.Report{}, usageError{errors.New("-n: want at least 1")}
	}
	s, cfg, err := c.store(ctx)
	if err != nil {
		return drill.Report{}, err
	}
	book, err := s.Drills(ctx, cfg.Environment)
	if err != nil {
		return drill.Report{}, err
	}
	return book.Report(c.env.Now(), cfg.Rollback.Drill.MaxAge, last), nil
}
