package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/guard"
	"lockstep/internal/lockstep"
)

func (c *session) guard() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "guard",
		GroupID: groupCheck,
		Short:   "Show the questions that decide about releases, and whether they can be relied on",
		Long: `A guard is a question about the running system with a verdict: pass, fail, inconclusive or
broken. Only pass lets a release go on; fail with the action rollback ends it. The
configuration changes built-in guards by name, and adds others with sources of their own:

    guards:
      keep_keys: [text]               # metadata keys that no record may lose
      recordings: ./recordings        # of guards of your own
      sources:
        prom:
          kind: prometheus            # or http, or exec with a command
          url: https://prometheus.example
          header: {Authorization: PROM_AUTH}   # names an environment variable
      set:
        no-version: {limit: 600}
        memory: {action: observe}
        checkout-errors:
          criterion: production-failure
          source: prom
          question: sum(rate(checkout_errors[5m]))
          window: 5m
          test: {kind: value, op: at-most, limit: 0.1, unit: count}
          debounce: {fails: 2, of: 3}
          action: rollback

The server asks while a release is in progress, "lockstep assess" whenever you do. A guard
that needs several failed looks begins to count anew when the server starts.`,
	}
	verbs(cmd)
	cmd.AddCommand(c.guardList(), c.guardTest())
	return cmd
}

// guardRow is one guard as "guard list" shows it.
type guardRow struct {
	guard.Guard

	Reliable bool   `json:"reliable"`
	Doubt    string `json:"doubt,omitempty"` // why nothing may rely on it
}

func (c *session) guardSet() (*app.GuardSet, error) {
	cfg, err := c.settings()
	if err != nil {
		return nil, err
	}
	return app.NewGuardSet(cfg, c.env.Getenv)
}

func (c *session) guardList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all guards with their criterion, source and action",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			set, err := c.guardSet()
			if err != nil {
				return err
			}
			rows := make([]guardRow, len(set.Guards))
			for i, g := range set.Guards {
				rows[i] = guardRow{Guard: g, Reliable: true}
				if err := set.Reliable(g); err != nil {
					rows[i].Reliable, rows[i].Doubt = false, err.Error()
				}
			}
			return c.printed(rows, func(w io.Writer) { printGuards(w, rows) })
		},
	}
}

func printGuards(w io.Writer, rows []guardRow) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "GUARD\tCRITERION\tSOURCE\tACTION\tASKED\tRELIABLE\n")
	for _, r := range rows {
		reliable := "yes"
		if !r.Reliable {
			reliable = "no"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Criterion, r.Source, r.Action, r.Needs.Sentence(), reliable)
	}
	_ = t.Flush() // the same writer that printed takes this too; an error there has shown itself
}

func (c *session) guardTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test [NAME]",
		Short: "Show a guard, or all, passing and failing on recorded samples",
		Long: `A guard that cannot fail, or cannot pass, answers nothing. Each is tried on the recordings
that are its own: those that come with lockstep, and those of the directory that the
configuration names under guards.recordings. A guard that acts and was not shown both
passing and failing holds every release, and this command then ends with status 5.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("lockstep guard test takes at most one name")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := c.guardSet()
			if err != nil {
				return err
			}
			guards := set.Guards
			if len(args) == 1 {
				one, err := guard.Find(set.Guards, args[0])
				if err != nil {
					return err
				}
				guards = []guard.Guard{one}
			}
			return c.proved(set, guards)
		},
	}
}

func (c *session) proved(set *app.GuardSet, guards []guard.Guard) error {
	shown := make([]guard.Shown, len(guards))
	missing := 0
	for i, g := range guards {
		shown[i] = guard.Proof(g, set.Recordings)
		if set.Reliable(g) != nil && g.Action != guard.Observe {
			missing++
		}
	}
	if err := c.printed(shown, func(w io.Writer) { printProofs(w, guards, shown) }); err != nil {
		return err
	}
	if missing == 0 {
		return nil
	}
	err := fmt.Errorf("rely on the guards: %w: %d of those that act were not shown both passing and failing", lockstep.ErrRefused, missing)
	return lockstep.Hint(err, "record samples of a good and of a bad time into a directory, and name it under guards.recordings; docs/guards.md says how")
}

func printProofs(w io.Writer, guards []guard.Guard, shown []guard.Shown) {
	for i, s := range shown {
		word := "not shown passing and failing"
		switch {
		case s.Passing && s.Failing:
			word = "shown passing and failing"
		case s.Passing:
			word = "not shown failing"
		case s.Failing:
			word = "not shown passing"
		}
		fmt.Fprintf(w, "%s (%s): %s\n", s.Guard, guards[i].Action, word)
		for _, r := range s.Runs {
			fmt.Fprintf(w, "  %-13s %s, %d looks: %s\n", r.Decisive.Verdict, r.Recording, r.Looks, r.Decisive.Reason)
		}
	}
}
