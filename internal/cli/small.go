package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/config"
)

func (c *session) lint() *cobra.Command {
	return &cobra.Command{
		Use:     "lint [FILE]",
		GroupID: groupCheck,
		Short:   "Find every mistake of a configuration file at once",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("lockstep lint takes at most one file")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.config = args[0]
			}
			cfg, err := c.settings()
			// The words of guards are checked also when something else is wrong: then the mistakes
			// of both come in one list.
			if gerr := app.CheckGuards(cfg); gerr != nil && (err == nil || isProblems(gerr)) {
				err = gerr
			}
			if err == nil {
				err = app.CheckCalendar(cfg)
			}
			if err == nil {
				_, err = app.Revision(cfg)
			}
			if err != nil {
				return c.linted(err)
			}
			return c.printed(map[string]any{"ok": true, "problems": []string{}}, func(w io.Writer) { fmt.Fprintln(w, "ok") })
		},
	}
}

func isProblems(err error) bool {
	_, ok := errors.AsType[*config.Problems](err)
	return ok
}

// lintProblem is config.Problem for programs, with the names that all output has.
type lintProblem struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Path   string `json:"path"`
	Text   string `json:"text"`
}

// linted prints problems as a list, for programs too, and any other error as usual.
func (c *session) linted(err error) error {
	var ps *config.Problems
	if !errors.As(err, &ps) || c.output != outputJSON {
		return err
	}
	list := make([]lintProblem, len(ps.List))
	for i, p := range ps.List {
		list[i] = lintProblem(p)
	}
	if perr := c.printed(map[string]any{"ok": false, "problems": list}, nil); perr != nil {
		return perr
	}
	return silentError{err, exitUsage}
}

func (c *session) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: groupCheck,
		Short:   "Print the version of this program",
		Args:    exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": "devel"}
			if info, ok := debug.ReadBuildInfo(); ok {
				v["go"] = info.GoVersion
				if info.Main.Version != "" && info.Main.Version != "(devel)" {
					v["version"] = info.Main.Version
				}
			}
			return c.printed(v, func(w io.Writer) { fmt.Fprintf(w, "lockstep %s (%s)\n", v["version"], v["go"]) })
		},
	}
}

func exitStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-status",
		Short: "What the exit statuses mean",
		Long:  "The exit statuses of lockstep:\n\n" + exitTable,
	}
}
