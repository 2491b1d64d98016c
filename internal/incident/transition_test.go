package incident

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

func TestAnIncidentIsOpenedByAVerdict(t *testing.T) {
	in := opened(t)
	if in.ID != "prod-3" || !in.Open() || !in.Cause.ByVerdict() || len(in.Tasks) != 8 || in.OpenedBy != "lockstep" {
		t.Errorf("%+v", in)
	}
	if want := "receipts@2 in prod: 2.1 % of the units of the candidate fail, 0 % of stable"; in.Title != want {
		t.Errorf("title %q, want %q", in.Title, want)
	}
	m := in.Mark(MarkDetected)
	if !m.At.Equal(at(70*time.Second)) || m.Source != "the verdict of guard failed-units" {
		t.Errorf("detected %+v: want the first verdict", m)
	}
}

func TestAnIncidentIsOpenedByAPerson(t *testing.T) {
	in := must(t)(Open(Opening{Environment: "dev", Actor: "anna", At: t0(), Reason: "search finds nothing"}, 1))
	if in.ID != "dev-1" || in.Cause.ByVerdict() || in.Title != "search finds nothing" {
		t.Errorf("%+v", in)
	}
	if m := in.Mark(MarkDetected); !m.At.Equal(t0()) || m.Source != "the word of anna" {
		t.Errorf("detected %+v", m)
	}
}

