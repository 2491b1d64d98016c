package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/guard"
	"lockstep/internal/lockstep"
)

func (c *session) assess() *cobra.Command {
	var tests bool
	cmd := &cobra.Command{
		Use:     "assess",
		GroupID: groupCheck,
		Short:   "Ask all guards now: roll back, hold, fix forward, or healthy",
		Long: `Every line of the rollback document is answered with its evidence: the six reasons to roll
back, and the four reasons not to. Nothing is changed.

The answer is of this moment. A guard that fails only when several looks have failed is
inconclusive at its first failing look, and inconclusive holds; the server, which looks
all the time while a release is in progress, knows more.

Status 0: healthy, or fix forward. Status 4: roll back. Status 10: hold.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.assessment(cmd.Context(), tests)
			if err != nil {
				return err
			}
			if err := c.printed(a, func(w io.Writer) { fmt.Fprint(w, a.Text()) }); err != nil {
				return err
			}
			return c.decided(a)
		},
	}
	cmd.Flags().BoolVar(&tests, "tests", false, "run the test commands of the configuration first")
	return cmd
}

func (c *session) assessment(ctx context.Context, tests bool) (a app.Answer, err error) {
	cfg, err := c.settings()
	if err != nil {
		return a, err
	}
	opts := app.AssessOptions{Tests: tests, Output: c.env.Stderr}
	opts.Server, err = app.Dial(ctx, cfg)
	if errors.Is(err, lockstep.ErrNotFound) {
		opts.Server, err = nil, nil
	}
	if err != nil {
		return a, err
	}
	err = c.reading(ctx, cfg, func(x *app.App) (err error) {
		a, err = x.Assess(ctx, opts)
		return err
	})
	return a, err
}

// decided turns the decision into an exit status. The words are printed already.
func (c *session) decided(a app.Answer) error {
	switch a.Verdict {
	case guard.RollBack:
		c.next("lockstep release abort")
		return silentError{fmt.Errorf("%w: roll back", lockstep.ErrRefused), exitRolledBack}
	case guard.Holding:
		return silentError{fmt.Errorf("%w: hold", lockstep.ErrRefused), exitHeld}
	case guard.FixForward, guard.Healthy:
		return nil
	}
	return fmt.Errorf("%w decision %q", lockstep.ErrCorrupt, a.Verdict)
}
