package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/app/recovery"
	"lockstep/internal/config"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

func (c *session) rollback() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rollback",
		GroupID: groupChange,
		Short:   "Go back to a known good: code and data together, step by step, and proven",
		Long: `Works out the cheapest safe way back from a bad revision, stores it as a plan before
the first step, and walks it. Every step looks, does, and looks again. A plan that was
broken off anywhere goes on with "resume" and does each step once; one that cannot be
finished says what is left for a person, and whom to call (exit status 12).

It never calls the revision that is taken back, and its data steps need no server, no
Chroma, no git and no deployment: the store and this program are enough.`,
		Example: `  lockstep rollback plan
  lockstep rollback run --reason "wrong labels since noon" --yes
  lockstep rollback status --watch
  lockstep rollback undo prod-3 --yes`,
	}
	cmd.AddCommand(c.rollbackPlan(), c.rollbackRun(), c.rollbackStatus(), c.rollbackResume(), c.rollbackSkip(), c.rollbackUndo(),
		c.rollbackList(), c.rollbackChecklist(), c.rollbackSign(), c.rollbackDrill())
	return cmd
}

// wishFlags say what kind of rollback is asked for.
type wishFlags struct {
	scenario    string
	quick, full bool
	revision    string
	to          string
	data        string
	reason      string
	incident    string
	without     []string
	accept      []string
}

func (f *wishFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.scenario, "scenario", "auto", "auto, pre-deploy, dev or prod: the situations of the manual")
	fl.BoolVar(&f.quick, "quick", false, "flag and data only: nothing that needs git or a deployment")
	fl.BoolVar(&f.full, "full", false, "code, package, tests and deployment as well")
	fl.StringVar(&f.revision, "revision", "", "the bad revision (default: that of the latest release)")
	fl.StringVar(&f.to, "to", "", "the known good as REVISION:VERSION, one of them may be left out (default: that of the release)")
	fl.StringVar(&f.data, "data", "", "auto, revert, reset, rebuild, discard or none: what happens to the index (default: rollback.data of the configuration)")
	fl.StringVar(&f.reason, "reason", "", "why, for the ledgers, the messages and the report")
	fl.StringVar(&f.incident, "incident", "", "the incident that it belongs to")
	fl.StringSliceVar(&f.without, "without", nil, "leave a target out: watch, git, tests, deploy, follower, …")
	fl.StringSliceVar(&f.accept, "accept-risk", nil, "accept a risk by its name: lose-changes, with --data discard")
}

func (c *session) request(f wishFlags, configured string) (recovery.Request, error) {
	req := recovery.Request{Revision: f.revision, By: c.who(), Reason: f.reason, Incident: f.incident}
	req.Without = f.without
	switch {
	case f.quick && f.full:
		return req, usageError{errors.New("--quick and --full exclude each other")}
	case f.quick:
		req.Procedure = rollback.Quick
	case f.full:
		req.Procedure = rollback.Full
	}
	switch f.scenario {
	case "auto", "":
	case string(rollback.PreDeploy), string(rollback.Dev), string(rollback.Prod):
		req.Scenario = rollback.Scenario(f.scenario)
	default:
		return req, usageError{fmt.Errorf("--scenario %q: want auto, pre-deploy, dev or prod", f.scenario)}
	}
	if f.data == "" {
		f.data = configured
	}
	switch req.Data = recovery.Wish(f.data); req.Data {
	case "", rollback.WishAuto, recovery.Revert, recovery.Reset, recovery.Rebuild, recovery.Discard, recovery.None:
	default:
		return req, usageError{fmt.Errorf("--data %q: want auto, revert, reset, rebuild, discard or none", f.data)}
	}
	if f.to == "" {
		return req, nil
	}
	var err error
	req.To, err = pairOf(f.to)
	return req, err
}

// pairOf reads REVISION:VERSION.
func pairOf(s string) (rollback.Pair, error) {
	rev, v, ok := strings.Cut(s, ":")
	if !ok {
		return rollback.Pair{Revision: s}, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return rollback.Pair{}, usageError{fmt.Errorf("--to %q: want REVISION:VERSION, the version a number", s)}
	}
	return rollback.Pair{Revision: rev, Version: n}, nil
}

