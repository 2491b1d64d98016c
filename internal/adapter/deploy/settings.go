package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Settings say what deploys, and how what runs is read back. They hold names of
// variables, never values, and are stored in the plan.
type Settings struct {
	Name    string        `json:"name" yaml:"name"`                    // what is deployed: "handlers"
	Tool    string        `json:"tool" yaml:"tool"`                    // "pulumi" or "command"
	Dir     string        `json:"dir,omitempty" yaml:"dir"`            // where the tool runs
	Env     []string      `json:"env,omitempty" yaml:"env"`            // names of variables that it sees, beside PATH, HOME, USER, LANG and TMPDIR
	Timeout time.Duration `json:"timeout_ns,omitempty" yaml:"timeout"` // of one deployment; 0: 10 minutes
	Pulumi  Pulumi        `json:"pulumi,omitzero" yaml:"pulumi"`       // of the tool "pulumi"
	Command Command       `json:"command,omitzero" yaml:"command"`     // of the tool "command"
	Refresh bool          `json:"refresh,omitempty" yaml:"refresh"`    // refresh the tool's state before it deploys
	Probe   []string      `json:"probe,omitempty" yaml:"probe"`        // a command that ends with 0 when what was deployed does its work
}

// Pulumi is the CLI of that name.
type Pulumi struct {
	Program string `json:"program,omitempty" yaml:"program"` // "": pulumi
	Stack   string `json:"stack,omitempty" yaml:"stack"`     // "": the selected one
	// Output is the dotted path of the stack output that names the version which runs.
	Output string `json:"output,omitempty" yaml:"output"`
	// Current asks what runs itself, and is believed rather than Output. It prints the
	// version, or JSON with it at Field.
	Current []string `json:"current,omitempty" yaml:"current"`
	Field   string   `json:"field,omitempty" yaml:"field"`
	// Config is the configuration key with which a deployment is told its version. It is
	// saved in the stack's file by Pulumi itself. "": the program deploys what is in the
	// tree, and the version is that of the tree.
	Config string `json:"config,omitempty" yaml:"config"`
}

// Command is any other tool. Each is a program and its arguments, in which {version}
// stands for the version; it is also in LOCKSTEP_VERSION.
type Command struct {
	Current  []string `json:"current,omitempty" yaml:"current"`   // prints the version that runs, or JSON with it at Field
	Field    string   `json:"field,omitempty" yaml:"field"`       // dotted path; "": all that is printed is the version
	Up       []string `json:"up,omitempty" yaml:"up"`             // deploys a version
	Rollback []string `json:"rollback,omitempty" yaml:"rollback"` // deploys an older one; none: up does
	Preview  []string `json:"preview,omitempty" yaml:"preview"`   // says what up would change; none: nobody knows
	Refresh  []string `json:"refresh,omitempty" yaml:"refresh"`
	// History prints a JSON list of {id, kind, result, start, end, version, commit, message}.
	History []string `json:"history,omitempty" yaml:"history"`
	// Locked is a regular expression that finds in the output of a failed command that
	// another deployment is under way.
	Locked string `json:"locked,omitempty" yaml:"locked"`
}

// The tools.
const (
	ToolPulumi  = "pulumi"
	ToolCommand = "command"
)

const defaultTimeout = 10 * time.Minute

func (s Settings) timeout() time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	return defaultTimeout
}

// Check returns every mistake at once, as one ErrInvalid.
func (s Settings) Check() error {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if s.Name == "" || len(s.Name) > 64 {
		add("name: want 1 to 64 bytes")
	}
	if s.Timeout < 0 || s.Timeout > 6*time.Hour {
		add("timeout %s: want at most 6h", s.Timeout)
	}
	for _, name := range s.Env {
		if name == "" || strings.ContainsAny(name, "= \x00") {
			add("env %.40q: want the name of a variable, not its value", name)
		}
	}
	switch s.Tool {
	case ToolPulumi:
		if s.Pulumi.Output == "" && len(s.Pulumi.Current) == 0 {
			add("pulumi: want output or current, so that what runs can be read back")
		}
		checkArgs(add, "pulumi.current", s.Pulumi.Current)
	case ToolCommand:
		c := s.Command
		if len(c.Current) == 0 || len(c.Up) == 0 {
			add("command: want current and up")
		}
		for _, a := range []struct {
			name string
			args []string
		}{{"current", c.Current}, {"up", c.Up}, {"rollback", c.Rollback}, {"preview", c.Preview}, {"refresh", c.Refresh}, {"history", c.History}} {
			checkArgs(add, "command."+a.name, a.args)
		}
		if _, err := regexp.Compile(c.Locked); err != nil {
			add("command.locked: %v", err)
		}
		if s.Refresh && len(c.Refresh) == 0 {
			add("refresh: want command.refresh")
		}
	default:
		add("tool %.40q: known are %s, %s", s.Tool, ToolPulumi, ToolCommand)
	}
	checkArgs(add, "probe", s.Probe)
	if len(wrong) > 0 {
		return fmt.Errorf("%w deploy %.64q:\n  %s", lockstep.ErrInvalid, s.Name, strings.Join(wrong, "\n  "))
	}
	return nil
}

func checkArgs(add func(string, ...any), name string, args []string) {
	if len(args) > 0 && args[0] == "" || slices.ContainsFunc(args, func(a string) bool { return strings.ContainsRune(a, 0) }) {
		add("%s: want a program and its arguments", name)
	}
}
