package app

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lockstep/internal/adapter/meter"
	"lockstep/internal/config"
	"lockstep/internal/guard"
	"lockstep/internal/lockstep"
)

// GuardSet is the guards that a configuration makes: the built-in ones as it changes
// them, and its own, with the sources and the recordings that belong to them.
type GuardSet struct {
	Guards     []guard.Guard
	Recordings []guard.Recording
	meters     map[string]guard.Meter // but for the ledger, which each asker has for itself
	unreliable map[string]error       // of guards that were not shown both passing and failing
}

// CheckGuards finds every mistake in the sections of guards, as a *config.Problems with
// places that also holds the mistakes which loading found. It asks nobody.
func CheckGuards(cfg config.Config) error {
	_, err := NewGuardSet(cfg, func(string) string { return "" })
	return err
}

// NewGuardSet puts the guards of a configuration together. Getenv finds the secrets
// that headers name; a variable that is not set is an empty header, which the source will
// refuse. It asks nobody. ErrInvalid names the places of all mistakes.
func NewGuardSet(cfg config.Config, getenv func(string) string) (*GuardSet, error) {
	set := &GuardSet{Guards: guard.Builtin(), meters: map[string]guard.Meter{}}
	var names []string
	var place *config.Node
	for i := range cfg.Guards.Sources {
		s := &cfg.Guards.Sources[i]
		place, names = s.At.Value, append(names, s.Name)
		if s.Name == guard.LedgerSource {
			s.At.Reject("%q is the source that is always there; give this one another name", s.Name)
			continue
		}
		if s.Kind == "" || s.Kind == config.SourceExec && len(s.Command) == 0 || s.Kind != config.SourceExec && s.URL == "" {
			continue // loading has said so
		}
		m, err := meterOf(s, getenv)
		if err != nil {
			s.At.Reject("%s", err)
			continue
		}
		set.meters[s.Name] = m
	}
	for _, s := range cfg.Guards.Set {
		place = s.At.Value
		set.set(s, names)
	}
	if err := place.Err(); err != nil {
		return nil, err
	}
	var err error
	if set.Recordings, err = recordings(cfg.Guards.Recordings); err != nil {
		return nil, err
	}
	set.unreliable = map[string]error{}
	for _, g := range set.Guards {
		if err := guard.Reliable(g, set.Recordings); err != nil {
			set.unreliable[g.Name] = err
		}
	}
	return set, guard.CheckAll(set.Guards, names...)
}

// meterOf is the one place where a kind of source becomes an adapter.
func meterOf(s *config.Source, getenv func(string) string) (guard.Meter, error) {
	remote := meter.Remote{URL: s.URL, Header: map[string]string{}, Timeout: s.Timeout}
	for name, variable := range s.Header {
		remote.Header[name] = getenv(variable)
	}
	switch s.Kind {
	case config.SourcePrometheus:
		return meter.NewPrometheus(remote)
	case config.SourceHTTP:
		return meter.NewHTTP(remote)
	case config.SourceExec:
		return meter.NewExec(meter.Command{Args: s.Command, Dir: s.Dir, Env: s.Env, Timeout: s.Timeout})
	}
	return nil, fmt.Errorf("kind %q: %w: the known ones are %v", s.Kind, lockstep.ErrInvalid, config.SourceKinds())
}

// set adds a guard of the file, or changes the built-in one of that name.
func (set *GuardSet) set(s config.GuardSetting, sources []string) {
	i := slices.IndexFunc(set.Guards, func(g guard.Guard) bool { return g.Name == s.Name })
	g := guard.Guard{Name: s.Name, Action: guard.Hold}
	before := mistakes(s.At.Value)
	if i >= 0 {
		g = set.Guards[i]
	} else {
		whole(s)
	}
	overlay(s, &g)
	if mistakes(s.At.Value) == before { // what is not a word needs no second mistake
		if err := g.Check(sources...); err != nil {
			s.At.Reject("%s", oneLine(err))
		}
	}
	if i >= 0 {
		set.Guards[i] = g
		return
	}
	set.Guards = append(set.Guards, g)
}

