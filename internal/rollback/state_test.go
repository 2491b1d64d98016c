package rollback

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

// stateOf has a chain a <- b <- c and a lone d, as far as it is said.
func stateOf(how ...Progress) State {
	s := NewState(planOf(move("a", "bad", "good"), move("b", "bad", "good", "a"), move("c", "bad", "good", "b"), move("d", "bad", "good")))
	s.Began = t0()
	for i, p := range how {
		s.Steps[i].Progress = p
	}
	return s
}

func TestWhatIsDoneNext(t *testing.T) {
	for _, c := range []struct {
		how  []Progress
		next string
		then string // the state that is returned
	}{
		{[]Progress{Waiting, Waiting, Waiting, Waiting}, "a", "a:waiting b:waiting c:waiting d:waiting"},
		{[]Progress{Done, Waiting, Waiting, Waiting}, "b", "a:done b:waiting c:waiting d:waiting"},
		{[]Progress{Skipped, Waiting, Waiting, Waiting}, "b", "a:skipped b:waiting c:waiting d:waiting"},
		{[]Progress{Done, Doing, Waiting, Waiting}, "b", "a:done b:doing c:waiting d:waiting"},
		{[]Progress{Waiting, Waiting, Waiting, Doing}, "d", "a:waiting b:waiting c:waiting d:doing"}, // a half-done step first
		{[]Progress{Failed, Waiting, Waiting, Waiting}, "d", "a:failed b:blocked c:blocked d:waiting"},
		{[]Progress{Third, Waiting, Waiting, Done}, "", "a:third b:blocked c:blocked d:done"},
		{[]Progress{Failed, Blocked, Blocked, Done}, "", "a:failed b:blocked c:blocked d:done"},
		{[]Progress{Done, Blocked, Blocked, Done}, "b", "a:done b:blocked c:blocked d:done"}, // considered again
		{[]Progress{Failed, Skipped, Blocked, Done}, "c", "a:failed b:skipped c:blocked d:done"},
		{[]Progress{Done, Done, Done, Done}, "", "a:done b:done c:done d:done"},
		{[]Progress{Done, Failed, Skipped, Done}, "", "a:done b:failed c:skipped d:done"},
	} {
		s := stateOf(c.how...)
		before := slices.Clone(s.Steps)
		then, at := Next(s)
		next := ""
		if at >= 0 {
			next = s.Plan.Steps[at].ID
		}
		if got := progress(then); next != c.next || got != c.then {
			t.Errorf("%v: %q, %s; want %q, %s", c.how, next, got, c.next, c.then)
		}
		if diff := cmp.Diff(before, s.Steps); diff != "" {
			t.Errorf("%v: it was changed: %s", c.how, diff)
		}
	}
}

// TestAWalkComesToItsEnd draws plans, and what becomes of each step: every step is done or
// cannot be, for a reason, and needs come first.
func TestAWalkComesToItsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var steps []Step
		for i := range rapid.IntRange(1, 12).Draw(t, "steps") {
			s := move(fmt.Sprint("s", i), "", "x")
			for j := range i {
				if rapid.IntRange(0, 3).Draw(t, "needs") == 0 {
					s.Needs = append(s.Needs, fmt.Sprint("s", j))
				}
			}
			steps = append(steps, s)
		}
		s := NewState(planOf(steps...))
		for i := range s.Steps {
			s.Steps[i].Progress = rapid.SampledFrom([]Progress{Waiting, Blocked, Waiting, Failed, Skipped, Third}).Draw(t, "at first")
		}
		for turns := 0; ; turns++ {
			if turns > len(steps) {
				t.Fatal("a step comes twice")
			}
			n, at := Next(s)
			if at < 0 {
				s = n
				break
			}
			if !s.ready(at) {
				t.Fatalf("%s is not ready", steps[at].ID)
			}
			s.Steps[at].Progress = rapid.SampledFrom([]Progress{Done, Done, Failed, Third}).Draw(t, "then")
		}
		for i := range s.Steps {
			stuck := slices.Contains([]Progress{Failed, Third}, s.Steps[i].Progress)
			switch ready := s.ready(i); s.Steps[i].Progress {
			case Waiting, Doing:
				t.Errorf("%s is %s at the end", steps[i].ID, s.Steps[i].Progress)
			case Blocked:
				if ready {
					t.Errorf("%s is blocked by nothing", steps[i].ID)
				}
			case Done:
				if !ready {
					t.Errorf("%s was done too early", steps[i].ID)
				}
			case Failed, Third, Skipped:
			}
			if blocked := s.Steps[i].Progress == Blocked; slices.Contains(s.Stuck(), i) != (stuck || blocked) {
				t.Errorf("stuck: %v", s.Stuck())
			}
		}
	})
}

