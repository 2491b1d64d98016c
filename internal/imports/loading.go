package imports

import (
	"context"
	"path"
	"slices"
)

// loader plays what Python does when a module is imported in a fresh process, as far as
// circles decide it: modules load in the order of their imports, one that is half loaded
// has the names that it has bound so far, and a failure goes up to the first import that
// catches it. Every import is played, also one that stands under a condition.
type loader struct {
	m      *pythonMap
	group  []int
	circle int // whose names count; all others are there
	state  []loadState
	at     []Position // how far a module has got
	steps  int
}

type loadState uint8

const (
	notLoaded loadState = iota
	halfLoaded
	fullyLoaded
)

// maxPlayed bounds the imports played for one circle. Beyond it the rest of its modules
// is taken to load.
const maxPlayed = 20_000_000

const noFailure = -1

// failing lists the modules of a circle that cannot be imported first, and the imports
// at which it breaks then.
func (m *pythonMap) failing(ctx context.Context, group []int, circle int) (breaks []int, modules []string, err error) {
	l := &loader{m: m, group: group, circle: circle}
	for entry := range m.network.names {
		if group[entry] != circle {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if l.steps > maxPlayed {
			break
		}
		l.state = make([]loadState, len(group))
		l.at = make([]Position, len(group))
		e := l.enter(entry)
		if e == noFailure {
			continue
		}
		modules = append(modules, m.network.names[entry])
		if !slices.Contains(breaks, e) {
			breaks = append(breaks, e)
		}
	}
	return breaks, modules, nil
}

// enter imports a module, after the packages that it is in.
func (l *loader) enter(module int) int {
	var packages []int
	for dir := path.Dir(l.m.network.names[module]); l.m.names.inits[dir]; dir = path.Dir(dir) {
		if p, ok := l.m.network.index[path.Join(dir, "__init__.py")]; ok && p != module {
			packages = append(packages, p)
		}
		if dir == "." {
			break
		}
	}
	for _, p := range slices.Backward(packages) {
		if e := l.load(p); e != noFailure {
			return e
		}
	}
	return l.load(module)
}

// load runs a module, if it has not begun, and returns the import at which it fails.
func (l *loader) load(module int) int {
	if l.state[module] != notLoaded {
		return noFailure
	}
	l.state[module] = halfLoaded
	caught := 0
	for _, e := range l.m.network.out[module] {
		edge := &l.m.network.edges[e]
		if !loads(*edge) || caught != 0 && l.m.guards[e] == caught {
			continue // what follows a failure in its block does not happen
		}
		l.steps++
		l.at[module] = edge.Position
		failed := l.load(edge.to)
		if failed == noFailure && !l.takes(e) {
			failed = e
		}
		switch {
		case failed == noFailure:
		case edge.Guarded:
			caught = l.m.guards[e]
		default:
			l.state[module] = notLoaded // Python forgets it
			return failed
		}
	}
	l.state[module] = fullyLoaded
	return noFailure
}

// takes says whether an import finds the name that it takes.
func (l *loader) takes(e int) bool {
	edge := &l.m.network.edges[e]
	taken := l.m.taken[e]
	if taken == "" || taken == "*" || l.state[edge.to] != halfLoaded || l.group[edge.from] != l.circle || l.group[edge.to] != l.circle {
		return true
	}
	// A module may answer for names itself, and nobody knows what a star has bound.
	for _, known := range []string{taken, "*", "__getattr__"} {
		if at, ok := l.m.bound[edge.To][known]; ok && earlier(at, l.at[edge.to]) {
			return true
		}
	}
	return false
}

func earlier(a, b Position) bool { return a.Line < b.Line || a.Line == b.Line && a.Column < b.Column }
