// Package cli is the command line: words in, words and an exit status out.
//
// It promises the manners of DESIGN 12: results on stdout and everything else on
// stderr, JSON on every read, no question without somebody to answer it, an exit
// status that says which class of thing went wrong, and a hint for what to do next.
// It decides nothing that package app or a package below does not decide.
package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/lockstep"
)

// Env is the process as the commands see it.
type Env struct {
	Args     []string // without the program's name
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	Getenv   func(string) string
	LookPath func(string) (string, error)
	Now      func() time.Time
	Terminal bool // a person watches Stderr: progress may be shown
	Asks     bool // a person can answer on Stdin
}

// Main runs one command and returns the exit status.
func Main(ctx context.Context, env Env) int {
	c := &session{env: env}
	root := c.root() //nolint:contextcheck // cobra hands ctx to the command that runs
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	status := exitOf(ctx, err)
	if !isSilent(err) {
		explain(env.Stderr, err)
	}
	return status
}

// session is one run of one command.
type session struct {
	env    Env
	config string // --config
	data   string // --data
	output string // -o
	actor  string // --actor
}

func (c *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "lockstep",
		Short: "Keep ChromaDB collections in step with a DynamoDB table, and take any change back",
		Long: `Lockstep turns the stream of a DynamoDB table into versions of a vector index, and
keeps ChromaDB collections at one of these versions. Every version says which
change caused which record, by which revision of the code; any version can be
looked at, compared, checked out and returned to.

Begin with "lockstep demo", or with "lockstep up" and then
"lockstep ingest FILE" from another terminal.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		// Before anything is done: a reset must not find out afterwards that it cannot say so.
		PersistentPreRunE: func(*cobra.Command, []string) error { return c.checkOutput() },
	}
	verbs(root)
	root.SetHelpCommand(help())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %q)", err, cmd.CommandPath()+" --help")}
	})
	f := root.PersistentFlags()
	f.StringVarP(&c.config, "config", "c", "", "configuration file (default lockstep.yaml if it is there; or $LOCKSTEP_CONFIG)")
	f.StringVarP(&c.data, "data", "d", "", "data directory (overrides the configuration)")
	f.StringVarP(&c.output, "output", "o", outputText, "output of reads: text or json")
	f.StringVar(&c.actor, "actor", "", "who asks, for the ledger (default $USER)")
	root.AddGroup(&cobra.Group{ID: groupRun, Title: "Running:"}, &cobra.Group{ID: groupRead, Title: "Looking:"}, &cobra.Group{ID: groupChange, Title: "Changing:"}, &cobra.Group{ID: groupReleases, Title: "Releasing:"}, &cobra.Group{ID: groupCheck, Title: "Checking:"})
	for _, cmd := range c.commands() {
		root.AddCommand(cmd)
	}
	return root
}

const (
	groupRun      = "run"
	groupRead     = "read"
	groupChange   = "change"
	groupReleases = "releases"
	groupCheck    = "check"
)

// verbs makes cmd one that only holds others: alone it shows its help, and a verb that
// it does not have is a usage error.
func verbs(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
		if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
			return usageError{lockstep.Hint(err, "did you mean "+strings.Join(like, " or ")+"?")}
		}
		return usageError{lockstep.Hint(err, fmt.Sprintf("%q lists them", cmd.CommandPath()+" --help"))}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// help is cobra's, but for a topic that does not exist, which is a usage error.
func help() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, left, err := cmd.Root().Find(args)
			if err != nil || len(left) > 0 {
				return usageError{fmt.Errorf("no help for %q (see %q)", strings.Join(args, " "), cmd.Root().Name()+" --help")}
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}

// exactly returns a rule for arguments whose error is a usage error.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s (see %q)", cmd.CommandPath(), names, cmd.CommandPath()+" --help")}
		}
		return nil
	}
}
