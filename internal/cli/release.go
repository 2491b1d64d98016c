package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

func (c *session) release() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "release",
		GroupID: groupReleases,
		Short:   "Give a new revision its traffic step by step, and take it back",
		Long: `A release is one attempt to make a candidate stable: it is tried on what is recorded,
compared in shadow, given a growing share of the keys, and becomes stable when it
has earned that, or is taken back by itself when a guard finds it bad.

A running "lockstep up" drives it. Without a server, "lockstep release drive" does.`,
	}
	verbs(cmd)
	cmd.AddCommand(
		c.releasePlan(), c.releaseStart(), c.releaseStatus(), c.releaseDrive(),
		c.releasePromote(), c.releasePause(), c.releaseResume(), c.releaseAbort(), c.releaseRetry(),
		c.releaseApprove(), c.releaseAccept(), c.releaseGlass(),
		c.releaseFreeze(), c.releaseUnfreeze(), c.releaseSettle(), c.releaseHistory(),
	)
	return cmd
}

// opener opens the half that decides about releases.
type opener func(context.Context, config.Config, app.Options) (*app.Control, error)

// releasing opens the half that decides about releases with open and passes it to use.
func (c *session) releasing(ctx context.Context, open opener, use func(*app.Control) error) (err error) {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	control, err := open(ctx, cfg, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	return use(control)
}

// noReason is stored for an order that was given none: who asks is known all the same.
const noReason = "no reason given"

// why returns the reason that is stored.
func why(reason string) string {
	if reason == "" {
		return noReason
	}
	return reason
}

// needReason refuses an order that somebody will have to answer for and that has no reason.
func needReason(cmd *cobra.Command, reason string) error {
	if reason == "" {
		return usageError{lockstep.Hint(fmt.Errorf("%s: --reason is needed", cmd.CommandPath()), "say why; it is kept in the ledger")}
	}
	return nil
}

// agreed carries out an order that moves traffic: when it would be refused it says so at
// once, else it asks first, unless somebody has agreed.
//
//nolint:revive // yes is what a person said, and no mode
func (c *session) agreed(ctx context.Context, control *app.Control, yes bool, what string, order orderFunc) (release.Head, error) {
	_, s, err := control.Standing(ctx)
	if err == nil {
		_, err = order(s)
	}
	if err == nil && !yes {
		err = c.consent(what)
	}
	if err != nil {
		return release.Head{}, err
	}
	return control.Command(ctx, order)
}

// orderFunc is a command of package release, given the newest state.
type orderFunc = func(release.State) (release.Transition, error)

// releaseView is the state of releases for programs. What is left out of the release is its
// evidence, which "lockstep analysis explain" shows.
type releaseView struct {
	Entry       uint64                `json:"entry"` // number in the ledger of releases; 0: none yet
	Environment string                `json:"environment"`
	Stable      release.Pair          `json:"stable"`
	KnownGood   release.Pair          `json:"known_good"`
	Release     *release.Release      `json:"release"`
	Quarantine  []release.Quarantined `json:"quarantine"`
	Stop        *release.Stop         `json:"stop,omitempty"`
	Pins        []release.Effect      `json:"pins"`
	Pending     []release.Effect      `json:"pending"`
}

func viewOf(head release.Head) releaseView {
	s := head.State()
	v := releaseView{
		Entry: head.Number(), Environment: s.Environment, Stable: s.Stable, KnownGood: s.KnownGood, Stop: s.Stop,
		Quarantine: []release.Quarantined{}, Pins: []release.Effect{}, Pending: []release.Effect{},
	}
	v.Quarantine, v.Pins, v.Pending = append(v.Quarantine, s.Quarantine...), append(v.Pins, s.Pins...), append(v.Pending, s.Pending...)
	if s.Release != nil {
		r := *s.Release
		r.Evidence = nil
		v.Release = &r
	}
	return v
}

// printedHead prints the state after an order.
func (c *session) printedHead(head release.Head) error {
	return c.printed(viewOf(head), func(w io.Writer) {
		fmt.Fprint(w, head.State().Describe(c.env.Now()))
	})
}

func (c *session) releaseHistory() *cobra.Command {
	limit := 50
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List what happened to releases, newest first",
		Args:  exactly(0, "no arguments besides its flags"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.runReleaseHistory(cmd.Context(), limit) },
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", limit, "at most this many; 0 for all")
	return cmd
}

// historyRow is one entry of the ledger of releases for programs.
type historyRow struct {
	Entry   uint64          `json:"entry"`
	At      time.Time       `json:"at"`
	Kind    release.Kind    `json:"kind"`
	Actor   string          `json:"actor"`
	Reason  string          `json:"reason"`
	Release string          `json:"release,omitempty"`
	Attempt int             `json:"attempt,omitempty"`
	Phase   release.Phase   `json:"phase,omitempty"`
	Weight  release.Weight  `json:"weight"` // basis points
	Outcome release.Outcome `json:"outcome,omitempty"`
	text    string
}

func rowOf(e *release.Entry) historyRow {
	row := historyRow{Entry: e.Number, At: e.At, Kind: e.Kind, Actor: e.Actor, Reason: e.Reason, text: e.Describe()}
	if r := e.State.Release; r != nil {
		row.Release, row.Attempt, row.Phase, row.Weight = r.ID, r.Attempt, r.Phase, r.Weight
		if r.Ending != nil {
			row.Outcome = r.Ending.Outcome
		}
	}
	return row
}

func (c *session) runReleaseHistory(ctx context.Context, limit int) error {
	if limit < 0 {
		return usageError{fmt.Errorf("--limit %d: want 0 or more", limit)}
	}
	return c.releasing(ctx, app.OpenOrders, func(control *app.Control) error {
		head, err := control.Releases.Head(ctx)
		if err != nil {
			return err
		}
		var rows []historyRow
		for n := head.Number(); n > 0 && (limit == 0 || len(rows) < limit); n-- {
			h, err := control.Releases.At(ctx, n)
			if err != nil {
				return err
			}
			rows = append(rows, rowOf(h.Entry))
		}
		return c.printed(rows, func(w io.Writer) {
			for _, r := range rows {
				fmt.Fprintln(w, r.text)
			}
		})
	})
}
