package rollback

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// listed is a plan with a step of each kind of target, none of them begun.
func listed() State {
	var steps []Step
	for _, target := range []string{"flag", "git-reference", "git-revert", "package", "tests", "watch"} {
		s := move(target, "", "done")
		s.Target = target
		steps = append(steps, s)
	}
	return NewState(planOf(steps...))
}

func (s *State) sees(step string, p Progress, ended time.Duration, e ...Evidence) {
	i, err := s.Step(step)
	if err != nil {
		panic(err)
	}
	s.Steps[i].Progress, s.Steps[i].By, s.Steps[i].Sight.Evidence, s.Steps[i].Ended = p, "lockstep", e, at(ended)
}

func itemIn(t *testing.T, groups []Group, id string) Item {
	t.Helper()
	for _, g := range groups {
		for _, it := range g.Items {
			if it.ID == id {
				return it
			}
		}
	}
	t.Fatalf("no item %s", id)
	return Item{}
}

func TestAnItemIsWhatIsKnownAboutIt(t *testing.T) {
	ok := Evidence{Item: ItemGitClean, OK: true, Text: "nothing to commit", Link: "main at 3fa9c1d"}
	not := Evidence{Item: ItemGitClean, Text: "1 file is changed"}
	shows := Item{Status: ItemTicked, Text: "nothing to commit", Link: "main at 3fa9c1d", By: "step git-revert"}
	for _, c := range []struct {
		name   string
		item   string
		change func(s *State)
		want   Item
	}{
		{"not done yet", ItemGitClean, func(*State) {}, Item{Status: ItemOpen, Text: "step git-reference is not done yet, step git-revert is not done yet"}},
		{"nobody but a person knows", ItemCustomers, func(*State) {}, Item{Status: ItemOpen, Text: "a person has to say so"}},
		{"no step, and a person can", ItemIssue, func(*State) {}, Item{Status: ItemOpen, Text: "a person has to say so"}},
		{"no step", ItemDeployed, func(*State) {}, Item{Status: ItemNotApplicable, Text: "no step of this plan is about it"}},
		{"shown", ItemGitClean, func(s *State) { s.sees("git-revert", Done, time.Minute, ok) }, withAt(shows, at(time.Minute))},
		{
			"shown otherwise", ItemGitClean, func(s *State) { s.sees("git-revert", Done, time.Minute, not) },
			Item{Status: ItemContradicted, Text: "1 file is changed", By: "step git-revert", At: at(time.Minute)},
		},
		{"the newer counts", ItemGitClean, func(s *State) {
			s.sees("git-reference", Done, time.Minute, not)
			s.sees("git-revert", Done, 2*time.Minute, ok)
		}, withAt(shows, at(2*time.Minute))},
		{
			"also of an earlier step", ItemGitClean, func(s *State) {
				s.sees("git-reference", Done, 2*time.Minute, not)
				s.sees("git-revert", Done, time.Minute, ok)
			},
			Item{Status: ItemContradicted, Text: "1 file is changed", By: "step git-reference", At: at(2 * time.Minute)},
		},
		{"the later step of two at once", ItemGitClean, func(s *State) {
			s.sees("git-reference", Done, time.Minute, not)
			s.sees("git-revert", Done, time.Minute, ok)
		}, withAt(shows, at(time.Minute))},
		{"seen before it is over", ItemGitClean, func(s *State) {
			s.sees("git-revert", Doing, 0, ok)
			s.Steps[2].Began, s.Steps[2].Ended = at(time.Minute), time.Time{}
		}, withAt(shows, at(time.Minute))},
		{"seen by a step that failed", ItemGitClean, func(s *State) { s.sees("git-revert", Failed, time.Minute, ok) }, withAt(shows, at(time.Minute))},
		{
			"signed", ItemCustomers, func(s *State) { s.sign(ItemCustomers, "anna", "asked support", time.Minute) },
			Item{Status: ItemTicked, Text: "asked support", By: "anna", At: at(time.Minute), Person: true},
		},
		{
			"signed though no step is about it", ItemDeployed, func(s *State) { s.sign(ItemDeployed, "anna", "by hand", time.Minute) },
			Item{Status: ItemTicked, Text: "by hand", By: "anna", At: at(time.Minute), Person: true},
		},
		{
			"the newer signature counts", ItemCustomers, func(s *State) {
				s.sign(ItemCustomers, "carl", "guessed", 30*time.Second)
				s.sign(ItemCustomers, "bert", "asked again", 2*time.Minute)
				s.sign(ItemCustomers, "anna", "asked support", time.Minute) // by a clock that is behind
				s.sign(ItemLogs, "carl", "read them", 3*time.Minute)
			},
			Item{Status: ItemTicked, Text: "asked again", By: "bert", At: at(2 * time.Minute), Person: true},
		},
		{
			"signed against what was seen", ItemGitClean, func(s *State) {
				s.sees("git-revert", Done, 2*time.Minute, not)
				s.sign(ItemGitClean, "anna", "it is mine", time.Minute)
			},
			Item{Status: ItemTicked, Text: "it is mine; against what step git-revert has seen: 1 file is changed", By: "anna", At: at(time.Minute), Person: true},
		},
		{"done, and silent", ItemTestPackage, func(s *State) { s.sees("tests", Done, 0) }, Item{Status: ItemOpen, Text: "step tests is done and has not shown it"}},
		{"failed, and silent", ItemTestPackage, func(s *State) { s.sees("tests", Failed, 0) }, Item{Status: ItemOpen, Text: "step tests has failed"}},
		{"stopped, and silent", ItemTestPackage, func(s *State) { s.sees("tests", Third, 0) }, Item{Status: ItemOpen, Text: "step tests has failed"}},
		{"under way", ItemTestPackage, func(s *State) { s.sees("tests", Doing, 0) }, Item{Status: ItemOpen, Text: "step tests is under way"}},
		{"left out", ItemTestPackage, func(s *State) { s.sees("tests", Skipped, 0) }, Item{Status: ItemOpen, Text: "step tests was left out"}},
		{"blocked", ItemTestPackage, func(s *State) { s.sees("tests", Blocked, 0) }, Item{Status: ItemOpen, Text: "step tests is not done yet"}},
	} {
		s := listed()
		c.change(&s)
		groups := s.Checklist()
		got := itemIn(t, groups, c.item)
		c.want.ID, c.want.Title = got.ID, got.Title
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		open := false
		for _, it := range Open(groups) {
			open = open || it.ID == c.item
		}
		if open != (got.Status == ItemOpen || got.Status == ItemContradicted) {
			t.Errorf("%s: open is %t", c.name, open)
		}
	}
}