// whole asks for the keys that a guard of one's own cannot do without.
func whole(s config.GuardSetting) {
	var missing []string
	for _, key := range []string{config.GuardCriterion, config.GuardSource, config.GuardQuestion, config.GuardWindow, config.GuardTest} {
		if s.Get(key) == nil {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return
	}
	names := make([]string, 0, len(guard.Builtin()))
	for _, b := range guard.Builtin() {
		names = append(names, b.Name)
	}
	s.At.Reject("%q is no built-in guard, and one of your own needs %s; the built-in ones are %s",
		s.Name, strings.Join(missing, ", "), strings.Join(names, ", "))
}

// mistakes counts those of the whole file.
func mistakes(n *config.Node) int {
	if ps, ok := errors.AsType[*config.Problems](n.Err()); ok {
		return len(ps.List)
	}
	return 0
}

// overlay writes over g what the file says.
func overlay(s config.GuardSetting, g *guard.Guard) {
	g.Criterion = word(s.Get(config.GuardCriterion), g.Criterion, guard.Criteria())
	g.Source = s.Get(config.GuardSource).Text(g.Source)
	g.Question = s.Get(config.GuardQuestion).Text(g.Question)
	g.Against = s.Get(config.GuardAgainst).Text(g.Against)
	g.Window = s.Get(config.GuardWindow).Duration(g.Window, time.Second, guard.MaxWindow)
	g.Fresh = s.Get(config.GuardFresh).Duration(g.Fresh, 0, guard.MaxWindow)
	g.Action = word(s.Get(config.GuardAction), g.Action, guard.Actions())
	g.OnNoData = word(s.Get(config.GuardOnNoData), g.OnNoData, guard.NoDatas())
	if n := s.Get(config.GuardNeeds); n != nil {
		g.Needs = word(n, g.Needs, guard.Needs()[1:])
	}
	g.Why = s.Get(config.GuardWhy).Text(g.Why)

	const most = 1e15
	t := s.Get(config.GuardTest).Map("kind", "reduce", "op", config.GuardLimit, "floor", "unit")
	g.Test.Kind = word(t.Get("kind"), g.Test.Kind, guard.Kinds())
	g.Test.Reduce = word(t.Get("reduce"), g.Test.Reduce, guard.Reduces())
	g.Test.Op = word(t.Get("op"), g.Test.Op, guard.Ops())
	g.Test.Limit = t.Get(config.GuardLimit).Float(g.Test.Limit, -most, most)
	g.Test.Floor = t.Get("floor").Float(g.Test.Floor, -most, most)
	g.Test.Unit = word(t.Get("unit"), g.Test.Unit, guard.Units())
	g.Test.Limit = s.Get(config.GuardLimit).Float(g.Test.Limit, -most, most)
	if n := s.Get(config.GuardLimit); n != nil && t.Get(config.GuardLimit) != nil {
		n.Reject("limit is given twice, here and in test")
	}

	d := s.Get(config.GuardDebounce)
	m := d.Map("fails", "of")
	if d != nil {
		g.Debounce = guard.Debounce{Fails: int(m.Get("fails").Int(1, 1, 100)), Of: int(m.Get("of").Int(1, 1, 100))}
	}
}

// word is Enum for the word lists of package guard.
func word[T ~string](n *config.Node, def T, known []T) T {
	if n == nil {
		return def
	}
	texts := make([]string, len(known))
	for i, k := range known {
		texts[i] = string(k)
	}
	return T(n.Enum(string(def), texts...))
}

// oneLine makes a list of mistakes one line, for one place in a file.
func oneLine(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	if len(lines) > 1 {
		lines = lines[1:] // the first names the guard, as the place does
	}
	return strings.Join(lines, "; ")
}

// recordings are those that come with the product and those of a directory, "" for none.
func recordings(dir string) ([]guard.Recording, error) {
	all, err := guard.Recordings()
	if err != nil || dir == "" {
		return all, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err == nil && len(names) == 0 {
		_, err = os.Stat(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("recordings of guards: %w", err)
	}
	for _, name := range names {
		b, err := readBounded(name, guard.MaxRecordingBytes)
		if err != nil {
			return nil, fmt.Errorf("recordings of guards: %w", err)
		}
		r, err := guard.ParseRecording(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

func readBounded(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.Size() > limit:
		return nil, fmt.Errorf("%w %s: %d bytes, at most %d", lockstep.ErrInvalid, name, info.Size(), limit)
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	return os.ReadFile(name)
}

// Reliable says why nothing may rely on a guard, nil when it was shown both passing and
// failing.
func (set *GuardSet) Reliable(g guard.Guard) error { return set.unreliable[g.Name] }

// Sources are the names of all sources, the ledger first.
func (set *GuardSet) Sources() []string {
	return append([]string{guard.LedgerSource}, slices.Sorted(maps.Keys(set.meters))...)
}