func TestWhatCannotBeOpenedIsInvalid(t *testing.T) {
	for name, change := range map[string]func(*Opening){
		"environment": func(o *Opening) { o.Environment = "Prod" },
		"actor":       func(o *Opening) { o.Actor = " " },
		"reason":      func(o *Opening) { o.Reason = "" },
		"time":        func(o *Opening) { o.At = time.Time{} },
		"attempt":     func(o *Opening) { o.Subject.Attempt = 0 },
		"candidate":   func(o *Opening) { o.Subject.Candidate = "" },
	} {
		o := verdict()
		change(&o)
		if _, err := Open(o, 1); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATransitionLeavesWhatItWasGivenAlone(t *testing.T) {
	in := rolledBack(t)
	before := marshal(t, in)
	for name, f := range transitions() {
		if _, err := f(in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, marshal(t, in)); diff != "" {
			t.Fatalf("%s changed its argument:\n%s", name, diff)
		}
	}
}

// transitions has one of each kind that an open incident takes.
func transitions() map[string]func(Incident) (Transition, error) {
	a := by("anna", time.Hour)
	return map[string]func(Incident) (Transition, error){
		"note":     func(in Incident) (Transition, error) { return AddNote(in, a, "", "x") },
		"section":  func(in Incident) (Transition, error) { return AddNote(in, a, SectionImpact, "x") },
		"decide":   func(in Incident) (Transition, error) { return Decide(in, a, "x", "y") },
		"mark":     func(in Incident) (Transition, error) { return SetMark(in, a, Mark{Kind: MarkClean, Unknown: "x"}) },
		"affected": func(in Incident) (Transition, error) { return SetAffected(in, a, Affected{Source: "x"}) },
		"link":     func(in Incident) (Transition, error) { return AddLink(in, a, Link{Kind: LinkFile, To: "x"}) },
		"task":     func(in Incident) (Transition, error) { return AddTask(in, a, Task{ID: "x", Title: "x"}) },
		"done":     func(in Incident) (Transition, error) { return FinishTask(in, a, TaskAnalyse, "x", "") },
		"evidence": func(in Incident) (Transition, error) {
			return Observe(in, a, []rollback.Evidence{{Item: rollback.ItemNotified, Text: "it bounced"}})
		},
		"item": func(in Incident) (Transition, error) { return SignItem(in, a, rollback.ItemPlanUpdated, "x") },
		"close": func(in Incident) (Transition, error) {
			return Close(in, a, Closing{Reason: "x", Accept: blockers(in, nil)})
		},
	}
}

func TestSayingTheSameAgainChangesNothing(t *testing.T) {
	for name, f := range transitions() {
		tr, err := f(rolledBack(t))
		in := must(t)(tr, err)
		switch name {
		case "note", "section", "decide", "task", "close":
			continue // whoever says these twice means it, or is told
		}
		if again, err := f(in); err != nil || !again.Same {
			t.Errorf("%s: %+v, %v", name, again.Entry.What, err)
		}
	}
	in := must(t)(AddLink(opened(t), by("a", 0), Link{Kind: LinkOther, To: "https://u:hunter2@host/x"}))
	if again, err := AddLink(in, by("a", 0), Link{Kind: LinkOther, To: "https://u:hunter2@host/x"}); err != nil || !again.Same {
		t.Errorf("a link with a secret: %v", err)
	}
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	a := by("anna", time.Hour)
	in := rolledBack(t)
	closed := must(t)(Close(in, a, Closing{Reason: "x", Accept: blockers(in, nil)}))
	long := strings.Repeat("x", MaxText+1)
	err := func(_ Transition, err error) error { return err }
	for name, c := range map[string]struct{ got, want error }{
		"empty note":          {err(AddNote(in, a, "", " \n")), lockstep.ErrInvalid},
		"long note":           {err(AddNote(in, a, "", long)), lockstep.ErrInvalid},
		"unknown section":     {err(AddNote(in, a, "colour", "x")), lockstep.ErrInvalid},
		"nobody":              {err(AddNote(in, Order{At: t0()}, "", "x")), lockstep.ErrInvalid},
		"no time":             {err(AddNote(in, Order{Actor: "a"}, "", "x")), lockstep.ErrInvalid},
		"no incident":         {err(AddNote(Incident{}, a, "", "x")), lockstep.ErrNotFound},
		"decision, no reason": {err(Decide(in, a, "x", "")), lockstep.ErrInvalid},
		"unknown mark":        {err(SetMark(in, a, Mark{Kind: "lunch", At: t0(), Source: "x"})), lockstep.ErrInvalid},
		"mark, no source":     {err(SetMark(in, a, Mark{Kind: MarkClean, At: t0()})), lockstep.ErrInvalid},
		"mark, no reason":     {err(SetMark(in, a, Mark{Kind: MarkClean})), lockstep.ErrInvalid},
		"mark of tomorrow":    {err(SetMark(in, a, Mark{Kind: MarkClean, At: at(2 * time.Hour), Source: "x"})), lockstep.ErrInvalid},
		"affected, no source": {err(SetAffected(in, a, Affected{})), lockstep.ErrInvalid},
		"versions backwards":  {err(SetAffected(in, a, Affected{Source: "x", FirstVersion: 2, LastVersion: 1})), lockstep.ErrInvalid},
		"unknown link":        {err(AddLink(in, a, Link{Kind: "x", To: "x"})), lockstep.ErrInvalid},
		"task, no title":      {err(AddTask(in, a, Task{ID: "x"})), lockstep.ErrInvalid},
		"task, odd id":        {err(AddTask(in, a, Task{ID: "X!", Title: "x"})), lockstep.ErrInvalid},
		"task there already":  {err(AddTask(in, a, Task{ID: TaskNotify, Title: "x"})), lockstep.ErrConflict},
		"unknown task":        {err(FinishTask(in, a, "x", "x", "")), lockstep.ErrNotFound},
		"odd item":            {err(SignItem(in, a, "X Y", "x")), lockstep.ErrInvalid},
		"close, no reason":    {err(Close(in, a, Closing{})), lockstep.ErrInvalid},
		"accept nothing":      {err(Close(in, a, Closing{Reason: "x", Accept: []string{"lunch"}})), lockstep.ErrInvalid},
		"reopen an open one":  {err(Reopen(in, a, "x")), lockstep.ErrRefused},
		"reopen, no reason":   {err(Reopen(closed, a, "")), lockstep.ErrInvalid},
		"close a closed one":  {err(Close(closed, a, Closing{Reason: "x"})), ErrClosed},
		"decide after it":     {err(Decide(closed, a, "x", "y")), ErrClosed},
		"mark after it":       {err(SetMark(closed, a, Mark{Kind: MarkClean, Unknown: "x"})), ErrClosed},
		"count after it":      {err(SetAffected(closed, a, Affected{Source: "x"})), ErrClosed},
		"task after it":       {err(AddTask(closed, a, Task{Title: "x"})), ErrClosed},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	for _, e := range []error{err(AddNote(in, a, "", long)), err(Decide(closed, a, "x", "y")), err(Close(in, a, Closing{Reason: "x"}))} {
		if lockstep.HintOf(e) == "" {
			t.Errorf("%v: it does not say what to do", e)
		}
	}
}

func TestAnIncidentThatIsFullSaysSo(t *testing.T) {
	in := opened(t)
	for len(in.Notes) < MaxNotes {
		in.Notes = append(in.Notes, Note{Text: "x", By: "a", At: t0()})
	}
	for len(in.Links) < MaxLinks {
		in.Links = append(in.Links, Link{Kind: LinkFile, To: strings.Repeat("x", len(in.Links)+1)})
	}
	_, a := AddNote(in, by("a", 0), "", "x")
	_, b := AddLink(in, by("a", 0), Link{Kind: LinkFile, To: "y"})
	if !errors.Is(a, lockstep.ErrRefused) || !errors.Is(b, lockstep.ErrRefused) {
		t.Errorf("%v; %v", a, b)
	}
}

func TestItIsClosedOnlyWhenNothingIsLeftOrSomebodyAcceptsItByName(t *testing.T) {
	in, groups := rolledBack(t), checklist()
	open := blockers(in, groups)
	want := []string{TaskMonitor, TaskAnalyse, "fix-issues", TaskPlan, "action-1", rollback.ItemSuccess, rollback.ItemErrors}
	if diff := cmp.Diff(want, open); diff != "" {
		t.Fatalf("open (-want +got):\n%s", diff)
	}
	_, err := Close(in, by("anna", time.Hour), Closing{Reason: "home time", Checklist: groups, Accept: open[1:]})
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), TaskMonitor) || strings.Contains(err.Error(), TaskPlan) {
		t.Errorf("%v: want the one thing that is left named", err)
	}
	done := must(t)(Close(in, by("anna", time.Hour), Closing{Reason: "home time", Checklist: groups, Accept: open}))
	if done.Open() || len(done.Accepted) != len(open) || done.Accepted[0].By != "anna" || done.Accepted[0].Reason != "home time" {
		t.Errorf("%+v", done.Accepted)
	}

	for _, id := range []string{TaskMonitor, TaskAnalyse, "fix-issues", TaskPlan, "action-1"} {
		in = must(t)(FinishTask(in, by("anna", time.Hour), id, "did it", ""))
	}
	for _, id := range []string{rollback.ItemSuccess, rollback.ItemErrors} {
		in = must(t)(SignItem(in, by("bert", time.Hour), id, "looked at it"))
	}
	in = must(t)(Close(in, by("anna", time.Hour), Closing{Reason: "all well", Checklist: groups}))
	if in.Open() || in.Closed.By != "anna" || len(in.Accepted) != 0 {
		t.Errorf("%+v", in.Closed)
	}
	again := must(t)(Reopen(in, by("bert", 2*time.Hour), "it is back"))
	if !again.Open() || again.Closed != nil || len(again.Past) != 1 || again.Past[0].Closed.Reason != "all well" {
		t.Errorf("%+v", again.Past)
	}
}

func TestAfterTheEndThereAreStillWords(t *testing.T) {
	in := rolledBack(t)
	in = must(t)(Close(in, by("anna", time.Hour), Closing{Reason: "x", Accept: blockers(in, nil)}))
	in = must(t)(AddNote(in, by("bert", 2*time.Hour), "", "one more ticket"))
	in = must(t)(FinishTask(in, by("bert", 3*time.Hour), "improve-testing", "tests for absent labels", ""))
	in = must(t)(AddLink(in, by("bert", 3*time.Hour), Link{Kind: LinkOther, To: "x"}))
	if in.Open() {
		t.Error("it was opened by that")
	}
}

func TestTasksAreTickedByEvidenceAndByPeople(t *testing.T) {
	in := opened(t)
	state := func(id string) string {
		i, _ := in.task(id)
		switch d := in.Tasks[i].Done; {
		case d == nil:
			return "open"
		case d.Evidence:
			return "seen"
		}
		return "said"
	}
	see := func(ok bool, items ...string) {
		t.Helper()
		var all []rollback.Evidence
		for _, i := range items {
			all = append(all, rollback.Evidence{Item: i, OK: ok, Text: "metric " + i})
		}
		tr, err := Observe(in, by("lockstep", time.Minute), all)
		if err != nil {
			t.Fatal(err)
		}
		if !tr.Same {
			in = must(t)(tr, err)
		}
	}
	see(true, rollback.ItemSuccess, rollback.ItemErrors)
	if state(TaskMonitor) != "open" {
		t.Error("two of three metrics are not all of them")
	}
	see(true, rollback.ItemSuccess, rollback.ItemErrors, rollback.ItemProcessed)
	if state(TaskMonitor) != "seen" {
		t.Error("all three are normal")
	}
	see(false, rollback.ItemErrors)
	if state(TaskMonitor) != "open" {
		t.Error("evidence takes its own tick back")
	}
	in = must(t)(FinishTask(in, by("bert", time.Hour), TaskMonitor, "watched it myself", ""))
	see(false, rollback.ItemErrors)
	if state(TaskMonitor) != "said" {
		t.Error("a person's tick stays")
	}
	see(true, rollback.ItemNotified, rollback.ItemIssue)
	in = must(t)(SignItem(in, by("anna", time.Hour), rollback.ItemPlanUpdated, "see the wiki"))
	for id, want := range map[string]string{TaskNotify: "seen", TaskDocument: "seen", TaskPlan: "said", TaskAnalyse: "open", "fix-issues": "open"} {
		if got := state(id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	in = must(t)(FinishTask(in, by("anna", time.Hour), TaskNotify, "called everybody as well", ""))
	if state(TaskNotify) != "said" {
		t.Error("a person may take over what the machine saw")
	}
}

func TestTasksAreDueAfterTheDataIsClean(t *testing.T) {
	in := opened(t)
	for _, c := range []struct {
		in   Incident
		from time.Time
	}{
		{in, in.OpenedAt},
		{must(t)(SetMark(in, by("a", time.Hour), Mark{Kind: MarkClean, At: at(time.Hour), Source: "x"})), at(time.Hour)},
	} {
		for _, task := range c.in.Tasks {
			due := c.in.DueAt(task)
			want := c.from.Add(map[Term]time.Duration{TermImmediate: time.Hour, TermShort: 24 * time.Hour, TermMedium: 168 * time.Hour}[task.Term])
			if !due.Equal(want) || c.in.Overdue(task, due) || !c.in.Overdue(task, due.Add(1)) {
				t.Errorf("%s is due at %s, want %s", task.ID, due, want)
			}
		}
	}
	own := Task{Title: "x", Due: t0()}
	if !in.Overdue(own, at(1)) || in.Overdue(Task{}, at(1)) {
		t.Error("an action item is due when somebody said so, and never otherwise")
	}
	own.Done = &Done{}
	if in.Overdue(own, at(1)) {
		t.Error("what is done is not overdue")
	}
}

func TestStatesOfAnItem(t *testing.T) {
	yes, no := &rollback.Evidence{OK: true}, &rollback.Evidence{}
	for want, i := range map[ItemState]Item{
		ItemOpen: {}, ItemTicked: {Evidence: yes}, ItemContradicted: {Evidence: no, Void: "x"}, ItemVoid: {Void: "x"}, ItemSigned: {Evidence: no, Signed: &Signature{}},
	} {
		if got := i.State(); got != want {
			t.Errorf("%+v: %s, want %s", i, got, want)
		}
	}
	merged := Merge(checklist(), []Signature{
		{Item: rollback.ItemErrors, By: "bert", At: at(1)}, {Item: rollback.ItemErrors, By: "anna", At: at(2)}, {Item: "not.there", By: "x"},
	})
	if got := merged[3].Items[1]; got.State() != ItemSigned || got.Signed.By != "anna" {
		t.Errorf("%+v: the newer word counts", got.Signed)
	}
	if checklist()[3].Items[1].Signed != nil {
		t.Error("Merge changed what it was given")
	}
}

func TestContactsComeInTheOrderOfTheDocument(t *testing.T) {
	var got []string
	for _, e := range (Contacts{Runbook: "docs/x.md", Undo: "lockstep rollback undo prod-3-1"}).Escalate() {
		got = append(got, e.Title+": "+e.Text)
		if e.Known != (e.Text == "docs/x.md" || strings.HasPrefix(e.Text, "lockstep")) {
			t.Errorf("%+v", e)
		}
	}
	want := []string{
		"Escalate to team lead: nobody is configured", "Check runbook: docs/x.md",
		"AWS support, for infrastructure issues: no contact is configured", "Rollback the rollback: lockstep rollback undo prod-3-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
