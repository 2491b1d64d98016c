package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/branch"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/revert"
	"lockstep/internal/version"
)

type revertFlags struct {
	bad    revert.Bad
	good   string
	since  uint64
	prove  bool
	dryRun bool
	reason string
	yes    bool
}

func (c *session) revert() *cobra.Command {
	var f revertFlags
	cmd := &cobra.Command{
		Use:     "revert --revision R | --version V | --message M",
		GroupID: groupChange,
		Short:   "Take back what a revision, a version or a message wrote, and nothing else",
		Long: `Restores, for every partition key that was decided by what is bad, the records as
they were before, and handles everything that happened to the key since again, by the
stable revision. Records of other keys are not touched, unless they share a record with
these or were derived from one; then they join in, and the plan says so. What comes out
is one new version; the changes are all in it.

--prove computes the counterfactual in another way: on a branch it goes back to the
version before, has the good revision handle the whole history since, and compares
digests. It needs neither a running server nor Chroma, and never calls the revision
that is taken back.

A revert is undone by reverting the version that it published.`,
		Example: `  lockstep revert --revision receipts@2 --dry-run
  lockstep revert --revision receipts@2 --prove --reason "wrong labels" --yes
  lockstep revert --version 43 --yes`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runRevert(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.bad.Revision, "revision", "", "take back all that this revision decided")
	fl.Uint64Var(&f.bad.Version, "version", 0, "take back one version; that of a revert puts back what it took")
	fl.StringVar(&f.bad.Message, "message", "", "take back what this message caused")
	fl.StringVar(&f.good, "good", "", "the revision that handles the messages again (default: the stable one)")
	fl.Uint64Var(&f.since, "since", 0, "nothing older than this version is bad; saves reading older ones")
	fl.BoolVar(&f.prove, "prove", false, "compare the result with the counterfactual")
	fl.BoolVar(&f.dryRun, "dry-run", false, "work it out, and change nothing")
	fl.StringVar(&f.reason, "reason", "", "why, for the ledger")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	return cmd
}

// revertResult is what a revert tells programs.
type revertResult struct {
	*revert.Plan
	Published uint64        `json:"published,omitempty"` // the new version
	Proof     *revert.Proof `json:"proof,omitempty"`
	DryRun    bool          `json:"dry_run,omitempty"`
}

func (c *session) runRevert(ctx context.Context, f revertFlags) (err error) {
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
	req, err := c.revertRequest(ctx, a, f)
	if err != nil {
		return err
	}
	bar := c.progress("versions handled again")
	req.Progress = bar.at
	plan, err := revert.Work(ctx, a.Origin(), req)
	bar.done()
	if err != nil {
		return err
	}
	printRevertPlan(c.env.Stderr, plan)
	res := revertResult{Plan: plan, DryRun: f.dryRun}
	if !f.dryRun {
		if err := c.doRevert(ctx, a, f, req, &res); err != nil {
			return err
		}
	}
	if f.prove {
		if err := c.prove(ctx, a.Origin(), req.Good, &res); err != nil {
			return err
		}
	}
	if res.Published > 0 {
		c.next("lockstep show %d", res.Published)
	}
	return c.printed(res, func(w io.Writer) { printRevert(w, res) })
}

// doRevert publishes the plan, working it out again when the log goes on meanwhile.
func (c *session) doRevert(ctx context.Context, a *app.App, f revertFlags, req revert.Request, res *revertResult) error {
	if !f.yes {
		if err := c.consent("revert"); err != nil {
			return err
		}
	}
	head, err := res.Publish(ctx, a.Compactor, a.Log, req)
	if errors.Is(err, lockstep.ErrConflict) {
		var out revert.Outcome
		if out, err = revert.Do(ctx, a.Compactor, a.Origin(), req); err == nil {
			res.Plan, res.Published = &out.Plan, out.Version
		}
		return err
	}
	res.Published = head.Number()
	if err != nil {
		return err
	}
	return c.followed(ctx, a)
}

func (c *session) revertRequest(ctx context.Context, a *app.App, f revertFlags) (revert.Request, error) {
	head, err := a.Releases.Head(ctx)
	if err != nil {
		return revert.Request{}, err
	}
	s := head.State()
	if f.bad.Revision != "" {
		if id, ok := app.Named(s, f.bad.Revision); ok {
			f.bad.Revision = id
		} else if rev, err := a.Revisions.Lookup(f.bad.Revision); err == nil {
			f.bad.Revision = rev.ID()
		} else {
			return revert.Request{}, err
		}
	}
	good, err := goodRevision(a, s, f.good)
	if err != nil {
		return revert.Request{}, err
	}
	if release.SameRevision(good.ID(), f.bad.Revision) {
		return revert.Request{}, lockstep.Hint(fmt.Errorf("revert what %s decided: %w: it is the revision that would handle the messages again", f.bad.Revision, lockstep.ErrRefused),
			`"lockstep rollback run" makes an older revision stable first; --good names another one`)
	}
	return revert.Request{Bad: f.bad, Good: good, Since: f.since, Actor: c.who(), Reason: f.reason, Now: c.env.Now()}, nil
}

// goodRevision is the named one, or the stable one.
func goodRevision(a *app.App, s release.State, name string) (handler.Revision, error) {
	switch {
	case name != "":
		return a.Revisions.Lookup(name)
	case s.Stable.Revision != "":
		return a.Revisions.Lookup(s.Stable.Revision)
	}
	return a.Revision, nil
}

func (c *session) prove(ctx context.Context, from branch.Origin, good handler.Revision, res *revertResult) error {
	through := res.Head
	if res.Published > 0 {
		e, err := from.Log.Read(ctx, res.Published)
		if err != nil {
			return err
		}
		through = e.Parent // versions that have nothing to do with it may have come between
		for name, d := range e.Digests() {
			res.Digests[string(name)] = d
		}
	}
	bar := c.progress("versions of the counterfactual")
	proof, err := revert.Prove(ctx, from, revert.ProofRequest{Since: res.Since, Through: through, Digests: res.Digests, Good: good, Progress: bar.at})
	bar.done()
	if err != nil {
		return err
	}
	res.Proof = &proof
	if !proof.Equal {
		return lockstep.Hint(fmt.Errorf("prove the revert: %w: the index is not what %s alone would have made: %s", lockstep.ErrCorrupt, good, strings.Join(proof.Differ, "; ")),
			`"lockstep rebuild" derives every record from the mirror of the table`)
	}
	return nil
}

func printRevertPlan(w io.Writer, p *revert.Plan) {
	fmt.Fprintf(w, "revert %s: %d keys since version %d, %d messages handled again by %s\n", p.Bad, p.Keys, p.Since, p.Messages, p.Good)
	if p.Joined+p.Tainted > 0 {
		fmt.Fprintf(w, "  %d of these keys share records with them, %d have read what was bad\n", p.Joined, p.Tainted)
	}
	fmt.Fprintf(w, "  %d records were restored and derived anew, %d come out different; no change is lost\n", p.Looked, p.Records)
	for _, key := range p.Parked {
		fmt.Fprintf(w, "  key %q waits: its messages fail with the good revision too (\"lockstep parked\")\n", key)
	}
}

func printRevert(w io.Writer, r revertResult) {
	if r.Published > 0 {
		fmt.Fprintf(w, "version %d takes back %s: %d records, digest %s\n", r.Published, r.Bad, r.Records, version.Short(r.Digest))
		fmt.Fprintf(w, "undo: lockstep revert --version %d\n", r.Published)
	}
	if r.Proof != nil {
		fmt.Fprintf(w, "proven: %d messages handled by %s alone give the same digest %s\n", r.Proof.Messages, r.Good, version.Short(r.Proof.Digest))
	}
}
