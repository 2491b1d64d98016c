package config

import (
	"regexp"
	"time"
)

// Guards is what the section "guards" says. What criteria, tests and metrics there are,
// package guard knows; whoever puts the guards together checks the words, and reports
// mistakes at the places that are kept here.
type Guards struct {
	Recordings string // directory with recordings of guards that are not built in; "" for none
	// KeepKeys are metadata keys that no record may lose; none: the question is not asked.
	KeepKeys []string
	Sources  []Source       // in the order of the file
	Set      []GuardSetting // in the order of the file
}

// Source is somebody who can be asked besides the ledger.
type Source struct {
	Name string
	Kind string // one of SourceKinds
	URL  string // prometheus and http: the base address
	// Header maps header names to names of environment variables that hold their values,
	// so that no secret stands in the file.
	Header  map[string]string
	Command []string          // exec
	Dir     string            // exec; "": where Lockstep runs
	Env     map[string]string // exec: all of its environment
	Timeout time.Duration
	At      Entry // for mistakes
}

// The kinds of source.
const (
	SourcePrometheus = "prometheus"
	SourceHTTP       = "http"
	SourceExec       = "exec"
)

// SourceKinds lists the kinds of source.
func SourceKinds() []string { return []string{SourcePrometheus, SourceHTTP, SourceExec} }

// GuardSetting is one guard of the file: a whole one, or what it changes about the
// built-in one of that name. A nil node was not written.
type GuardSetting struct {
	Name string
	At   Entry // for mistakes
	*Map       // criterion, source, question, against, window, fresh, test, debounce, action, on_no_data, needs, why
}

// The keys of a guard.
const (
	GuardCriterion = "criterion"
	GuardSource    = "source"
	GuardQuestion  = "question"
	GuardAgainst   = "against"
	GuardWindow    = "window"
	GuardFresh     = "fresh"
	GuardTest      = "test"
	GuardLimit     = "limit" // short for test: {limit: ...}
	GuardDebounce  = "debounce"
	GuardAction    = "action"
	GuardOnNoData  = "on_no_data"
	GuardNeeds     = "needs"
	GuardWhy       = "why"
)

func guardKeys() []string {
	return []string{
		GuardCriterion, GuardSource, GuardQuestion, GuardAgainst, GuardWindow, GuardFresh, GuardTest,
		GuardLimit, GuardDebounce, GuardAction, GuardOnNoData, GuardNeeds, GuardWhy,
	}
}

const (
	defaultSourceTimeout = 5 * time.Second
	maxSources           = 64
	maxGuards            = 256
	maxKeepKeys          = 64
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func decodeGuards(n *Node) Guards {
	m := n.Map("recordings", "keep_keys", "sources", "set")
	g := Guards{Recordings: m.Get("recordings").Text(""), KeepKeys: words(m.Get("keep_keys"))}
	if len(g.KeepKeys) > maxKeepKeys {
		m.Get("keep_keys").Reject("%d keys, at most %d", len(g.KeepKeys), maxKeepKeys)
	}
	for _, e := range m.Get("sources").Entries().All() {
		g.Sources = append(g.Sources, decodeSource(e))
	}
	if len(g.Sources) > maxSources {
		m.Get("sources").Reject("%d sources, at most %d", len(g.Sources), maxSources)
	}
	for _, e := range m.Get("set").Entries().All() {
		g.Set = append(g.Set, GuardSetting{Name: e.Key, At: e, Map: e.Value.Map(guardKeys()...)})
	}
	if len(g.Set) > maxGuards {
		m.Get("set").Reject("%d guards, at most %d", len(g.Set), maxGuards)
	}
	return g
}

func decodeSource(e Entry) Source {
	m := e.Value.Map("kind", "url", "header", "command", "dir", "env", "timeout")
	s := Source{
		Name: e.Key, At: e, Kind: m.Need("kind").Enum("", SourceKinds()...), URL: m.Get("url").Text(""),
		Header: map[string]string{}, Command: words(m.Get("command")), Dir: m.Get("dir").Text(""), Env: map[string]string{},
		Timeout: m.Get("timeout").Duration(defaultSourceTimeout, 10*time.Millisecond, 30*time.Second),
	}
	for _, v := range m.Get("env").Entries().All() {
		s.Env[v.Key] = v.Value.Text("")
	}
	for _, v := range m.Get("header").Entries().All() {
		name := v.Value.Text("")
		if name != "" && !variableName.MatchString(name) {
			// Not quoted: somebody may have written the secret itself.
			v.Value.Reject("want the name of the environment variable that holds the value, such as PROMETHEUS_AUTH")
		}
		s.Header[v.Key] = name
	}
	s.fits(m, e)
	return s
}

// fits rejects keys that a source of this kind does not have.
func (s Source) fits(m *Map, e Entry) {
	only, other := []string{"url", "header"}, []string{"command", "dir", "env"}
	if s.Kind == SourceExec {
		only, other = other, only
	}
	if s.Kind == "" {
		return // reported
	}
	for _, key := range other {
		m.Get(key).Reject("a source of kind %s has no %s", s.Kind, key)
	}
	if m.Get(only[0]) == nil || s.Kind == SourceExec && len(s.Command) == 0 {
		e.Reject("key %q is missing: a source of kind %s needs it", only[0], s.Kind)
	}
}
