package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/compact"
)

const maxParkedShown = 1000

func (c *session) parked() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "parked",
		GroupID: groupChange,
		Short:   "List the messages that are set aside; retry or drop them",
		Long: `A message whose handler fails is parked with its reason, and later messages of the
same key wait behind it, because their order must hold. Other keys go on.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listParked(cmd.Context()) },
	}
	cmd.AddCommand(c.parkedRetry(), c.parkedDrop())
	return cmd
}

func (c *session) listParked(ctx context.Context) error {
	var list []app.ParkedMessage
	err := c.looking(ctx, func(a *app.App) (err error) {
		view, err := a.State.Read()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, view.Close()) }()
		list, err = app.ParkedMessages(ctx, view, a.Revision.Handler.Describe().Key, maxParkedShown)
		return err
	})
	if err != nil {
		return err
	}
	return c.printed(list, func(w io.Writer) {
		for _, p := range list {
			fmt.Fprintf(w, "%s  %s  %s  tried %d times\n  %s\n", p.ID, p.Group, p.Entity, p.Attempts, p.Reason)
		}
	})
}

func (c *session) parkedRetry() *cobra.Command {
	return &cobra.Command{
		Use:   "retry [KEY...]",
		Short: "Try the parked messages of these keys again, or of all",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.unpark(cmd.Context(), func(ctx context.Context, a *app.App) (compact.Retried, error) {
				return a.Compactor.Retry(ctx, args)
			})
		},
	}
}

func (c *session) parkedDrop() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "drop MESSAGE --reason TEXT",
		Short: "Give one parked message up, and try those behind it",
		Args:  exactly(1, "one message id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.unpark(cmd.Context(), func(ctx context.Context, a *app.App) (compact.Retried, error) {
				return a.Compactor.Drop(ctx, args[0], reason)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it is given up (needed; the archive keeps it)")
	return cmd
}

func (c *session) unpark(ctx context.Context, do func(context.Context, *app.App) (compact.Retried, error)) error {
	var res compact.Retried
	err := c.working(ctx, func(a *app.App) (err error) {
		if res, err = do(ctx, a); err != nil {
			return err
		}
		return c.followed(ctx, a)
	})
	if err != nil {
		return err
	}
	return c.printed(res, func(w io.Writer) {
		fmt.Fprintf(w, "version %d: %s; %d published records changed\n", res.Version, outcomes(res.Outcomes), res.Changed)
	})
}
