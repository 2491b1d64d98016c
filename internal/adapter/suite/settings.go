package suite

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
	"lockstep/internal/testreport"
)

// Settings are the suites of an environment, in the order in which they run.
type Settings struct {
	Suites []Suite `json:"suites" yaml:"suites"`
}

// Suite is one test command. It holds names of variables, never values, and is stored in
// the plan.
type Suite struct {
	Name    string            `json:"name" yaml:"name"` // letters, digits and hyphens
	Command []string          `json:"command" yaml:"command"`
	Dir     string            `json:"dir,omitempty" yaml:"dir"`            // "": where Lockstep runs
	Env     []string          `json:"env,omitempty" yaml:"env"`            // names of the variables that it sees
	Timeout time.Duration     `json:"timeout_ns,omitempty" yaml:"timeout"` // 0: 10 minutes
	Format  testreport.Format `json:"format,omitempty" yaml:"format"`      // "": auto
	// JUnit is the report file that the command writes, below Dir. It must be new after the
	// run; it is read rather than the output.
	JUnit string            `json:"junit,omitempty" yaml:"junit"`
	Rules []testreport.Rule `json:"rules,omitempty" yaml:"rules"` // which tests are minor
	// Item is the line of the checklist that it speaks for: tests.package, tests.lambda or
	// tests.integration. "": none.
	Item string `json:"item,omitempty" yaml:"item"`
	// Blocking says whether its failure stops what needs it. nil: yes.
	Blocking *bool `json:"blocking,omitempty" yaml:"blocking"`
}

const (
	defaultTimeout = 10 * time.Minute
	maxTimeout     = 6 * time.Hour
	maxSuites      = 64
)

func (s Suite) timeout() time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	return defaultTimeout
}

func (s Suite) format() testreport.Format {
	switch {
	case s.Format != "" && s.Format != testreport.Auto:
		return s.Format
	case s.JUnit != "":
		return testreport.JUnit
	}
	return testreport.Auto
}

func (s Suite) blocks() bool { return s.Blocking == nil || *s.Blocking }

// Check returns every mistake at once, as one ErrInvalid.
func (s Settings) Check() error {
	var wrong []string
	if len(s.Suites) == 0 || len(s.Suites) > maxSuites {
		wrong = append(wrong, fmt.Sprintf("%d suites, want 1 to %d", len(s.Suites), maxSuites))
	}
	seen := map[string]bool{}
	for i, one := range s.Suites {
		for _, text := range one.mistakes() {
			wrong = append(wrong, fmt.Sprintf("suite %d (%.40q): %s", i+1, one.Name, text))
		}
		if seen[one.Name] {
			wrong = append(wrong, fmt.Sprintf("suite %d (%.40q): there is another of that name", i+1, one.Name))
		}
		seen[one.Name] = true
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w suites:\n  %s", lockstep.ErrInvalid, strings.Join(wrong, "\n  "))
	}
	return nil
}

// items are the lines of the checklist that tests can speak for.
var items = []string{"", rollback.ItemTestPackage, rollback.ItemTestLambda, rollback.ItemTestLocal}

func (s Suite) mistakes() []string {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if !validName(s.Name) {
		add("name: want letters, digits and hyphens, at most 64")
	}
	if len(s.Command) == 0 || s.Command[0] == "" || slices.ContainsFunc(s.Command, func(a string) bool { return strings.ContainsRune(a, 0) }) {
		add("command: want the program and its arguments, for example [pytest, tests/, -v]")
	}
	if s.Timeout < 0 || s.Timeout > maxTimeout {
		add("timeout %s: want at most %s", s.Timeout, maxTimeout)
	}
	if s.Format != "" && !slices.Contains(testreport.Formats(), s.Format) {
		add("format %.40q: known are %v", s.Format, testreport.Formats())
	}
	if s.JUnit != "" && !filepath.IsLocal(s.JUnit) {
		add("junit %.80q: want a path below the suite's directory", s.JUnit)
	}
	if s.JUnit != "" && s.format() != testreport.JUnit {
		add("junit: format %s does not read it", s.Format)
	}
	if !slices.Contains(items, s.Item) {
		add("item %.40q: known are %s", s.Item, strings.Join(items[1:], ", "))
	}
	for _, name := range s.Env {
		if name == "" || strings.ContainsAny(name, "= \x00") {
			add("env %.40q: want the name of a variable, not its value", name)
		}
	}
	rules, err := testreport.Compile(s.Rules)
	if err != nil {
		add("%v", err)
	}
	// pytest says that it stopped early; go test does not.
	if rules.Any() && slices.ContainsFunc(s.Command, func(a string) bool { return strings.TrimLeft(a, "-") == "failfast" }) {
		add("command: -failfast leaves tests out, so that nobody can call the failure of one minor")
	}
	return wrong
}

func validName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}
