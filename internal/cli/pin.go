package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/retention"
)

func (c *session) pin() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pin",
		GroupID: groupChange,
		Short:   "Keep versions from being removed by retention; without a verb: list the pins",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, err := c.store(cmd.Context())
			if err != nil {
				return err
			}
			pins, err := retention.Pins(cmd.Context(), s.Log)
			if err != nil {
				return err
			}
			return c.printed(pins, func(w io.Writer) {
				for _, p := range pins {
					fmt.Fprintf(w, "%s  version %d  by %s  %s%s\n", p.Name, p.Version, p.Holder, p.Reason, until(p.Expires))
				}
			})
		},
	}
	cmd.AddCommand(c.pinSet(), c.pinRemove())
	return cmd
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + t.UTC().Format(time.RFC3339)
}

func (c *session) pinSet() *cobra.Command {
	var reason string
	var lasts time.Duration
	cmd := &cobra.Command{
		Use:     "set NAME VERSION",
		Short:   "Pin a version under a name",
		Example: `  lockstep pin set before-migration 41 --reason "receipts@3 starts here"`,
		Args:    exactly(2, "a name and a version"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := number(args[1])
			if err != nil {
				return err
			}
			s, _, err := c.store(cmd.Context())
			if err != nil {
				return err
			}
			p := retention.Pin{Name: args[0], Version: n, Holder: c.who(), Reason: reason, At: c.env.Now().UTC()}
			if lasts > 0 {
				p.Expires = p.At.Add(lasts)
			}
			if err := retention.SetPin(cmd.Context(), s.Log, p); err != nil {
				return err
			}
			return c.printed(p, func(w io.Writer) { fmt.Fprintf(w, "version %d is pinned as %s\n", n, p.Name) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().DurationVar(&lasts, "for", 0, "how long (default: until removed)")
	return cmd
}

func (c *session) pinRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a pin",
		Args:  exactly(1, "a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, _, err := c.store(cmd.Context())
			if err != nil {
				return err
			}
			if err := retention.RemovePin(cmd.Context(), s.Log, args[0], c.who(), c.env.Now()); err != nil {
				return err
			}
			return c.printed(map[string]string{"removed": args[0]}, func(w io.Writer) { fmt.Fprintf(w, "pin %s is removed\n", args[0]) })
		},
	}
}

func (c *session) gc() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "gc",
		GroupID: groupChange,
		Short:   "Remove versions that nothing keeps: plan first, execute later",
		Long: `A plan says what would be deleted and why, and is stored; it can be executed after
it has waited, so that whoever needs a version can still pin it. What has become
needed meanwhile is spared.`,
	}
	verbs(cmd)
	cmd.AddCommand(c.gcPlan(), c.gcExecute(), c.gcCancel())
	return cmd
}

func (c *session) gcPlan() *cobra.Command {
	var p retention.Policy
	var dry bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what would be deleted, and store the plan",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, cfg, err := c.store(cmd.Context())
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("keep") {
				p.Keep = cfg.Retention.Keep
			}
			plan, err := retention.MakePlan(cmd.Context(), s.Log, p, c.env.Now(), s.ComparisonsInUse)
			if err == nil && !dry && plan.Objects > 0 {
				plan, err = retention.Store(cmd.Context(), s.Blobs, plan)
			}
			if err != nil {
				return err
			}
			return c.printed(plan, func(w io.Writer) { printGCPlan(w, &plan) })
		},
	}
	f := cmd.Flags()
	f.DurationVar(&p.Keep, "keep", 0, "how long every version stays (default from the configuration)")
	f.DurationVar(&p.Orphans, "orphans", 0, "how old an object that nothing names must be (default 168h)")
	f.DurationVar(&p.Wait, "wait", 0, "how long the plan waits before it may be executed (default 24h)")
	f.BoolVar(&p.NoWait, "no-wait", false, "let it be executed at once: nothing else may be running")
	f.BoolVar(&dry, "dry-run", false, "do not store the plan")
	return cmd
}

func printGCPlan(w io.Writer, p *retention.Plan) {
	fmt.Fprintf(w, "%d objects, %d bytes; versions below %d are retired; %d versions are kept for their own sake\n", p.Objects, p.Bytes, p.Low, p.Roots)
	for _, r := range sortedKeys(p.ByReason) {
		fmt.Fprintf(w, "  %s: %d objects, %d bytes\n", r, p.ByReason[r].Objects, p.ByReason[r].Bytes)
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(w, "  note: %s\n", warning)
	}
	if p.N > 0 {
		fmt.Fprintf(w, "stored as plan %d: lockstep gc execute %d\n", p.N, p.N)
	}
}

func (c *session) gcExecute() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "execute PLAN",
		Short: "Delete what a stored plan names and nothing needs any more",
		Args:  exactly(1, "the number of a plan"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			s, _, err := c.store(cmd.Context())
			if err != nil {
				return err
			}
			if !yes {
				if err := c.consent("delete for good"); err != nil {
					return err
				}
			}
			d, err := retention.Execute(cmd.Context(), s.Log, n, c.env.Now(), s.ComparisonsInUse)
			if err != nil {
				return err
			}
			return c.printed(d, func(w io.Writer) {
				fmt.Fprintf(w, "%d objects deleted, %d bytes; %d spared; versions below %d are gone\n", d.Objects, d.Bytes, d.Spared, d.Low)
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (c *session) gcCancel() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "cancel PLAN",
		Short: "Keep a stored plan from being executed",
		Args:  exactly(1, "the number of a plan"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			s, _, err := c.store(cmd.Context())
			if err != nil {
				return err
			}
			if err := retention.Cancel(cmd.Context(), s.Blobs, n, c.env.Now(), reason); err != nil {
				return err
			}
			return c.printed(map[string]uint64{"cancelled": n}, func(w io.Writer) { fmt.Fprintf(w, "plan %d is cancelled\n", n) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

var errNoCommand = errors.New("a command to run is needed after \"run\"")
