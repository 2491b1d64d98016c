package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
)

func (c *session) ingest() *cobra.Command {
	return &cobra.Command{
		Use:     "ingest FILE|-",
		GroupID: groupRun,
		Short:   "Bring stream records from a file into versions",
		Long: `Reads a Lambda DynamoDB event, single stream records, an array of them or NDJSON of
any of these, and returns when every record is in a version. Uses the running
server of the data directory when there is one. Ingesting the same file again has
no second effect.

A record that cannot be read is set aside with its reason and shown by "lockstep
status"; the others go on. The command then still ends with status 0.`,
		Example: `  lockstep ingest event.json
  aws dynamodbstreams get-records … | lockstep ingest -`,
		Args: exactly(1, "one file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.runIngest(cmd.Context(), args[0]) },
	}
}

func (c *session) runIngest(ctx context.Context, name string) error {
	in, source := c.env.Stdin, "stdin"
	if name != "-" {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("ingest %s: %w", name, lockstep.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("ingest: %w", err)
		}
		defer func() { _ = f.Close() }() // only read
		in, source = f, name
	}
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	var sum app.Ingested
	if r, err := app.Dial(ctx, cfg); err == nil {
		sum, err = c.ingestInto(ctx, r, in, source, app.IngestOptions{})
		if err != nil {
			return err
		}
	} else if err := c.working(ctx, func(a *app.App) (err error) {
		if sum, err = c.ingestInto(ctx, a, in, source, app.IngestOptions{Decode: a.DecodeOptions(c.env.Now())}); err != nil {
			return err
		}
		return c.followed(ctx, a)
	}); err != nil {
		return err
	}
	if sum.Outcomes[lockstep.ParkedAway] > 0 {
		c.next("lockstep parked")
	}
	return c.printed(sum, func(w io.Writer) { printIngested(w, sum) })
}

func (c *session) ingestInto(ctx context.Context, to app.Submitter, in io.Reader, source string, opts app.IngestOptions) (app.Ingested, error) {
	bar := c.progress("ingested")
	opts.Progress = func(s app.Ingested) { bar.at(s.Records, 0) }
	sum, err := app.Ingest(ctx, to, in, source, opts)
	bar.done()
	if err != nil && sum.Records > 0 {
		err = lockstep.Hint(err, fmt.Sprintf("%d records are in versions up to %d; ingest the file again, it is safe", sum.Records, sum.Version))
	}
	return sum, err
}

func printIngested(w io.Writer, s app.Ingested) {
	fmt.Fprintf(w, "%d records in version %d: %s; %d published records changed\n", s.Records, s.Version, outcomes(s.Outcomes), s.Changed)
	for _, r := range s.Reasons {
		fmt.Fprintf(w, "  %s\n", r)
	}
}

func outcomes(m map[lockstep.Outcome]int) string {
	var parts []string
	for _, o := range lockstep.Outcomes() {
		if m[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", m[o], o))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
