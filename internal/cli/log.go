package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/history"
	"lockstep/internal/version"
)

func (c *session) log() *cobra.Command {
	opts := history.Options{}
	cmd := &cobra.Command{
		Use:     "log",
		GroupID: groupRead,
		Short:   "List the versions, newest first",
		Long: `Lists the versions of the log, newest first. A version that a reset has left is
marked: it can be looked at, compared and returned to like any other.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runLog(cmd.Context(), opts) },
	}
	cmd.Flags().IntVarP(&opts.Limit, "limit", "n", 20, "at most this many")
	cmd.Flags().BoolVarP(&opts.All, "all", "a", false, "also versions that change nothing (bases and fences)")
	return cmd
}

func (c *session) runLog(ctx context.Context, opts history.Options) error {
	s, _, err := c.store(ctx)
	if err != nil {
		return err
	}
	rows, err := history.List(ctx, s.Log, opts)
	if err != nil {
		return err
	}
	return c.printed(rows, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		for i := range rows {
			fmt.Fprintln(t, logLine(&rows[i]))
		}
		_ = t.Flush() // an error of the writer has shown itself already
	})
}

func logLine(r *history.Row) string {
	what := fmt.Sprintf("%d messages, %d mutations", r.Messages, r.Mutations)
	if r.Kind == version.Reset {
		what = fmt.Sprintf("the state of version %d again", r.Cause.Target)
	}
	if !r.OnLine {
		what += " (left by a reset)"
	}
	if r.Cause.Reason != "" {
		what += ": " + r.Cause.Reason
	}
	return fmt.Sprintf("%d\t%s\t%s\t%s\t%s", r.Version, r.Kind, r.At.UTC().Format(time.RFC3339), version.Short(r.Digest), what)
}
