package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/history"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

func (c *session) show() *cobra.Command {
	return &cobra.Command{
		Use:     "show VERSION",
		GroupID: groupRead,
		Short:   "Show one version: what it changed, by which messages and revisions",
		Args:    exactly(1, "one version"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			return c.runShow(cmd.Context(), n)
		},
	}
}

// number reads a version number.
func number(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, usageError{fmt.Errorf("%q is not a version number", s)}
	}
	return n, nil
}

func (c *session) runShow(ctx context.Context, n uint64) error {
	s, cfg, err := c.store(ctx)
	if err != nil {
		return err
	}
	rev, err := app.Revision(cfg)
	if err != nil {
		return err
	}
	v, err := history.Show(ctx, s.Log, n, rev.Handler.Describe().Key)
	if err != nil {
		return err
	}
	return c.printed(v, func(w io.Writer) { printVersion(w, &v) })
}

func printVersion(w io.Writer, v *history.Version) {
	fmt.Fprintf(w, "version %d (%s) of %s\n", v.Version, v.Kind, v.At.UTC().Format(time.RFC3339))
	fmt.Fprintf(w, "  parent    %d\n", v.Parent)
	fmt.Fprintf(w, "  digest    %s\n", v.Digest)
	for _, k := range sortedKeys(v.Revisions) {
		fmt.Fprintf(w, "  revision  %s: %d mutations\n", k, v.Revisions[k])
	}
	if v.Cause.Command != "" || v.Cause.Reason != "" {
		fmt.Fprintf(w, "  cause     %s by %s: %s\n", v.Cause.Command, v.Cause.Actor, v.Cause.Reason)
	}
	if len(v.Outcomes) > 0 {
		fmt.Fprintf(w, "  messages  %s\n", outcomes(v.Outcomes))
	}
	for _, ch := range v.Changes {
		fmt.Fprintf(w, "  %-9s %d added, %d changed, %d deleted\n", ch.Collection, ch.Added, ch.Changed, ch.Deleted)
	}
	if v.Retired {
		fmt.Fprintln(w, "  its delta was removed by retention")
	}
	for i := range v.Shown {
		fmt.Fprintf(w, "    %s\n", messageLine(&v.Shown[i]))
	}
	if left := v.Messages - len(v.Shown); left > 0 && len(v.Shown) > 0 {
		fmt.Fprintf(w, "    and %d more messages\n", left)
	}
}

func messageLine(m *history.Message) string {
	line := fmt.Sprintf("%s %s", m.ID, m.Outcome)
	if m.Event != nil {
		line += fmt.Sprintf(" %s %s %s", m.Event.Event, m.Event.Entity, m.Event.Key)
	}
	if m.Reason != "" {
		line += ": " + m.Reason
	}
	return line
}

