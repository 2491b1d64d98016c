package load

import (
	"maps"
	"sync"
	"time"

	"lockstep/internal/lockstep"
)

// tally counts what becomes of the changes of one step. It is safe for concurrent use.
type tally struct {
	end time.Time // when the last change is due

	mu       sync.Mutex // guards everything below
	due      int
	answered int
	failed   int
	unsent   int
	inTime   int // answered or failed by the end
	latency  histogram
	errors   map[string]int
	outcomes map[lockstep.Outcome]int
	last     time.Time      // of the newest answer
	versions map[uint64]int // those that answers name, with the records that changed in each
	example  string         // the first error
}

func newTally(end time.Time) *tally {
	return &tally{end: end, errors: map[string]int{}, outcomes: map[lockstep.Outcome]int{}, versions: map[uint64]int{}}
}

// expect says that n changes are due.
func (t *tally) expect(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due += n
}

// took notes one answer: due is when the request should have left.
func (t *tally) took(due, now time.Time, n int, a Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.arrived(now, n)
	t.answered += n
	t.latency.add(now.Sub(due), n)
	for o, count := range a.Outcomes {
		t.outcomes[o] += count
	}
	if a.Version > 0 {
		t.versions[a.Version] = a.Changed // of the whole version: requests share commits
	}
}

// failedAt notes a request without a good answer. One that was given up has waited so
// long at least; how fast a server refuses says nothing about how fast it works.
func (t *tally) failedAt(due, now time.Time, n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.arrived(now, n)
	t.failed += n
	class := className(err)
	t.errors[class] += n
	if class == classTimeout {
		t.latency.add(now.Sub(due), n)
	}
	if t.example == "" {
		t.example = err.Error()
	}
}

func (t *tally) arrived(now time.Time, n int) {
	if !now.After(t.end) {
		t.inTime += n
	}
	if now.After(t.last) {
		t.last = now
	}
}

// gaveUp notes changes that were due and never left: they have waited until now.
func (t *tally) gaveUp(due, now time.Time, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unsent += n
	t.latency.add(now.Sub(due), n)
}

// cut moves the end of a step to now, because it was stopped.
func (t *tally) cut(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end, t.inTime = now, t.answered+t.failed
}

// result is the step so far, from its start.
func (t *tally) result(start time.Time) StepResult {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := StepResult{
		For: t.end.Sub(start), Due: t.due, Answered: t.answered, Failed: t.failed, Unsent: t.unsent, Versions: len(t.versions),
		Latency: t.latency.spread(), Errors: maps.Clone(t.errors), Outcomes: maps.Clone(t.outcomes), Parked: t.outcomes[lockstep.ParkedAway],
		Backlog: t.due - t.inTime, Example: t.example,
	}
	for _, changed := range t.versions {
		s.Changed += changed
	}
	if t.last.After(t.end) {
		s.Behind = t.last.Sub(t.end)
	}
	if took := (s.For + s.Behind).Seconds(); took > 0 {
		s.Achieved = float64(s.Answered) / took
	}
	return s
}

// soFar is result for looking on the way, when the end is not there yet.
func (t *tally) soFar(start, now time.Time) StepResult {
	s := t.result(start)
	s.For, s.Behind = now.Sub(start), 0
	if took := s.For.Seconds(); took > 0 {
		s.Achieved = float64(s.Answered) / took
	}
	return s
}