// assembled passes what rollbacks are made of to use, and closes it. A directory without a
// store has its code to be taken back all the same: then one is made, since the journal of
// a rollback is kept there.
func (c *session) assembled(ctx context.Context, use func(*recovery.Assembly) error) (err error) {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	if _, err := app.OpenStore(ctx, cfg, c.env.Now); errors.Is(err, lockstep.ErrNotFound) && codeIn(cfg) {
		_, err = app.InitStore(ctx, cfg, c.env.Now)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	control, cfg, err := c.control(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	own := &recovery.Own{Config: cfg, Options: c.options()}
	defer func() { err = errors.Join(err, own.Close()) }()
	a := &recovery.Assembly{Control: control, Config: cfg, Workplace: own, Actor: c.who(), Now: c.env.Now, Getenv: c.env.Getenv}
	if app.HasFollower(cfg, control.Store, c.env.LookPath) {
		a.Position, a.Follow = own.Position, own.Follow
	}
	return use(a)
}

func codeIn(cfg config.Config) bool {
	r := cfg.Rollback
	return r.Git != nil || r.Package != nil || r.Deploy != nil || len(r.Tests) > 0
}

// control opens the half that decides about releases. Programs are started only when the
// revision that is returned to is one of them: the bad one may be another, and hang.
func (c *session) control(ctx context.Context, cfg config.Config) (*app.Control, config.Config, error) {
	control, err := app.OpenOrders(ctx, cfg, c.options())
	if err != nil {
		return nil, cfg, err
	}
	_, s, err := control.Standing(ctx)
	if err != nil {
		return nil, cfg, errors.Join(err, control.Close())
	}
	needs := false
	for _, id := range []string{s.Stable.Revision, s.KnownGood.Revision} {
		if _, err := control.Revisions.Lookup(id); id != "" && err != nil {
			needs = true
		}
	}
	if !needs {
		cfg.Programs = nil
		return control, cfg, nil
	}
	if err := control.Close(); err != nil {
		return nil, cfg, err
	}
	control, err = app.OpenControl(ctx, cfg, c.options())
	return control, cfg, err
}

// engine returns what walks plans, with a progress bar for people.
func (c *session) engine(a *recovery.Assembly) (*rollback.Engine, error) {
	bars := map[string]*bar{}
	e, err := a.Engine(func(step, text string, done, total int64) {
		b := bars[step]
		if b == nil {
			b = c.progress(step + ": " + text)
			bars[step] = b
		}
		b.at(int(done), int(total))
	})
	if err != nil {
		return nil, err
	}
	e.Settled = func(s rollback.Step, x rollback.StepState) {
		if b := bars[s.ID]; b != nil {
			b.done()
		}
		detail := x.Sight.Detail
		if x.Progress != rollback.Done {
			detail = x.Error
		}
		fmt.Fprintf(c.env.Stderr, "%-8s %-14s %s\n", x.Progress, s.ID, detail)
	}
	return e, nil
}

// rollbackView is a rollback for programs.
type rollbackView struct {
	rollback.State

	Outcome rollback.Outcome `json:"outcome"`
	Stuck   []string         `json:"stuck"`
}

func viewOfRollback(s rollback.State) rollbackView {
	v := rollbackView{State: s, Outcome: s.Outcome(), Stuck: []string{}}
	for _, i := range s.Stuck() {
		v.Stuck = append(v.Stuck, s.Plan.Steps[i].ID)
	}
	return v
}

// walked prints a rollback as it stands, and answers with the status of its outcome.
func (c *session) walked(s rollback.State) error {
	if err := c.printed(viewOfRollback(s), func(w io.Writer) { fmt.Fprint(w, s.Text()) }); err != nil {
		return err
	}
	if s.Outcome() == rollback.Incomplete {
		return silentError{fmt.Errorf("rollback %s is incomplete: %w", s.Plan.ID, lockstep.ErrRefused), exitIncomplete}
	}
	return nil
}

// planNamed returns the id of a plan: the argument, or the newest one.
func planNamed(ctx context.Context, j *rollback.Journals, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	ids, err := j.IDs(ctx)
	if err != nil {
		return "", err
	}
	if len(ids) == 0 {
		return "", lockstep.Hint(fmt.Errorf("rollback: there is no plan: %w", lockstep.ErrNotFound), `"lockstep rollback plan" works one out`)
	}
	return ids[0], nil
}

// watchEvery is how often a watched rollback is looked at.
const watchEvery = time.Second
