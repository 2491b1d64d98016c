package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/version"
)

func (c *session) status() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		GroupID: groupRead,
		Short:   "Show where the index stands, what is parked and what could not be read",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.readStatus(cmd.Context())
			if err != nil {
				return err
			}
			return c.printed(s, func(w io.Writer) { printStatus(w, s) })
		},
	}
}

func (c *session) readStatus(ctx context.Context) (s app.Status, err error) {
	cfg, err := c.settings()
	if err != nil {
		return s, err
	}
	if r, err := app.Dial(ctx, cfg); err == nil {
		return r.Status(ctx)
	}
	return s, c.looking(ctx, func(a *app.App) error {
		s, err = a.Status(ctx)
		return err
	})
}

func printStatus(w io.Writer, s app.Status) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "store\t%s in %s\n", s.Store, s.Directory)
	fmt.Fprintf(t, "revision\t%s\n", s.Revision)
	fmt.Fprintf(t, "version\t%d%s\n", s.Version, when(s.At))
	fmt.Fprintf(t, "digest\t%s\n", version.Short(s.Digest))
	for _, col := range s.Collections {
		fmt.Fprintf(t, "  %s\t%d records\t%s\n", col.Name, col.Records, version.Short(col.Digest))
	}
	for _, b := range s.Backlog {
		fmt.Fprintf(t, "backlog\tmessages of versions %d to %d: %s\n", b.From+1, b.To, backlogText(b))
	}
	fmt.Fprintf(t, "follower\t%s\n", followerText(s.Follower))
	fmt.Fprintf(t, "parked\t%d\n", s.ParkedCount)
	for _, p := range s.Parked {
		fmt.Fprintf(t, "  %s\t%s %s: %s\n", p.ID, p.Group, p.Entity, p.Reason)
	}
	fmt.Fprintf(t, "malformed\t%d\n", s.BadCount)
	for _, m := range s.Malformed {
		fmt.Fprintf(t, "  %s\t%s: %s\n", version.Short(m.ID), m.Source, m.Reason)
	}
	_ = t.Flush() // the same writer that printed takes this too; an error there has shown itself
}

func backlogText(s version.Span) string {
	if s.Mode == version.Hold {
		return `held; "lockstep replay" handles them`
	}
	return fmt.Sprintf("being replayed, %d done", s.Done)
}

func followerText(f app.FollowerStatus) string {
	switch {
	case f.Error != "":
		return fmt.Sprintf("%s: %s (%s)", f.State, f.Error, f.Advice)
	case f.Advice != "":
		return fmt.Sprintf("%s: %s", f.State, f.Advice)
	}
	return fmt.Sprintf("%s, %s holds version %d", f.State, f.Directory, f.Version)
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " of " + t.Format(time.RFC3339)
}