func TestTheOutcomeOfAPlan(t *testing.T) {
	ended := func(s State) State { s.Ended = at(time.Minute); return s }
	planned := stateOf()
	planned.Began = time.Time{}
	undone := ended(stateOf(Done, Done, Done, Done))
	undone.UndoneBy = "dev-2"
	for _, c := range []struct {
		s    State
		want Outcome
	}{
		{planned, Planned},
		{stateOf(), Running},
		{stateOf(Done, Failed, Blocked, Waiting), Running},
		{ended(stateOf(Done, Done, Done, Done)), Complete},
		{ended(stateOf(Done, Skipped, Done, Done)), Complete},
		{ended(stateOf(Done, Failed, Blocked, Done)), Incomplete},
		{ended(stateOf(Done, Done, Done, Third)), Incomplete},
		{undone, Undone},
	} {
		if got := c.s.Outcome(); got != c.want {
			t.Errorf("%s: %s, want %s", progress(c.s), got, c.want)
		}
	}
}

func TestAStepIsFoundByItsName(t *testing.T) {
	s := stateOf()
	if i, err := s.Step("c"); i != 2 || err != nil {
		t.Error(i, err)
	}
	if _, err := s.Step("x"); !errors.Is(err, lockstep.ErrNotFound) || lockstep.HintOf(err) != "its steps are [a b c d]" {
		t.Errorf("%v, %s", err, lockstep.HintOf(err))
	}
}

func TestTheTimelineTellsWhatHappenedInOrder(t *testing.T) {
	s := stateOf(Done, Failed, Third, Skipped)
	s.Ended = at(9 * time.Minute)
	s.Steps[0].Ended, s.Steps[0].By, s.Steps[0].Already, s.Steps[0].Sight.Detail = at(4*time.Minute), "lockstep", true, "a is good"
	s.Steps[1].Ended, s.Steps[1].By, s.Steps[1].Error = at(6*time.Minute), "lockstep", "no"
	s.Steps[2].Ended, s.Steps[2].By, s.Steps[2].Error = at(5*time.Minute), "lockstep", "found a fox"
	s.Steps[3].Ended, s.Steps[3].By, s.Steps[3].Error = at(8*time.Minute), "bert", "by hand"
	s.Signatures = []Signature{{ItemLogs, "anna", "read them", at(7 * time.Minute)}}
	var got []string
	for _, e := range s.Timeline() {
		if e.Link != "plan dev-1" {
			t.Errorf("%+v", e)
		}
		got = append(got, fmt.Sprintf("%s %s: %s", e.At.Format("15:04"), e.Who, e.What))
	}
	want := []string{
		"08:00 anna: planned a rollback: labels are lost",
		"08:00 anna: began the rollback",
		"08:04 lockstep: Move a to good: a is good (it was so already)",
		"08:05 lockstep: Move c to good was stopped: found a fox",
		"08:06 lockstep: Move b to good failed: no",
		"08:07 anna: signed monitor.logs: read them",
		"08:08 bert: Move d to good was left out: by hand",
		"08:09 : what could be done is done; left for a person: b, c",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s = stateOf(Done, Done, Done, Done)
	s.Plan.Undoes, s.Ended = "dev-0", t0()
	for i := range s.Steps {
		s.Steps[i].Ended = t0()
	}
	line := s.Timeline()
	if len(line) != 7 || line[0].What != "planned to take plan dev-0 back: labels are lost" || line[1].What != "began to take plan dev-0 back" ||
		line[6].What != "everything of the plan is done" {
		t.Errorf("%+v", line)
	}
}
