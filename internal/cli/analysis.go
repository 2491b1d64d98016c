package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lockstep/internal/analysis"
	"lockstep/internal/app"
	"lockstep/internal/lockstep"
)

func (c *session) analysis() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "analysis",
		GroupID: groupReleases,
		Short:   "Explain the verdict on a candidate, compute it again, or say what could be seen",
	}
	verbs(cmd)
	cmd.AddCommand(c.analysisExplain(), c.analysisReplay(), c.analysisPower())
	return cmd
}

func (c *session) analysisExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain",
		Short: "Say in words and numbers what the evidence of the latest release means",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.releasing(cmd.Context(), app.OpenOrders, func(control *app.Control) error {
				j, err := control.Judge(cmd.Context())
				if err != nil {
					return err
				}
				return c.printed(j, func(w io.Writer) { printJudged(w, &j) })
			})
		},
	}
}

func printJudged(w io.Writer, j *app.Judged) {
	fmt.Fprintf(w, "release %s of %s, attempt %d, %s\n", j.Release, j.Candidate, j.Attempt, j.Phase)
	fmt.Fprintf(w, "evidence up to version %d: %d units of the candidate, %d of stable, in %d windows\n", j.Through, j.Units["candidate"], j.Units["stable"], j.Judgement.Window)
	fmt.Fprintf(w, "verdict: %s (one fine candidate in %.4g is taken back, a guard passes one bad one in %.4g)\n", j.Judgement.Verdict, 1/j.Alpha, 1/j.Beta)
	if j.TopKeyShare > 0 {
		fmt.Fprintf(w, "the most frequent key, %s, has %.1f %% of the units\n", j.TopKey, 100*j.TopKeyShare)
	}
	for _, why := range j.Hard {
		fmt.Fprintf(w, "  %s\n", why)
	}
	for _, why := range j.Judgement.Reasons {
		fmt.Fprintf(w, "  %s\n", why)
	}
	for _, what := range j.Judgement.Changes {
		fmt.Fprintf(w, "what would change it: %s\n", what)
	}
	if s := j.Since; s != nil {
		fmt.Fprintf(w, "since the promotion: %d windows up to version %d, the detector was at %.4g at most, its alarm is at %.4g\n", s.Windows, s.Through, s.Peak, s.AlarmAt)
	}
}

func (c *session) analysisReplay() *cobra.Command {
	var alpha, beta float64
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Compute the evidence again from the ledger of versions, and judge it by another policy",
		Long: `Counts the units of the latest release once more from the versions that published
them, and says whether that agrees with what the release has kept. The verdict is
that of the given alpha and beta; nothing is changed.

Ends with status 1 when the two do not agree.`,
		Example: `  lockstep analysis replay --alpha 0.05`,
		Args:    exactly(0, "no arguments besides its flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for name, v := range map[string]float64{"alpha": alpha, "beta": beta} {
				if cmd.Flags().Changed(name) && !(v > 0 && v <= 0.5) {
					return usageError{fmt.Errorf("--%s %g: want above 0 and at most 0.5", name, v)}
				}
			}
			return c.releasing(cmd.Context(), app.OpenOrders, func(control *app.Control) error {
				j, err := control.Rejudge(cmd.Context(), alpha, beta)
				if err != nil {
					return err
				}
				if err := c.printed(j, func(w io.Writer) { printRejudged(w, &j) }); err != nil {
					return err
				}
				if j.Kept && !j.Agrees {
					return fmt.Errorf("replay the evidence of release %s: %w: it does not agree with what was kept", j.Release, lockstep.ErrCorrupt)
				}
				return nil
			})
		},
	}
	cmd.Flags().Float64Var(&alpha, "alpha", 0, "chance that a fine candidate is taken back (default: as it was judged)")
	cmd.Flags().Float64Var(&beta, "beta", 0, "chance that a guard passes a bad one (default: as it was judged)")
	return cmd
}

func printRejudged(w io.Writer, j *app.Rejudged) {
	printJudged(w, &j.Judged)
	fmt.Fprintf(w, "computed from the versions behind %d\n", j.From)
	switch {
	case !j.Kept:
		fmt.Fprintln(w, "the release has kept no evidence yet, so there is nothing to compare with")
	case j.Agrees:
		fmt.Fprintf(w, "it agrees with what the release has kept, whose verdict was: %s\n", j.Stored)
	}
	for _, d := range j.Differences {
		fmt.Fprintf(w, "IT DIFFERS in %s\n", d)
	}
}

func (c *session) analysisPower() *cobra.Command {
	t := analysis.Traffic{Units: 20, Share: 0.1, Base: 0.005, Windows: 288}
	cmd := &cobra.Command{
		Use:   "power",
		Short: "Say how large a regression a step finds at some traffic",
		Long: `Simulates steps with the limits of the failure guard, always with the same random
numbers. "lockstep release plan" does it with the traffic that was measured.`,
		Example: `  lockstep analysis power --units 40 --share 0.25 --base 0.01 --windows 500`,
		Args:    exactly(0, "no arguments besides its flags"),
		RunE: func(*cobra.Command, []string) error {
			o, err := app.PowerOf(t)
			if err != nil {
				return err
			}
			return c.printed(o, func(w io.Writer) { printOutlook(w, &o, 0) })
		},
	}
	f := cmd.Flags()
	f.Float64Var(&t.Units, "units", t.Units, "units per window, both revisions together")
	f.Float64Var(&t.Share, "share", t.Share, "share of the candidate, between 0 and 1")
	f.Float64Var(&t.Base, "base", t.Base, "share of stable's units that fail")
	f.IntVar(&t.Windows, "windows", t.Windows, "length of the step")
	return cmd
}
