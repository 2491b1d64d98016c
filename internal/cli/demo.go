package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

func (c *session) demo() *cobra.Command {
	opts := app.DemoOptions{}
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: groupRun,
		Short:   "Play a day of a synthetic receipt table and look at what became of it",
		Long: `Invents a table of receipts with embeddings, plays its stream into versions, edits
it, goes back to an earlier version and forward again. Then it releases a revision
that turns out to be bad, and shows how it is caught, how code and data are taken back
and proven, and writes the report of the incident. It says what to look at next. Nothing leaves this machine, and nothing but the data directory is written.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runDemo(cmd.Context(), opts) },
	}
	f := cmd.Flags()
	f.IntVar(&opts.Receipts, "receipts", 100, "receipts to invent: about 200 records each")
	f.IntVar(&opts.Dimension, "dimension", 64, "components per vector")
	f.IntVar(&opts.Edits, "edits", 200, "edits to play")
	f.Uint64Var(&opts.Seed, "seed", 1, "another seed, another table")
	return cmd
}

// story is what a demonstration tells programs.
type story struct {
	Directory string           `json:"directory"`
	Created   app.Ingested     `json:"created"`
	Edited    app.Ingested     `json:"edited"`
	Reset     uint64           `json:"reset_to"`
	ResetMS   float64          `json:"reset_ms"`
	Same      bool             `json:"same_digest_after_replay"`
	Digest    string           `json:"digest"`
	Release   *app.DemoRelease `json:"release,omitempty"`
	Rollback  *demoRollback    `json:"rollback,omitempty"`
	Status    app.Status       `json:"status"`
}

const demoDirectory = "./lockstep-demo"

func (c *session) runDemo(ctx context.Context, opts app.DemoOptions) error {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	dir := c.data
	if dir == "" {
		dir = demoDirectory
	}
	if _, err := os.Stat(dir); err == nil {
		return lockstep.Hint(fmt.Errorf("demo: %w: %s exists already", lockstep.ErrRefused, dir), "look at it with --data "+dir+", remove it, or name another directory with --data")
	}
	fmt.Fprintf(c.env.Stderr, "inventing %d receipts with their embeddings in %s\n", opts.Receipts, dir)
	files, err := app.WriteDemo(ctx, dir, opts)
	if err != nil {
		return err
	}
	options := c.options()
	options.Handlers = []handler.Handler{app.DemoCandidate()}
	a, err := app.Open(ctx, app.DemoConfig(cfg, dir), options)
	if err != nil {
		return err
	}
	s := story{Directory: dir}
	if err := errors.Join(c.play(ctx, a, files, &s), a.Close()); err != nil {
		return err
	}
	return c.printed(s, func(w io.Writer) { printStory(w, s) })
}

func (c *session) play(ctx context.Context, a *app.App, files app.DemoFiles, s *story) error {
	say := func(format string, args ...any) { fmt.Fprintf(c.env.Stderr, format+"\n", args...) }
	say("playing %d stream records: the table comes to be", files.Records)
	var err error
	if s.Created, err = c.playFile(ctx, a, files.Created); err != nil {
		return err
	}
	before := a.Compactor.Head().Number()
	say("playing %d edits, and what real streams send besides: repeats, a damaged record, a stranger", files.Edits)
	if s.Edited, err = c.playFile(ctx, a, files.Edited); err != nil {
		return err
	}
	digest := version.IndexDigest(a.Compactor.Head().Entry.Digests())
	say("going back to version %d, before the edits, and replaying them", before)
	start := c.env.Now()
	if _, _, err := a.Reset(ctx, compact.ResetRequest{To: before, Mode: compact.ResetReplay, Actor: c.who(), Reason: "the demo", Now: start}); err != nil {
		return err
	}
	s.Reset, s.ResetMS = before, float64(c.env.Now().Sub(start))/float64(time.Millisecond)
	a.Compactor.Poll()
	if err := a.Compactor.Refresh(ctx); err != nil {
		return err
	}
	s.Digest = version.IndexDigest(a.Compactor.Head().Entry.Digests())
	s.Same = s.Digest == digest
	if err := c.playRelease(ctx, a, files, s); err != nil {
		return err
	}
	if st := a.FollowerStatus(); st.Advice == "" {
		say("bringing the Chroma directory to version %d", a.Compactor.Head().Number())
		if _, err := a.Follow(ctx); err != nil {
			return err
		}
	}
	s.Status, err = a.Status(ctx)
	return err
}

// demoKeys is how many keys a canary needs to say something.
const demoKeys = 20

func (c *session) playRelease(ctx context.Context, a *app.App, files app.DemoFiles, s *story) error {
	if files.Keys < demoKeys {
		fmt.Fprintf(c.env.Stderr, "a table of %d receipts has too few keys for a canary: no release is played\n", files.Keys)
		return nil
	}
	fmt.Fprintln(c.env.Stderr, "releasing a migrated revision while edits go on: a quarter of the keys first")
	played, err := files.PlayRelease(ctx, a, func(line string) { fmt.Fprintln(c.env.Stderr, line) })
	s.Release = &played
	if err != nil {
		return err
	}
	return c.playRollback(ctx, a, s)
}

func (c *session) playFile(ctx context.Context, a *app.App, name string) (app.Ingested, error) {
	f, err := os.Open(name)
	if err != nil {
		return app.Ingested{}, fmt.Errorf("demo: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	return c.ingestInto(ctx, a, f, name, app.IngestOptions{Decode: a.DecodeOptions(c.env.Now())})
}

func printStory(w io.Writer, s story) {
	fmt.Fprintf(w, "\nThe table came to be: ")
	printIngested(w, s.Created)
	fmt.Fprintf(w, "The edits:            ")
	printIngested(w, s.Edited)
	same := "the digest is the same as before, nothing was lost"
	if !s.Same {
		same = "THE DIGEST DIFFERS, which must not happen"
	}
	fmt.Fprintf(w, "Back to version %d in %.1f ms, the edits replayed: %s.\n\n", s.Reset, s.ResetMS, same)
	if s.Release != nil {
		printDemoRelease(w, s.Release)
	}
	if s.Rollback != nil {
		printDemoRollback(w, s.Rollback)
	}
	printStatus(w, s.Status)
	fmt.Fprintf(w, "\nLook at it:\n")
	for _, cmd := range []string{"log", "diff %[2]d %[3]d", "get words --limit 2", "status", "verify", "rollback checklist", "incident show"} {
		fmt.Fprintf(w, "  lockstep "+cmd+" --data %[1]s\n", s.Directory, s.Reset, s.Status.Version)
	}
	if s.Status.Follower.Advice == "" {
		fmt.Fprintf(w, "  python -c 'import chromadb; print(chromadb.PersistentClient(\"%s/current\").get_collection(\"words\").count())'\n", s.Status.Follower.Directory)
	}
	fmt.Fprintf(w, "Run it for real:\n  lockstep up\n")
}

func printDemoRelease(w io.Writer, r *app.DemoRelease) {
	quarantined := ""
	if r.Quarantined {
		quarantined = " It is quarantined by its content."
	}
	fmt.Fprintf(w, "The release of %s: %s in the step %q after %d units of work, %.0f ms after its start.\n", r.Candidate, r.Outcome, r.Step, r.Units, r.ElapsedMS)
	fmt.Fprintf(w, "  Why:     %s\n", r.Reason)
	fmt.Fprintf(w, "  Harm:    it failed %d times, and stable did that work within the same batch: %d messages parked, none lost\n", r.Failed, r.Parked)
	fmt.Fprintf(w, "  Stopped: version %d is its fence; behind it, it wrote %d records.%s\n\n", r.Fence, r.Behind, quarantined)
}
