package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

// statusView is what "release status" shows.
type statusView struct {
	releaseView

	// Due is what a controller would do now, "" when it waits.
	Due   release.Kind `json:"due,omitempty"`
	Why   string       `json:"why"`
	Until time.Time    `json:"until,omitzero"` // the earliest time at which waiting ends by itself
	// Waits names what somebody has to do: "risk NAME", "approval", or what halts it.
	Waits   []string     `json:"waits"`
	Seen    release.Seen `json:"seen"` // in this step
	Verdict string       `json:"verdict"`
	Reasons []string     `json:"reasons"` // the evidence in words
	Error   string       `json:"error,omitempty"`
	text    string
}

func (c *session) releaseStatus() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the latest release, what it waits for and until when",
		Long: `Shows what decides for the keys, the step of the release, and what a controller would
do now or waits for. It looks with eyes of its own: a guard that fails only when
several looks have failed is inconclusive here at first, and what only a server can
measure is not asked.

Status 0: nothing is under way, the release goes on, or it was promoted. Status 4:
the latest release was taken back. Status 10: it is held or paused, or waits for an
approval or for a risk to be accepted.

--watch follows the release until it is over, and prints what changes.`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.releasing(cmd.Context(), app.OpenControl, func(control *app.Control) error {
				w := control.Watch()
				if watch {
					return c.watchRelease(cmd.Context(), w)
				}
				v, s, err := c.look(cmd.Context(), w)
				if err != nil && v.text == "" {
					return err
				}
				if perr := c.printedStatus(v); perr != nil || err != nil {
					return errors.Join(perr, err)
				}
				return standsAt(v, s)
			})
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "follow the release until it is over")
	return cmd
}

func (c *session) printedStatus(v statusView) error {
	return c.printed(v, func(w io.Writer) { fmt.Fprint(w, v.text) })
}

// look looks once. When only the ledger could be read, the view says so and the error why.
func (c *session) look(ctx context.Context, w *app.Watcher) (statusView, release.State, error) {
	l, err := w.Look(ctx)
	s := l.Head.State()
	if err != nil && l.Decision.Why == "" {
		return statusView{}, s, err
	}
	v := statusView{releaseView: viewOf(l.Head), Why: l.Decision.Why, Until: l.Decision.Until, Waits: []string{}, Reasons: []string{}, Seen: l.Seen.Seen}
	v.Waits = append(v.Waits, waits(s, l.Seen)...)
	v.Reasons = append(v.Reasons, l.Seen.Reasons...)
	if s.Live() != nil {
		v.Verdict = healthWords(l.Seen.Verdict)
	}
	if l.Decision.Transition != nil {
		v.Due = l.Decision.Transition.Entry.Kind
	}
	if err != nil {
		v.Error = err.Error()
	}
	v.text = statusText(s, &v, l.Decision, c.env.Now())
	return v, s, err
}

// waits lists what a person has to do before the release goes on.
func waits(s release.State, seen release.Observation) []string {
	r := s.Live()
	if r == nil {
		return nil
	}
	var out []string
	if r.Halt != nil {
		out = append(out, string(r.Halt.Kind))
	}
	if r.Phase == release.PhasePromote && len(r.Approvals) < r.Current().Approvals && !r.Opened(release.GateApproval) {
		out = append(out, "approval")
	}
	if r.Phase == release.PhasePreflight {
		for _, risk := range seen.Risks {
			if !r.Accepted(risk.Name) {
				out = append(out, "risk "+risk.Name)
			}
		}
	}
	return out
}

func healthWords(h release.Health) string {
	if h == release.NoData {
		return "no data"
	}
	return string(h)
}