func withAt(it Item, at time.Time) Item {
	it.At = at
	return it
}

func (s *State) sign(item, by, reason string, when time.Duration) {
	s.Signatures = append(s.Signatures, Signature{item, by, reason, at(when)})
}

// TestTheChecklistIsThatOfTheDocument has the groups and lines of the document in its words.
// Its lines about the two directories and the two imports are one here each.
func TestTheChecklistIsThatOfTheDocument(t *testing.T) {
	s := listed()
	var got []string
	seen := map[string]bool{}
	for _, g := range s.Checklist() {
		got = append(got, "# "+g.Title)
		for _, it := range g.Items {
			got = append(got, it.Title)
			if seen[it.ID] || it.ID == "" {
				t.Errorf("%q twice", it.ID)
			}
			seen[it.ID] = true
			if !isItem(it.ID) {
				t.Errorf("%s is not found", it.ID)
			}
		}
	}
	golden(t, "items.golden", strings.Join(got, "\n")+"\n")
	for _, id := range []string{
		ItemGitBranch, ItemGitReverted, ItemGitNoCode, ItemGitClean, ItemPkgAbsent, ItemPkgInit, ItemPkgInstall, ItemPkgImports, ItemHandlers, ItemLocal, ItemNoImports,
		ItemTestPackage, ItemTestLambda, ItemTestLocal, ItemDeployed, ItemDeployClean, ItemExecuting, ItemNormal, ItemSuccess, ItemErrors, ItemProcessed, ItemCustomers,
		ItemLogs, ItemIssue, ItemNotified, ItemPlanUpdated, ItemLessons, ItemRouting, ItemQuarantine, ItemDataBack, ItemProven, ItemFollowers,
	} {
		if !seen[id] {
			t.Errorf("%s is in no group", id)
		}
		delete(seen, id)
	}
	if len(seen) != 0 {
		t.Errorf("no constant for %v", seen)
	}
	if len(document()) != 8 {
		t.Errorf("%d groups", len(document()))
	}
}
