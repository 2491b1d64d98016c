package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/history"
	"lockstep/internal/lockstep"
)

func (c *session) checkout() *cobra.Command {
	var to, form string
	cmd := &cobra.Command{
		Use:     "checkout VERSION --to DIRECTORY",
		GroupID: groupRead,
		Short:   "Write one version into a directory: for Chroma, or as NDJSON",
		Long: `Writes the records of any version into a new directory: one that a real Chroma
opens ("current" in it), or one NDJSON file per collection, in the format that
imports have. The index itself is not changed.`,
		Args: exactly(1, "one version"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			if to == "" {
				return usageError{errors.New("lockstep checkout: --to DIRECTORY is needed")}
			}
			return c.runCheckout(cmd.Context(), n, to, form)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the directory, which must not exist or be empty")
	cmd.Flags().StringVar(&form, "format", app.FormChroma, "chroma or ndjson")
	return cmd
}

// past opens the past and passes it to use.
func (c *session) past(ctx context.Context, use func(*app.Past) error) (err error) {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	p, err := app.OpenPast(ctx, cfg, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return use(p)
}

func (c *session) runCheckout(ctx context.Context, n uint64, to, form string) error {
	var records int
	err := c.past(ctx, func(p *app.Past) (err error) {
		records, err = p.Checkout(ctx, n, to, form)
		return err
	})
	if err != nil {
		return err
	}
	res := map[string]any{"version": n, "directory": to, "format": form, "records": records}
	return c.printed(res, func(w io.Writer) { fmt.Fprintf(w, "version %d is in %s: %d records\n", n, to, records) })
}

func (c *session) bisect() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bisect",
		GroupID: groupRead,
		Short:   "Find the version that made something wrong",
	}
	var f bisectFlags
	run := &cobra.Command{
		Use:   "run --good VERSION [--bad VERSION] -- COMMAND [ARG...]",
		Short: "Run a command on versions until the first bad one is found",
		Long: `Searches the versions between a good and a bad one by halves. For each it writes the
records as NDJSON into a directory and runs the command with

  LOCKSTEP_VERSION   the version's number
  LOCKSTEP_CHECKOUT  the directory: one file per collection (or a Chroma directory)

Status 0 means good, 125 that the version cannot be tested, 1 to 127 otherwise bad;
anything above ends the search.`,
		Example: `  lockstep bisect run --good 12 -- sh -c '! grep -q ",TAX," "$LOCKSTEP_CHECKOUT/words.ndjson"'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("lockstep bisect run: %w", errNoCommand)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.runBisect(cmd.Context(), f, args) },
	}
	fl := run.Flags()
	fl.Uint64Var(&f.good, "good", 0, "a version that is good; 0 is the empty index")
	fl.Uint64Var(&f.bad, "bad", 0, "a version that is bad (default: the newest)")
	fl.StringVar(&f.form, "format", app.FormNDJSON, "chroma or ndjson")
	verbs(cmd)
	cmd.AddCommand(run)
	return cmd
}

type bisectFlags struct {
	good, bad uint64
	form      string
}

func (c *session) runBisect(ctx context.Context, f bisectFlags, command []string) error {
	var res history.BisectResult
	err := c.past(ctx, func(p *app.Past) error {
		if f.bad == 0 {
			head, err := p.Log.Head(ctx)
			if err != nil {
				return err
			}
			f.bad = head.Number()
		}
		line, err := p.Log.Line(ctx, f.good, f.bad)
		if err != nil {
			return err
		}
		b, err := history.NewBisect(line)
		if err != nil {
			return err
		}
		res, err = c.search(ctx, p, b, f.form, command)
		return err
	})
	if err != nil {
		return err
	}
	return c.printed(res, func(w io.Writer) {
		if res.First > 0 {
			fmt.Fprintf(w, "version %d is the first bad one\n", res.First)
		} else {
			fmt.Fprintf(w, "one of versions %v is the first bad one; the others could not be tested\n", res.Suspects)
		}
	})
}

func (c *session) search(ctx context.Context, p *app.Past, b *history.Bisect, form string, command []string) (history.BisectResult, error) {
	for {
		n, ok := b.Next()
		if !ok {
			return b.Result(), nil
		}
		mark, err := c.try(ctx, p, n, form, command)
		if err != nil {
			return b.Result(), err
		}
		fmt.Fprintf(c.env.Stderr, "version %d: %s, about %d to go\n", n, mark, b.Result().Left)
		if err := b.Mark(n, mark); err != nil {
			return b.Result(), err
		}
	}
}

// The exit statuses of a tested command, as git bisect has them.
const (
	statusSkip    = 125
	statusHighest = 127
)

// try checks one version out and runs the command on it.
func (c *session) try(ctx context.Context, p *app.Past, n uint64, form string, command []string) (mark history.Mark, err error) {
	dir, err := os.MkdirTemp("", "lockstep-bisect-")
	if err != nil {
		return "", fmt.Errorf("bisect: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, strconv.FormatUint(n, 10))
	if _, err := p.Checkout(ctx, n, out, form); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "LOCKSTEP_VERSION="+strconv.FormatUint(n, 10), "LOCKSTEP_CHECKOUT="+out)
	cmd.Stdout, cmd.Stderr = c.env.Stderr, c.env.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return history.Good, nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case !errors.As(err, &exit):
		return "", fmt.Errorf("bisect: run %s: %w: %w", command[0], lockstep.ErrInvalid, err)
	case exit.ExitCode() == statusSkip:
		return history.Skip, nil
	case exit.ExitCode() >= 1 && exit.ExitCode() <= statusHighest:
		return history.Bad, nil
	}
	return "", fmt.Errorf("bisect: %s on version %d: %w: %w", command[0], n, lockstep.ErrInvalid, err)
}
