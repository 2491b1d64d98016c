package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/analysis"
	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

// planFlags choose a plan.
type planFlags struct {
	name  string
	file  string
	allow []string
	deny  []string
}

func (f *planFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.name, "plan", "", "a plan by name (default: that of the configuration, or of the environment)")
	fl.StringVar(&f.file, "plan-file", "", "a file with the steps")
	fl.StringArrayVar(&f.allow, "allow", nil, "a partition key that is the candidate's from the first canary on")
	fl.StringArrayVar(&f.deny, "deny", nil, "a partition key that is never the candidate's")
}

func (f *planFlags) plan(cfg config.Config) (p release.Plan, err error) {
	switch {
	case f.name != "" && f.file != "":
		return p, usageError{errors.New("--plan and --plan-file exclude each other")}
	case f.file != "":
		p, err = loadPlan(f.file)
	default:
		p, err = app.PlanNamed(cfg, f.name)
	}
	if err != nil {
		return p, err
	}
	p.Allow, p.Deny = append(p.Allow, f.allow...), append(p.Deny, f.deny...)
	return p, p.Check()
}

func loadPlan(name string) (release.Plan, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return release.Plan{}, fmt.Errorf("plan file %s: %w", name, lockstep.ErrNotFound)
	}
	if err != nil {
		return release.Plan{}, fmt.Errorf("plan file: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	return app.LoadPlan(f, name)
}

// planned is a plan and what stands in its way, for programs.
type planned struct {
	Environment string        `json:"environment"`
	Stable      release.Pair  `json:"stable"`
	Candidate   string        `json:"candidate,omitempty"`
	Plan        release.Plan  `json:"plan"`
	Hash        string        `json:"plan_hash"`
	Refused     []app.Barrier `json:"refused"` // why it cannot be started now; empty: it can
	Power       app.Power     `json:"power"`
	Undo        []string      `json:"undo"` // commands, in order
	text        string        // the plan
}

func (c *session) releasePlan() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan [CANDIDATE]",
		Short: "Show what a release would go through, and what it would see; change nothing",
		Long: `Shows the steps of a plan, everything that refuses a start now, and how large a
regression its longest step finds at the traffic that was measured, before anything
is started. Ends with status 0 also when a start would be refused: "refused" in
-o json lists why.

Plans: ` + strings.Join(release.Presets(), ", ") + `,
and default-ENVIRONMENT.`,
		Example: `  lockstep release plan receipts@2
  lockstep release plan receipts@2 --plan Canary10Percent5Minutes -o json`,
		Args: atMostOne("one revision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return c.runReleasePlan(cmd.Context(), name, f)
		},
	}
	f.register(cmd)
	return cmd
}

// atMostOne returns a rule for arguments whose error is a usage error.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{fmt.Errorf("%s takes at most %s (see %q)", cmd.CommandPath(), what, cmd.CommandPath()+" --help")}
		}
		return nil
	}
}

func (c *session) runReleasePlan(ctx context.Context, name string, f planFlags) error {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	plan, err := f.plan(cfg)
	if err != nil {
		return err
	}
	return c.releasing(ctx, app.OpenControl, func(control *app.Control) error {
		p, err := c.planOf(ctx, control, name, app.Proposal{Plan: plan})
		if err != nil {
			return err
		}
		return c.printed(p, func(w io.Writer) { printPlanned(w, &p) })
	})
}

// planOf finds out everything about a release that may be started.
func (c *session) planOf(ctx context.Context, control *app.Control, name string, want app.Proposal) (p planned, err error) {
	if name != "" {
		rev, err := control.Revisions.Lookup(name)
		if err != nil {
			return p, err
		}
		want.Candidate = rev.ID()
	}
	_, s, err := control.Standing(ctx)
	if err != nil {
		return p, err
	}
	req, err := control.Request(ctx, want)
	if err != nil {
		return p, err
	}
	traffic, err := control.Traffic(ctx, s)
	if err != nil {
		return p, err
	}
	power, err := traffic.Power(want.Plan)
	if err != nil {
		return p, err
	}
	p = planned{
		Environment: s.Environment, Stable: s.Stable, Candidate: want.Candidate, Plan: want.Plan, Hash: want.Plan.Hash(),
		Refused: append([]app.Barrier{}, app.Barriers(s, req, c.env.Now())...), Power: power, text: want.Plan.String(),
		Undo: []string{"lockstep release abort", fmt.Sprintf("lockstep reset --to %d", req.Head)},
	}
	return p, nil
}

func printPlanned(w io.Writer, p *planned) {
	fmt.Fprintf(w, "environment %s, where %s is stable\n", p.Environment, p.Stable.Revision)
	if p.Candidate != "" {
		fmt.Fprintf(w, "candidate %s\n", p.Candidate)
	}
	fmt.Fprint(w, p.text)
	if len(p.Refused) == 0 {
		fmt.Fprintln(w, "start: nothing stands in the way")
	}
	for _, b := range p.Refused {
		fmt.Fprintf(w, "start: refused now: %s%s\n", b.Reason, gateWords(b.Gate))
	}
	printPower(w, p.Power)
	fmt.Fprintf(w, "undo: %s (stable decides for every key again, within one batch),\n      then %s for the data (later changes are replayed)\n", p.Undo[0], p.Undo[1])
}

func gateWords(g release.Gate) string {
	if g == "" {
		return ""
	}
	return fmt.Sprintf(" (two people can open it: --break-glass %s)", g)
}

