package rollback

import (
	"testing"
	"time"
)

// full is the full rollback of the document, as assembly would plan it.
func full() Plan {
	step := func(id, target string, phase Phase, title string, predicted time.Duration, needs ...string) Step {
		return Step{ID: id, Target: target, Phase: phase, Title: title, To: "done", Predicted: predicted, Needs: needs}
	}
	p := Plan{
		ID: "prod-3", Environment: "prod", Scenario: Prod, Procedure: Full, Bad: "receipts@2+222222222222", To: Pair{"receipts@1+111111111111", 41},
		Release: "prod-7", By: "anna", Reason: "labels are lost", At: t0(),
		Notes: []string{
			"data: revert: 214 of 1,000,000 records were written by receipts@2, in 3 versions since 42; later changes stay",
			"git: the point is 3fa9c1d, the last commit before the release began",
			"without traffic: not configured",
		},
		Escalation: []string{"team lead: Carla, +49 30 1234", "runbook: docs/runbooks/lambda-deployment-issues.md", "or roll the rollback back: lockstep rollback undo prod-3"},
		Steps: []Step{
			step("flag", "flag", PhaseFlag, "Take receipts@2 out of the routing", 200*time.Millisecond),
			step("git-reference", "git-reference", PhaseCode, "Keep the current state as branch migration-rollback-20260504", 300*time.Millisecond),
			step("git-revert", "git-revert", PhaseCode, "Revert 4 commits of the migration", 4*time.Second, "git-reference"),
			step("tests-package", "tests", PhaseCode, "Run the tests package", 90*time.Second, "git-revert"),
			step("deploy", "deploy", PhaseCode, "Deploy what the tree holds", 6*time.Minute, "git-revert", "tests-package"),
			step("index", "index", PhaseData, "Revert what receipts@2 wrote", 800*time.Millisecond, "flag"),
			step("notify", "notify", PhaseTell, "Tell the team", time.Second),
			step("watch", "watch", PhaseWatch, "Watch the recovery for 30m0s", 30*time.Minute, "flag", "index", "deploy"),
		},
	}
	s := p.Steps
	s[0].Changes, s[0].UndoBy = "every key is decided by receipts@1 from the next batch on", "the release is retried, and keeps its evidence"
	s[2].Changes, s[2].Risk, s[2].UndoBy = "a branch rollback-prod-3 with one commit for each | of the four", "conflicts, which a person resolves.", "the branch before is checked out"
	s[4].Changes, s[4].Manual, s[4].UndoBy = "the stack <prod> runs what ran before", "pulumi up --yes --cwd infra", "pulumi up, from the tree of then"
	s[5].Changes, s[5].UndoBy = "214 records", "a reset to the version before"
	return p
}

// quick is one that loses something, and takes longer than it should.
func quick() Plan {
	p := full()
	p.Procedure, p.Notes, p.Steps = Quick, nil, []Step{p.Steps[0], p.Steps[5]}
	p.Steps[1].Title, p.Steps[1].Predicted = "Discard what came after version 41", 11*time.Minute
	p.Steps[1].Loss, p.Steps[1].Changes, p.Steps[1].UndoBy = []string{"the changes of versions 42 to 90"}, "the index is version 41 again", ""
	return p
}

func undoing() Plan {
	p := planOf(move("undo-flag", "off", "on"))
	p.ID, p.Undoes, p.Bad, p.To, p.Reason = "prod-4", "prod-3", "receipts@2+222222222222", Pair{"receipts@1+111111111111", 41}, "it was the network"
	return p
}