func statusText(s release.State, v *statusView, d release.Decision, now time.Time) string {
	var b strings.Builder
	b.WriteString(s.Describe(now))
	if s.Live() == nil {
		return b.String()
	}
	if v.Due != "" {
		fmt.Fprintf(&b, "due now: %s\n", d.Describe())
	} else {
		fmt.Fprintf(&b, "%s\n", d.Describe())
	}
	fmt.Fprintf(&b, "seen in this step: %d units of the candidate, %d of stable\n", v.Seen.Candidate, v.Seen.Stable)
	fmt.Fprintf(&b, "evidence: %s\n", v.Verdict)
	for _, r := range v.Reasons {
		fmt.Fprintf(&b, "  %s\n", r)
	}
	for _, what := range v.Waits {
		switch name, isRisk := strings.CutPrefix(what, "risk "); {
		case isRisk:
			fmt.Fprintf(&b, "waits for somebody: lockstep release accept-risk %s --reason WHY\n", name)
		case what == "approval":
			fmt.Fprintf(&b, "waits for somebody: lockstep release approve\n")
		case what != string(release.Held):
			fmt.Fprintf(&b, "waits for somebody: lockstep release resume\n")
		}
	}
	return b.String()
}

// standsAt turns the state into an exit status. The words are printed already.
func standsAt(v statusView, s release.State) error {
	switch {
	case s.Release != nil && s.Release.Phase == release.PhaseAborted:
		return silentError{fmt.Errorf("%w: release %s was taken back", lockstep.ErrRefused, s.Release.ID), exitRolledBack}
	case len(v.Waits) > 0 || v.Due == release.KindHold:
		return silentError{fmt.Errorf("%w: release %s is held", lockstep.ErrRefused, s.Release.ID), exitHeld}
	}
	return nil
}

// watchRelease prints every change until the release is over. Looking that fails is tried
// again.
func (c *session) watchRelease(ctx context.Context, w *app.Watcher) error {
	last := ""
	for {
		v, s, err := c.look(ctx, w)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && s.Release == nil {
			return err
		}
		if err != nil {
			fmt.Fprintf(c.env.Stderr, "lockstep: %v\n", err)
		} else if key := changing(v); key != last {
			last = key
			if err := c.printedStatus(v); err != nil {
				return err
			}
		}
		if err == nil && s.Live() == nil {
			return standsAt(v, s)
		}
		if err := pause(ctx, w.Every()); err != nil {
			return err
		}
	}
}

// changing is what makes a status another one: not the seconds that pass.
func changing(v statusView) string {
	return fmt.Sprint(v.Entry, v.Due, v.Waits, v.Verdict, v.Seen.Candidate, v.Seen.Stable, v.Error)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (c *session) releaseDrive() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "drive",
		Short: "Drive the release until it is over, in this process",
		Long: `Does what a running "lockstep up" does for releases: looks again and again, takes the
release to its next step or aborts it, and, when no server is running, compares the
candidate with stable in shadow. Any number of processes may drive: one wins each
transition. Ends as "lockstep release status" does.

--once does what is due now and ends.`,
		Args: exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			drive := c.driveOn
			if once {
				drive = c.driveOnce
			}
			return c.driving(cmd.Context(), drive)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "do what is due now, and end")
	return cmd
}

// driving opens what drives releases and passes it to drive.
func (c *session) driving(ctx context.Context, drive func(context.Context, *app.Watcher) error) error {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	return c.releasing(ctx, app.OpenControl, func(control *app.Control) (err error) {
		w := control.Watch()
		defer func() { err = errors.Join(err, w.Close()) }()
		if _, err := app.Dial(ctx, cfg); err != nil {
			w.Compare() // no server does it
		}
		return drive(ctx, w)
	})
}

func (c *session) driven(d release.Decision) { fmt.Fprintln(c.env.Stderr, d.Describe()) }

func (c *session) driveOnce(ctx context.Context, w *app.Watcher) error {
	if err := w.Drive(ctx, c.driven); err != nil {
		return err
	}
	return c.endOfDrive(ctx, w)
}

// driveOn drives until the release is over. What cannot be done now is tried again.
func (c *session) driveOn(ctx context.Context, w *app.Watcher) error {
	for {
		err := w.Drive(ctx, c.driven)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(c.env.Stderr, "lockstep: %v; it is tried again\n", err)
		} else if idle, err := w.Idle(ctx); idle || err != nil {
			return errors.Join(err, c.endOfDrive(ctx, w))
		}
		if err := pause(ctx, w.Every()); err != nil {
			return err
		}
	}
}

func (c *session) endOfDrive(ctx context.Context, w *app.Watcher) error {
	v, s, err := c.look(ctx, w)
	if err != nil {
		return err
	}
	if err := c.printedStatus(v); err != nil {
		return err
	}
	return standsAt(v, s)
}
