package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// riskLoseChanges is the name under which a loss of changes is accepted.
const riskLoseChanges = "lose-changes"

type resetFlags struct {
	to      uint64
	hold    bool
	discard bool
	accept  []string
	reason  string
	yes     bool
	dryRun  bool
}

func (c *session) reset() *cobra.Command {
	var f resetFlags
	cmd := &cobra.Command{
		Use:     "reset --to VERSION",
		GroupID: groupChange,
		Short:   "Make the index what it was at an earlier version",
		Long: `Publishes one new version whose state is that of an earlier one, in a time that
does not depend on the size of the index. History only grows: the versions in
between stay and can be returned to.

The changes that came after VERSION are, by default, replayed through the current
revision, so that nothing is lost. --hold keeps them until "lockstep replay".
--discard gives them up, lists them, and needs --accept-risk=lose-changes.

It needs neither a running server nor Chroma. A running server notices and replays.`,
		Example: `  lockstep reset --to 41 --dry-run
  lockstep reset --to 41 --reason "wrong labels since 42" --yes`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("to") {
				return usageError{errors.New(`lockstep reset: --to VERSION is needed ("lockstep log" lists the versions)`)}
			}
			return c.runReset(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.Uint64Var(&f.to, "to", 0, "the version to return to; 0 is the empty index")
	fl.BoolVar(&f.hold, "hold", false, "keep the later changes until \"lockstep replay\"")
	fl.BoolVar(&f.discard, "discard", false, "give the later changes up")
	fl.StringSliceVar(&f.accept, "accept-risk", nil, "accept a risk by its name")
	fl.StringVar(&f.reason, "reason", "", "why, for the ledger")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only say what would happen")
	return cmd
}

func (f resetFlags) mode() (compact.ResetMode, error) {
	switch {
	case f.hold && f.discard:
		return "", usageError{errors.New("--hold and --discard exclude each other")}
	case f.hold:
		return compact.ResetHold, nil
	case f.discard:
		return compact.ResetDiscard, nil
	}
	return compact.ResetReplay, nil
}

// resetResult is what a reset tells programs.
type resetResult struct {
	compact.ResetPlan
	Published   uint64   `json:"published,omitempty"` // the new version
	Digest      string   `json:"digest,omitempty"`
	Replayed    uint64   `json:"replayed,omitempty"` // the version after the replay
	LostChanges []string `json:"lost_messages,omitempty"`
	DryRun      bool     `json:"dry_run,omitempty"`
}

func (c *session) runReset(ctx context.Context, f resetFlags) error {
	mode, err := f.mode()
	if err != nil {
		return err
	}
	s, _, err := c.store(ctx)
	if err != nil {
		return err
	}
	req := compact.ResetRequest{To: f.to, Mode: mode, Actor: c.who(), Reason: f.reason, Now: c.env.Now()}
	plan, err := compact.PlanReset(ctx, s.Log, req)
	if err != nil {
		return err
	}
	res := resetResult{ResetPlan: plan, DryRun: f.dryRun}
	lost, err := plan.LostMessages(ctx, s.Log)
	if err != nil {
		return err
	}
	for _, m := range lost {
		res.LostChanges = append(res.LostChanges, m.ID)
	}
	printResetPlan(c.env.Stderr, res)
	if f.dryRun {
		return c.printed(res, func(io.Writer) {})
	}
	if len(lost) > 0 && !accepted(f.accept, riskLoseChanges) {
		return lockstep.Hint(fmt.Errorf("reset to version %d: %w: %d messages would be lost", f.to, lockstep.ErrRefused, len(lost)),
			"leave --discard away, or give --accept-risk="+riskLoseChanges)
	}
	if !f.yes {
		if err := c.consent("reset"); err != nil {
			return err
		}
	}
	_, head, err := s.Reset(ctx, req)
	if err != nil {
		return err
	}
	res.Published, res.Digest = head.Number(), version.IndexDigest(head.Entry.Digests())
	if len(head.Entry.Backlog) > 0 && mode == compact.ResetReplay {
		res.Replayed, err = c.replayNow(ctx)
	}
	if err != nil {
		return lockstep.Hint(fmt.Errorf("version %d is published, the replay is not complete: %w", head.Number(), err), `it goes on by itself with the next "lockstep up" or "lockstep ingest"`)
	}
	c.next("lockstep diff %d %d", res.From, max(res.Published, res.Replayed))
	return c.printed(res, func(w io.Writer) { printReset(w, res) })
}

// replayNow works the backlog off when no server has the data directory; a server
// does it by itself.
func (c *session) replayNow(ctx context.Context) (uint64, error) {
	var at uint64
	err := c.working(ctx, func(a *app.App) error {
		at = a.Compactor.Head().Number()
		return c.followed(ctx, a)
	})
	if errors.Is(err, app.ErrBusy) {
		return 0, nil
	}
	return at, err
}

func printResetPlan(w io.Writer, r resetResult) {
	fmt.Fprintf(w, "reset from version %d to %d: %d versions are left, %d messages in them\n", r.From, r.To, r.Versions, r.Messages)
	switch r.Mode {
	case compact.ResetReplay:
		fmt.Fprintln(w, "  the messages are replayed through the current revision; nothing is lost")
	case compact.ResetHold:
		fmt.Fprintln(w, `  the messages are held until "lockstep replay"; nothing is lost`)
	case compact.ResetDiscard:
		fmt.Fprintf(w, "  %d messages are LOST:\n", len(r.LostChanges))
		for _, id := range r.LostChanges {
			fmt.Fprintf(w, "    %s\n", id)
		}
	}
	fmt.Fprintf(w, "  undo: lockstep reset --to %d\n", r.From)
}

func printReset(w io.Writer, r resetResult) {
	fmt.Fprintf(w, "version %d has the state of version %d, digest %s\n", r.Published, r.To, version.Short(r.Digest))
	if r.Replayed > 0 {
		fmt.Fprintf(w, "the later changes are replayed: version %d\n", r.Replayed)
	}
}

func accepted(given []string, risk string) bool {
	return slices.Contains(given, risk)
}

// consent asks, or refuses when nobody is there to be asked: silence is no consent.
func (c *session) consent(what string) error {
	if !c.env.Asks {
		return lockstep.Hint(fmt.Errorf("%s: %w: nobody is there to confirm it", what, lockstep.ErrRefused), "give --yes")
	}
	fmt.Fprintf(c.env.Stderr, "%s? Type yes to go on: ", what)
	line, err := bufio.NewReader(c.env.Stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "yes" {
		return silentError{fmt.Errorf("%s: not confirmed", what), exitCancelled}
	}
	return nil
}

func (c *session) replay() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "replay",
		GroupID: groupChange,
		Short:   "Handle the changes that a \"reset --hold\" has kept",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, err := c.store(cmd.Context())
			if err != nil {
				return err
			}
			head, err := compact.Release(cmd.Context(), s.Log, c.who(), reason, c.env.Now())
			if err != nil {
				return err
			}
			at, err := c.replayNow(cmd.Context())
			if err != nil {
				return err
			}
			res := map[string]uint64{"released": head.Number(), "replayed": at}
			return c.printed(res, func(w io.Writer) {
				fmt.Fprintf(w, "released by version %d", head.Number())
				if at > 0 {
					fmt.Fprintf(w, ", replayed up to version %d", at)
				}
				fmt.Fprintln(w)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger")
	return cmd
}