// walked is the full rollback as it stands after its first walk, which got stuck.
func walked() State {
	s := NewState(full())
	s.Began, s.Ended = at(time.Second), at(7*time.Minute)
	for i, x := range []StepState{
		{Progress: Done, Sight: Sight{Detail: "receipts@2 is not routed, receipts@1 is stable", Evidence: []Evidence{{ItemRouting, true, "receipts@2 is not routed", "release ledger, entry 19"}}}, Ended: at(1200 * time.Millisecond)},
		{Progress: Done, Already: true, Sight: Sight{
			Detail: "branch migration-rollback-20260504 at 9a8b7c6", Evidence: []Evidence{{ItemGitBranch, true, "migration-rollback-20260504 at 9a8b7c6", ""}},
		}, Ended: at(1200 * time.Millisecond)},
		{Progress: Done, Sight: Sight{Evidence: []Evidence{
			{ItemGitReverted, true, "4 commits reverted", "9a8b7c6..1b2c3d4"},
			{ItemGitNoCode, true, "the trees of lambdas/ and receipt_chroma/ are those of 3fa9c1d", ""},
			{ItemGitClean, false, "1 file is changed: notes.txt", ""},
			{ItemHandlers, true, "the tree of lambdas/ is that of 3fa9c1d", ""},
		}}, Ended: at(6 * time.Second)},
		{Progress: Done, Sight: Sight{Detail: "412 passed", Evidence: []Evidence{{ItemTestPackage, true, "412 passed", "tests-package.txt"}}}, Ended: at(95 * time.Second)},
		{Progress: Failed, Error: "pulumi up: refused: the stack is currently locked by 1 lock(s)\n  ci@build-12 (pid 4711)", Hint: "wait for the other update, or ask its owner", Ended: at(6 * time.Minute)},
		{Progress: Third, Error: `found "rebuilding", where "wrong" was to be made "clean": conflict`, Hint: "somebody else may be at it: find out who, and put it right, or leave the step out", Ended: at(6 * time.Minute)},
		{Progress: Skipped, By: "bert", Error: "told them by phone", Ended: at(5 * time.Minute)},
		{Progress: Blocked},
	} {
		x.Tries = 1
		if x.By == "" {
			x.By = "lockstep"
		}
		if x.Progress != Blocked && x.Progress != Skipped {
			x.Began = at(time.Second)
		}
		s.Steps[i] = x
	}
	s.sign(ItemNotified, "bert", "told them by phone", 5*time.Minute)
	s.sign(ItemGitClean, "anna", "notes.txt is mine", 8*time.Minute)
	return s
}

func TestAPlanIsShownToPeople(t *testing.T) {
	f, q, u := full(), quick(), undoing()
	golden(t, "plan-full.txt", f.Text())
	golden(t, "plan-quick.txt", q.Text())
	golden(t, "plan-undo.txt", u.Text())
	golden(t, "plan-full.md", f.Markdown())
	golden(t, "plan-undo.md", u.Markdown())
}

func TestAStateIsShownToPeople(t *testing.T) {
	s := walked()
	golden(t, "state-stuck.txt", s.Text())
	golden(t, "checklist.md", ChecklistMarkdown(s.Checklist()))

	running := walked()
	running.Ended = time.Time{}
	running.Steps[4] = StepState{Progress: Doing, By: "lockstep", Began: at(95 * time.Second), Tries: 1}
	for i := range running.Steps[5:] {
		running.Steps[5+i] = StepState{Progress: Waiting}
	}
	golden(t, "state-running.txt", running.Text())

	undone := NewState(quick())
	undone.Began, undone.Ended, undone.UndoneBy = t0(), at(90*time.Second), "prod-4"
	for i := range undone.Steps {
		undone.Steps[i] = StepState{Progress: Done, Began: t0(), Ended: at(1500 * time.Millisecond), Tries: 1, By: "lockstep"}
	}
	golden(t, "state-undone.txt", undone.Text())
}

func TestAChecklistWithNothingOpenSaysSo(t *testing.T) {
	s := NewState(planOf(move("a", "", "x")))
	for _, g := range s.Checklist() {
		for _, it := range g.Items {
			if it.Status == ItemOpen {
				s.sign(it.ID, "anna", "seen", time.Minute)
			}
		}
	}
	golden(t, "checklist-done.md", ChecklistMarkdown(s.Checklist()))
}

func TestDurationsAreReadable(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "-", 0: "-", 1: "1 ms", 1500 * time.Microsecond: "1 ms", 999 * time.Millisecond: "999 ms", time.Second: "1.0 s", 59940 * time.Millisecond: "59.9 s",
		59960 * time.Millisecond: "60 s", 90 * time.Second: "90 s", 150 * time.Second: "2 min", 10 * time.Minute: "10 min", time.Hour: "60 min", 3 * time.Hour: "3.0 h",
	} {
		if got := short(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}

func TestMarkupInTextsIsText(t *testing.T) {
	for in, want := range map[string]string{
		"a|b":                           `a\|b`,
		"<img src=x>":                   "&lt;img src=x&gt;",
		"[x](javascript:alert(1))":      `\[x\](javascript:alert(1))`,
		"two\nlines\r\n\n# of a header": "two lines # of a header",
	} {
		if got := cell(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := code("a `b`\nc"); got != "`a 'b' c`" {
		t.Error(got)
	}
}