func (c *session) diff() *cobra.Command {
	opts := history.DiffOptions{}
	var collection string
	cmd := &cobra.Command{
		Use:     "diff A B",
		GroupID: groupRead,
		Short:   "Show what lies between two versions, record by record and field by field",
		Args:    exactly(2, "two versions"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := number(args[0])
			if err != nil {
				return err
			}
			b, err := number(args[1])
			if err != nil {
				return err
			}
			opts.Collection = lockstep.Collection(collection)
			s, _, err := c.store(cmd.Context())
			if err != nil {
				return err
			}
			d, err := history.Diff(cmd.Context(), s.Log, a, b, opts)
			if err != nil {
				return err
			}
			return c.printed(d, func(w io.Writer) { printDiff(w, &d) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&collection, "collection", "", "only this collection")
	f.BoolVar(&opts.Builtin, "builtin", false, "also the mirror of the table, parked and malformed messages")
	f.IntVarP(&opts.Limit, "limit", "n", 20, "show at most this many records; the counts are always complete")
	return cmd
}

func printDiff(w io.Writer, d *history.Difference) {
	fmt.Fprintf(w, "from version %d to %d: %d versions undone, %d applied\n", d.From, d.To, d.Undo, d.Apply)
	for _, ch := range d.Counts {
		fmt.Fprintf(w, "%s: %d added, %d changed, %d deleted\n", ch.Collection, ch.Added, ch.Changed, ch.Deleted)
	}
	for i := range d.Records {
		r := &d.Records[i]
		fmt.Fprintf(w, "%s %s %s (by %s in version %d)\n", r.Change, r.Collection, r.ID, orNone(r.Author.Revision), r.Author.Version)
		printFields(w, r.Fields)
	}
	if d.Truncated {
		fmt.Fprintln(w, "more records changed: give --limit")
	}
}

func printFields(w io.Writer, fields []history.FieldDiff) {
	for _, f := range fields {
		name := string(f.Part)
		if f.Key != "" {
			name = f.Key
		}
		if f.Old != nil {
			fmt.Fprintf(w, "  - %s = %v\n", name, f.Old.Value)
		}
		if f.New != nil {
			fmt.Fprintf(w, "  + %s = %v\n", name, f.New.Value)
		}
	}
}

func (c *session) blame() *cobra.Command {
	opts := history.BlameOptions{}
	cmd := &cobra.Command{
		Use:     "blame COLLECTION RECORD",
		GroupID: groupRead,
		Short:   "Show who wrote a record: message, revision and version of every write",
		Args:    exactly(2, "a collection and a record id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.runBlame(cmd.Context(), lockstep.Collection(args[0]), args[1], opts)
		},
	}
	cmd.Flags().IntVarP(&opts.Limit, "limit", "n", 20, "at most this many writes")
	return cmd
}

func (c *session) runBlame(ctx context.Context, collection lockstep.Collection, id string, opts history.BlameOptions) error {
	var writes []history.Write
	err := c.viewing(ctx, func(a *app.App, view view) (err error) {
		opts.Schema = a.Revision.Handler.Describe().Key
		writes, err = history.Blame(ctx, a.Log, view, collection, id, opts)
		return err
	})
	if err != nil {
		return err
	}
	return c.printed(writes, func(w io.Writer) {
		for i := range writes {
			printWrite(w, &writes[i])
		}
	})
}

func printWrite(w io.Writer, wr *history.Write) {
	if wr.Retired {
		fmt.Fprintf(w, "version %d by %s: removed by retention\n", wr.Version, orNone(wr.Revision))
		return
	}
	fmt.Fprintf(w, "version %d (%s) of %s by %s: %s\n", wr.Version, wr.Kind, wr.At.UTC().Format(time.RFC3339), orNone(wr.Revision), wr.Change)
	if wr.Message != nil {
		fmt.Fprintf(w, "  message %s\n", messageLine(wr.Message))
	}
	printFields(w, wr.Fields)
}

func (c *session) verify() *cobra.Command {
	var opts history.VerifyOptions
	var follower bool
	cmd := &cobra.Command{
		Use:     "verify",
		GroupID: groupCheck,
		Short:   "Compute every hash anew and compare it with what is written",
		Long: `Reads every version and every record, and checks the chain of the log, each delta,
the digest of each version and the digests of the records as they are. With
--follower it reads the Chroma directory back and compares it record by record.

Ends with status 1 when anything differs.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			readBack := func(context.Context, *app.App) (*app.FollowerReport, error) { return nil, nil }
			if follower {
				readBack = func(ctx context.Context, a *app.App) (*app.FollowerReport, error) {
					r, err := a.VerifyFollower(ctx)
					return &r, err
				}
			}
			return c.runVerify(cmd.Context(), opts, readBack)
		},
	}
	cmd.Flags().BoolVar(&opts.Vectors, "vectors", false, "also read and hash every vector")
	cmd.Flags().BoolVar(&follower, "follower", false, "also read the Chroma directory back")
	return cmd
}

// verified is what a verify tells programs.
type verified struct {
	history.Report
	Follower *app.FollowerReport `json:"follower,omitempty"`
}

func (c *session) runVerify(ctx context.Context, opts history.VerifyOptions, readBack func(context.Context, *app.App) (*app.FollowerReport, error)) error {
	var out verified
	bar := c.progress("verified")
	opts.Progress = bar.at
	err := c.viewing(ctx, func(a *app.App, view view) (err error) {
		if out.Report, err = history.Verify(ctx, a.Log, view, opts); err != nil {
			return err
		}
		out.Follower, err = readBack(ctx, a)
		return err
	})
	bar.done()
	if err != nil {
		return err
	}
	ok := out.OK && (out.Follower == nil || out.Follower.OK)
	if err := c.printed(out, func(w io.Writer) { printVerified(w, &out) }); err != nil {
		return err
	}
	if !ok {
		return silentError{fmt.Errorf("verify: %w", lockstep.ErrCorrupt), exitError}
	}
	return nil
}

func printVerified(w io.Writer, v *verified) {
	verdict := "all of it is what it claims to be"
	if !v.OK {
		verdict = fmt.Sprintf("%d PROBLEMS", v.Found)
	}
	fmt.Fprintf(w, "versions %d to %d: %d entries chained, %d deltas and %d digests computed anew, %d records hashed: %s\n",
		v.Low, v.Head, v.Entries, v.Deltas, v.Digests, v.Records, verdict)
	for _, p := range v.Problems {
		fmt.Fprintf(w, "  %s: version %d %s: %s\n", p.Check, p.Version, p.Key, p.Detail)
	}
	if v.Follower == nil {
		return
	}
	fmt.Fprintf(w, "follower at version %d\n", v.Follower.Version)
	for _, f := range v.Follower.Collections {
		says := "equal"
		if !f.Equal {
			says = "DIFFERS"
		}
		fmt.Fprintf(w, "  %s: %d records, digest %s, %s\n", f.Collection, f.Records, version.Short(f.Digest), says)
		for _, d := range f.Differences {
			fmt.Fprintf(w, "    %s\n", d)
		}
	}
}
