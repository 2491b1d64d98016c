package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/app/recovery"
)

type rebuildFlags struct {
	reason string
	yes    bool
}

func (c *session) rebuild() *cobra.Command {
	var f rebuildFlags
	cmd := &cobra.Command{
		Use:     "rebuild",
		GroupID: groupChange,
		Short:   "Derive every record anew from the mirror of the table",
		Long: `Asks the stable revision about every item of the table that the index mirrors, and
publishes what is not as it says. Vectors come from the archive of imports, and stay
where that has none any more. It needs no history, so that it is the way back when the
log does not reach back far enough.

Records that no item of the table explains are listed and stay: whether they may go,
only a person knows. A revision whose records do not follow from the items alone, such
as receipts@1, is refused.`,
		Example: `  lockstep rebuild --reason "older than the log" --yes`,
		Args:    exactly(0, "no arguments besides its flags"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.runRebuild(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.reason, "reason", "", "why, for the ledger")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (c *session) runRebuild(ctx context.Context, f rebuildFlags) (err error) {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	if _, err := app.OpenStore(ctx, cfg, c.env.Now); err != nil {
		return err
	}
	a, err := app.OpenWorker(ctx, cfg, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.CanRebuild(ctx); err != nil {
		return err
	}
	if !f.yes {
		if err := c.consent("rebuild"); err != nil {
			return err
		}
	}
	bar := c.progress("keys derived anew")
	res, err := recovery.RebuildAll(ctx, a, c.who(), f.reason, func(keys int) { bar.at(keys, 0) })
	bar.done()
	if err != nil {
		return err
	}
	if err := c.followed(ctx, a); err != nil {
		return err
	}
	c.next("lockstep show %d", res.Version)
	return c.printed(res, func(w io.Writer) {
		fmt.Fprintf(w, "%d keys were derived anew, %d records came out different: version %d\n", res.Keys, res.Records, res.Version)
		for _, key := range res.Failed {
			fmt.Fprintf(w, "key %q stays as it was: %s\n", key.Key, key.Reason)
		}
		if res.Unexplained > 0 {
			fmt.Fprintf(w, "%d records are explained by no item of the table, and stay:\n", res.Unexplained)
			for _, r := range res.Examples {
				fmt.Fprintf(w, "  %s\n", r)
			}
		}
	})
}
