package config

import (
	"regexp"
	"time"
)

// Program describes a revision that is any program, as lockstep.yaml does. What it is, it
// says itself (docs/exec.md); Name is only what errors call it.
type Program struct {
	Name        string
	Command     []string
	Dir         string            // "": where Lockstep runs
	Env         map[string]string // all of its environment
	Files       []string          // patterns of further files that decide what it does
	Processes   int
	Start       time.Duration // until it has described itself
	Timeout     time.Duration // of one call
	MemoryBytes int64         // 0: as much as there is
	CPUTime     time.Duration // of one call; 0: as much as it takes
	OpenFiles   int
}

// Release configures how a candidate becomes stable.
type Release struct {
	Plan   string        // name of a preset; "": the default of the environment
	Watch  time.Duration // how often the controller looks
	Budget time.Duration // of one call of a candidate
	// ShadowLag is how many versions the comparison in shadow may be behind before it gives
	// some of them up.
	ShadowLag int
	Chain     []Link   // environments in their order; empty: this one alone
	Freeze    []Freeze // times in which nothing starts or advances
}

// Freeze is one rule of the calendar, as release.Rule; the words are checked there.
type Freeze struct {
	Name       string
	Days       []string
	From, To   string
	Begin, End string
	Zone       string
}

// Link is one environment of the chain.
type Link struct {
	Environment string
	Occupancy   time.Duration // how long a revision stays there before the next may have it
	Data        string        // data directory in which its ledger is; "" for this one
}

// DefaultEnvironment is the environment of a file that names none.
const DefaultEnvironment = "local"

var environmentName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

func decodeEnvironment(n *Node) string {
	name := n.Text(DefaultEnvironment)
	if !environmentName.MatchString(name) {
		n.Reject("want 1 to 32 of a-z 0-9 -, a letter or digit at both ends, found %q", quoteShort(name))
		return DefaultEnvironment
	}
	return name
}

func decodePrograms(n *Node) []Program {
	var out []Program
	for _, e := range n.Entries().All() {
		m := e.Value.Map("command", "dir", "env", "files", "processes", "start_timeout", "call_timeout", "memory", "cpu_time", "open_files")
		p := Program{
			Name: e.Key, Dir: m.Get("dir").Text(""), Env: map[string]string{},
			Processes: int(m.Get("processes").Int(1, 1, 64)),
			Start:     m.Get("start_timeout").Duration(10*time.Second, 10*time.Millisecond, 10*time.Minute),
			Timeout:   m.Get("call_timeout").Duration(10*time.Second, 10*time.Millisecond, 10*time.Minute),
			CPUTime:   m.Get("cpu_time").Duration(0, 0, 10*time.Minute),
			OpenFiles: int(m.Get("open_files").Int(256, 16, 1<<20)),
			Command:   words(m.Get("command")), Files: words(m.Get("files")),
		}
		if memory := m.Get("memory"); memory != nil {
			p.MemoryBytes = memory.Bytes(0, 16<<20, 1<<40)
		}
		for _, v := range m.Get("env").Entries().All() {
			p.Env[v.Key] = v.Value.Text("")
		}
		if len(p.Command) == 0 {
			e.Reject("key %q is missing: the program and its arguments, for example [python3, handler.py]", "command")
		}
		out = append(out, p)
	}
	return out
}

func words(n *Node) []string {
	var out []string
	for _, word := range n.List() {
		if s := word.Text(""); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func decodeRelease(n *Node, def Release) Release {
	m := n.Map("plan", "watch", "budget", "shadow_lag", "chain", "freeze")
	r := Release{
		Plan:   m.Get("plan").Text(def.Plan),
		Watch:  m.Get("watch").Duration(def.Watch, 10*time.Millisecond, time.Hour),
		Budget: m.Get("budget").Duration(def.Budget, 10*time.Millisecond, time.Minute),

		ShadowLag: int(m.Get("shadow_lag").Int(int64(def.ShadowLag), 2, 1_000_000)),
	}
	for _, l := range m.Get("chain").List() {
		link := l.Map("environment", "occupancy", "data")
		r.Chain = append(r.Chain, Link{
			Environment: decodeEnvironment(link.Need("environment")),
			Occupancy:   link.Get("occupancy").Duration(0, 0, 366*24*time.Hour),
			Data:        link.Get("data").Text(""),
		})
	}
	for _, f := range m.Get("freeze").List() {
		rule := f.Map("name", "days", "from", "to", "begin", "end", "zone")
		r.Freeze = append(r.Freeze, Freeze{
			Name: rule.Need("name").Text(""), Days: words(rule.Get("days")), From: rule.Get("from").Text(""), To: rule.Get("to").Text(""),
			Begin: rule.Get("begin").Text(""), End: rule.Get("end").Text(""), Zone: rule.Get("zone").Text(""),
		})
	}
	return r
}
