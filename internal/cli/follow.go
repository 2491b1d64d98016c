package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

func (c *session) follow() *cobra.Command {
	var repair bool
	cmd := &cobra.Command{
		Use:     "follow",
		GroupID: groupRun,
		Short:   "Bring the Chroma directory to the newest version, once",
		Long: `Brings the configured Chroma directory to the newest version, forward or backward.
"lockstep up" does the same all the time.

A directory that somebody else has written to is refused, because its changes would
be lost; --repair writes it anew.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			step := (*app.App).Follow
			if repair {
				step = (*app.App).Repair
			}
			return c.runFollow(cmd.Context(), step)
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "write the directory anew, whatever it holds")
	return cmd
}

func (c *session) runFollow(ctx context.Context, step func(*app.App, context.Context) (follow.Moved, error)) error {
	var m follow.Moved
	var dir string
	err := c.looking(ctx, func(a *app.App) (err error) {
		st := a.FollowerStatus()
		if dir = st.Directory; st.Advice != "" {
			return lockstep.Hint(fmt.Errorf("follow: %w: there is no follower (%s)", lockstep.ErrRefused, st.State), st.Advice)
		}
		m, err = step(a, ctx)
		return err
	})
	if err != nil {
		return err
	}
	return c.printed(m, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds version %d (was %d), %d records written\n", dir, m.To, m.From, m.Records)
	})
}

// followed brings the follower along after a change. What the change did is true
// whether or not the follower can hold it, so a follower that cannot is told about and
// is no error of the command.
func (c *session) followed(ctx context.Context, a *app.App) error {
	_, err := a.Follow(ctx)
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Fprintf(c.env.Stderr, "lockstep: the index is changed, its follower is not: %v\n", err)
	if h := lockstep.HintOf(err); h != "" {
		fmt.Fprintf(c.env.Stderr, "hint: %s\n", h)
	}
	return nil
}
