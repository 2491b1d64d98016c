package config

import "time"

// Checks are the commands that say whether the tests of the people who write the
// handler pass: evidence for two lines of the rollback document.
type Checks struct {
	Tests []Test
	// Every is how often a server runs them while a release is under way, the first time when
	// it begins; 0: only "lockstep assess --tests" runs
	// them. An hour unless given.
	Every time.Duration
}

// Test is one test command. It ends with status 0 when the tests pass.
type Test struct {
	Name     string
	Command  []string
	Dir      string            // "": where Lockstep runs
	Env      map[string]string // all of its environment
	Blocking bool              // a failure is a reason to roll back; that of another is not
	Timeout  time.Duration
}

const maxTests = 64

func decodeChecks(n *Node) Checks {
	var c Checks
	m := n.Map("tests", "every")
	tests := m.Get("tests")
	for _, t := range tests.List() {
		m := t.Map("name", "command", "dir", "env", "blocking", "timeout")
		test := Test{
			Name: m.Need("name").Text(""), Command: words(m.Need("command")), Dir: m.Get("dir").Text(""), Env: map[string]string{},
			Blocking: m.Get("blocking").Bool(true), Timeout: m.Get("timeout").Duration(10*time.Minute, time.Second, time.Hour),
		}
		for _, v := range m.Get("env").Entries().All() {
			test.Env[v.Key] = v.Value.Text("")
		}
		if m.Get("command") != nil && len(test.Command) == 0 {
			m.Get("command").Reject("want the program and its arguments, for example [make, test]")
		}
		c.Tests = append(c.Tests, test)
	}
	if len(c.Tests) > 0 {
		c.Every = m.Get("every").Duration(time.Hour, 0, 30*24*time.Hour)
	}
	if len(c.Tests) > maxTests {
		tests.Reject("%d tests, at most %d", len(c.Tests), maxTests)
	}
	return c
}