func printPower(w io.Writer, p app.Power) {
	t := p.Traffic
	if t.Units > 0 {
		fmt.Fprintf(w, "traffic: %d units in the newest %d versions, of the last %s; %d counted by releases, the others estimated; %d keys\n",
			t.Units, t.Versions, t.Span.Round(time.Second), t.Counted, t.Keys)
	}
	if p.Outlook != nil {
		fmt.Fprintf(w, "power: step %d, ", p.Step)
		printOutlook(w, p.Outlook, p.Window)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
}

// printOutlook prints the table; window 0 says that nobody knows how long one takes.
func printOutlook(w io.Writer, o *analysis.Outlook, window time.Duration) {
	lasts := ""
	if window > 0 {
		lasts = fmt.Sprintf(" of %s", window.Round(time.Millisecond))
	}
	fmt.Fprintf(w, "guard %s: %d windows%s with %.4g units, %.4g %% of them the candidate's, stable failing in %.3g %%\n",
		o.Guard, o.Traffic.Windows, lasts, o.Traffic.Units, 100*o.Traffic.Share, 100*o.Traffic.Base)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "  when the candidate\tfails in\tis found in\thalf of them within")
	for _, e := range append(append([]analysis.Outcome{}, o.Effects...), o.Pass) {
		what, verb := "is bad: "+e.Name, "never"
		if e.Name == o.Pass.Name {
			what = "is healthy: passes"
		}
		if e.Median > 0 {
			verb = fmt.Sprintf("%d windows", max(1, e.Median/analysis.DefaultPolicy().Window))
			if window > 0 {
				verb = e.Median.Round(time.Second).String()
			}
		}
		fmt.Fprintf(t, "  %s\t%.3g %%\t%.0f %%\t%s\n", what, 100*e.Rate, 100*e.Power, verb)
	}
	_ = t.Flush() // the same writer that printed takes this too; an error there has shown itself
	fmt.Fprintf(w, "  nothing passes with fewer than %d units of the candidate\n", o.MinUnits)
	for _, warning := range o.Warnings {
		fmt.Fprintf(w, "  warning: %s\n", warning)
	}
}

type startFlags struct {
	planFlags

	reason string
	yes    bool
	gates  []string
	second string
	risks  []string
}

func (c *session) releaseStart() *cobra.Command {
	var f startFlags
	cmd := &cobra.Command{
		Use:   "start CANDIDATE",
		Short: "Begin a release",
		Long: `Begins a release of CANDIDATE: a label (receipts@2), an ID, or the first digits of a
hash. The newest version and what is stable now become the known good that an abort
returns to; the version is pinned.

A plan file has the steps, from preflight to promote:

  name: careful
  steps:
    - {kind: preflight}
    - {kind: shadow, for: 1h, units: 100}
    - {kind: canary, weight: 10%, for: 30m, units: 20}   # or 1000bp
    - {kind: bake, for: 24h, units: 500, mix: [insert, modify, remove]}
    - {kind: promote, approvals: 1, expires: 8h}
  deny: ["IMAGE#1"]

What stands in the way is shown by "lockstep release plan". A gate (freeze, chain, ...)
is opened for this release with --break-glass GATE --second NAME --reason WHY.`,
		Example: `  lockstep release start receipts@2 --plan Canary10Percent5Minutes --reason "labels follow the items"`,
		Args:    exactly(1, "one revision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(f.gates)+len(f.risks) > 0 {
				if err := needReason(cmd, f.reason); err != nil {
					return err
				}
			}
			return c.runReleaseStart(cmd.Context(), args[0], f)
		},
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.reason, "reason", "", "why, for the ledger")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fl.StringSliceVar(&f.gates, "break-glass", nil, "open a gate; needs --second and --reason")
	fl.StringVar(&f.second, "second", "", "the second person who opens the gates")
	fl.StringSliceVar(&f.risks, "accept-risk", nil, "accept a risk that preflight may leave open, by its name")
	return cmd
}

// glassOf reads the gates that shall be opened.
func glassOf(gates []string, second string) ([]release.Glass, error) {
	var out []release.Glass
	for _, name := range gates {
		gate, err := release.ParseGate(name)
		if err != nil {
			return nil, err
		}
		if second == "" {
			return nil, usageError{errors.New("--break-glass needs --second NAME: two people open a gate")}
		}
		out = append(out, release.Glass{Gate: gate, Second: second})
	}
	return out, nil
}

func (c *session) runReleaseStart(ctx context.Context, name string, f startFlags) error {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	plan, err := f.plan(cfg)
	if err != nil {
		return err
	}
	glass, err := glassOf(f.gates, f.second)
	if err != nil {
		return err
	}
	return c.releasing(ctx, app.OpenControl, func(control *app.Control) error {
		p, err := c.planOf(ctx, control, name, app.Proposal{Plan: plan, Glass: glass})
		if err != nil {
			return err
		}
		printPlanned(c.env.Stderr, &p)
		head, err := c.agreed(ctx, control, f.yes, "start a release of "+p.Candidate, func(s release.State) (release.Transition, error) {
			req, err := control.Request(ctx, app.Proposal{Candidate: p.Candidate, Plan: plan, Glass: glass})
			if err != nil {
				return release.Transition{}, err
			}
			return release.Start(s, control.Order(why(f.reason)), req)
		})
		for _, risk := range f.risks {
			if err != nil {
				break
			}
			head, err = control.Command(ctx, func(s release.State) (release.Transition, error) {
				return release.AcceptRisk(s, control.Order(why(f.reason)), risk)
			})
		}
		if err != nil {
			return err
		}
		c.nextOf(ctx, cfg)
		return c.printedHead(head)
	})
}

// nextOf says what to do while a release is under way.
func (c *session) nextOf(ctx context.Context, cfg config.Config) {
	if _, err := app.Dial(ctx, cfg); err != nil {
		c.next(`lockstep release drive (no server is running, and nothing advances by itself)`)
		return
	}
	c.next("lockstep release status --watch")
}
