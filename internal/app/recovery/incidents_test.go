package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/incident"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/revert"
	"lockstep/internal/rollback"
)

const secret = "correct horse battery staple"

func (w *world) desk() *Desk { return NewDesk(w.server.Control, w.server.Config, []string{secret}) }

func (w *world) state() release.State {
	w.t.Helper()
	head, err := w.server.Releases.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return head.State()
}

// condemn lets a guard find the candidate bad, and carries out what follows from that.
func (w *world) condemn(reason string) {
	w.t.Helper()
	seen := release.Observation{Verdict: release.Bad, Stable: release.Healthy, Reasons: []string{reason}, Head: w.server.Compactor.Head().Number()}
	_, err := w.server.Controller().Do(w.t.Context(), func(s release.State) (release.Transition, error) {
		return *release.Next(s, seen, time.Now()).Transition, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// entries is how many entries an incident has.
func (w *world) entries(d *Desk, id string) uint64 {
	w.t.Helper()
	head, err := d.Book().Head(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return head.Ledger.N
}

func TestAVerdictOpensOneIncidentThatKnowsWhatHappened(t *testing.T) {
	w := newWorld(t)
	w.trial()
	d := w.desk()
	if in, opened, err := d.Tick(t.Context(), w.state()); err != nil || opened || in.ID != "" {
		t.Fatalf("a release under way: %q, %t, %v", in.ID, opened, err)
	}
	w.condemn("merchants are wrong, said " + secret)
	w.edits(10) // by stable
	in, opened, err := d.Tick(t.Context(), w.state())
	if err != nil || !opened {
		t.Fatalf("opened %t, %v", opened, err)
	}
	r := w.state().Release
	trace, err := w.server.Trace(t.Context(), r)
	if err != nil || trace.First == 0 {
		t.Fatalf("%+v, %v", trace, err)
	}
	for kind, n := range map[incident.MarkKind]uint64{incident.MarkFirstBad: trace.First, incident.MarkLastBad: trace.Last} {
		e, err := w.server.Log.Read(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if m := in.Mark(kind); !m.At.Equal(e.At) {
			t.Errorf("%s is %s by %q, version %d says %s", kind, m.At, m.Source, n, e.At)
		}
	}
	if m := in.Mark(incident.MarkCommanded); !m.At.Equal(r.Ending.At) {
		t.Errorf("commanded %+v, the release ended at %s", m, r.Ending.At)
	}
	if m := in.Mark(incident.MarkClean); m.Known() || m.Unknown == "" {
		t.Errorf("clean: %+v", m)
	}
	if in.OpenedBy != byItself || !in.Cause.ByVerdict() || in.Subject == nil || in.Subject.Release != r.ID || in.Subject.Since.IsZero() {
		t.Errorf("%+v, subject %+v", in.Cause, in.Subject)
	}
	if want := w.written(trace); in.Affected == nil || in.Affected.Records() != want || want == 0 {
		t.Errorf("affected %+v, want %d", in.Affected, want)
	}
	if a := in.Affected; a != nil && (a.FirstVersion != trace.First || a.LastVersion != trace.Last || a.KeyCount == 0 || len(a.IDs) == 0) {
		t.Errorf("affected %+v", a)
	}

	// Said again by this process and by others, it is the same incident, and nothing is written.
	n := w.entries(d, in.ID)
	for range 3 {
		for _, other := range []*Desk{d, w.desk()} {
			if _, opened, err := other.Tick(t.Context(), w.state()); err != nil || opened {
				t.Fatalf("opened %t, %v", opened, err)
			}
		}
	}
	if now := w.entries(d, in.ID); now != n {
		t.Errorf("%d entries, before %d", now, n)
	}
	all, err := d.Book().List(t.Context(), "")
	if err != nil || len(all) != 1 {
		t.Errorf("%d incidents, %v", len(all), err)
	}
	w.holdsNo(d, in.ID, secret)
}

// written counts the records with something of the candidate in them in another way.
func (w *world) written(trace app.Trace) uint64 {
	w.t.Helper()
	seen := map[string]bool{}
	for n := trace.First; n <= trace.Last; n++ {
		delta, err := w.server.Log.Delta(w.t.Context(), n)
		if err != nil {
			w.t.Fatal(err)
		}
		if delta == nil {
			continue
		}
		for _, m := range delta.Mutations {
			if m.Revision == w.bad {
				seen[string(m.Collection)+"/"+m.ID] = true
			}
		}
	}
	return uint64(len(seen))
}

// holdsNo fails when an incident, or a report of it, holds a text.
func (w *world) holdsNo(d *Desk, id, text string) {
	w.t.Helper()
	in, err := d.Input(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := json.Marshal([]any{in.Incident, in.Events, in.Checklist, in.Rollback, in.Proof})
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.Contains(string(all), text) {
		w.t.Errorf("it holds %q:\n%s", text, all)
	}
}

func TestAReleaseThatAPersonEndedOpensNoIncidentByItself(t *testing.T) {
	w := newWorld(t)
	w.trial()
	w.abort()
	d := w.desk()
	if in, opened, err := d.Tick(t.Context(), w.state()); err != nil || opened || in.ID != "" {
		t.Errorf("%q, %t, %v", in.ID, opened, err)
	}
	in, opened, err := d.OpenByHand(t.Context(), ByHand{Reason: "merchants are wrong", Release: Latest})
	if err != nil || !opened || in.OpenedBy != "tester" || in.Cause.ByVerdict() {
		t.Fatalf("%+v, %t, %v", in.Cause, opened, err)
	}
	// Whoever aborted it had seen it, before anybody opened the incident.
	if m := in.Mark(incident.MarkDetected); !m.At.Equal(w.state().Release.Ending.At) {
		t.Errorf("detected %+v", m)
	}
	if again, opened, err := d.OpenByHand(t.Context(), ByHand{Reason: "it really is", Release: "local-1", Attempt: 1}); err != nil || opened || again.ID != in.ID {
		t.Errorf("%s, opened %t, %v", again.ID, opened, err)
	}
	if _, _, err := d.OpenByHand(t.Context(), ByHand{Reason: "x", Release: "local-9"}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("about no release: %v", err)
	}
}

// plan walks a rollback of the trial: flag, index and proof.
func (w *world) rollback(id string) rollback.State {
	w.t.Helper()
	good := w.state().KnownGood
	p := IndexParams{Wish: Revert, Bad: revert.Bad{Revision: w.bad}, Good: w.goodID(), Head: w.server.Compactor.Head().Number(), Reason: "plan " + id}
	index := w.step(IndexStep(p, ""))
	plan := rollback.Plan{
		ID: id, Environment: "local", Scenario: rollback.Dev, Procedure: rollback.Quick, Bad: w.bad, To: rollback.Pair{Revision: good.Revision, Version: good.Version},
		Release: w.state().Release.ID, By: "anna", Reason: "merchants are wrong, said " + secret, At: time.Now().UTC(),
		Steps: []rollback.Step{w.step(FlagStep(w.bad, good, "plan "+id)), index, ProofStep(index)},
	}
	e := w.engine()
	if _, err := e.Start(w.t.Context(), plan); err != nil {
		w.t.Fatal(err)
	}
	s, err := e.Run(w.t.Context(), id)
	if err != nil || s.Outcome() != rollback.Complete {
		w.t.Fatalf("%s: %v", s.Text(), err)
	}
	return s
}

func (w *world) engine() *rollback.Engine {
	return &rollback.Engine{
		Name: "anna", Journals: Journals(w.server.Store, time.Now), Now: time.Now,
		Targets: map[string]rollback.Target{
			TargetFlag: Flag{w.server.Control}, TargetIndex: w.index(),
			TargetProof: &Proof{Store: w.server.Store, Revisions: w.server.Revisions, Workplace: Serving{w.server}},
		},
	}
}

func TestARollbackOfItsReleaseBelongsToAnIncident(t *testing.T) {
	w := newWorld(t)
	w.trial()
	d := w.desk()
	in, _, err := d.OpenByHand(t.Context(), ByHand{Reason: "merchants are wrong", Release: Latest})
	if err != nil {
		t.Fatal(err)
	}
	if m := in.Mark(incident.MarkLastBad); m.Known() {
		t.Errorf("it may still decide, and yet: %+v", m)
	}
	s := w.rollback("local-1")
	before, err := d.Book().Head(t.Context(), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	input, err := d.Input(t.Context(), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	if now := w.entries(d, in.ID); now != before.Ledger.N {
		t.Errorf("to read it has written: %d entries, before %d", now, before.Ledger.N)
	}
	if _, _, err := d.Tick(t.Context(), w.state()); err != nil {
		t.Fatal(err)
	}
	if in, err = d.Attend(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	for _, got := range []incident.Incident{input.Incident, in} {
		if l, ok := got.Linked(incident.LinkPlan); !ok || l.To != "local-1" {
			t.Errorf("linked %+v", got.Links)
		}
		if m := got.Mark(incident.MarkCommanded); !m.At.Equal(s.Plan.At) {
			t.Errorf("commanded %+v, planned at %s", m, s.Plan.At)
		}
		for _, kind := range incident.MarkKinds() {
			if m := got.Mark(kind); !m.Known() {
				t.Errorf("%s: %+v", kind, m)
			}
		}
	}
	if r := input.Rollback; r == nil || r.Outcome != incident.RollbackDone || r.Done != 3 || len(r.Left) != 0 {
		t.Errorf("rollback %+v", r)
	}
	if p := input.Proof; p == nil || p.Compared != incident.ComparedEqual || len(p.Digests) == 0 || p.Digests[0].Counterfactual != p.Digests[0].Digest {
		t.Errorf("proof %+v", p)
	}
	if input.Contacts.Undo != "lockstep rollback undo local-1" || len(input.Checklist) == 0 {
		t.Errorf("contacts %+v, %d groups", input.Contacts, len(input.Checklist))
	}
	w.holdsNo(d, in.ID, secret)
	w.undone(d, in.ID, s)
}

// undone takes the rollback back: the data is not clean any more, and the next attempt is
// none of the incident's.
func (w *world) undone(d *Desk, id string, s rollback.State) {
	w.t.Helper()
	ctx, e := w.t.Context(), w.engine()
	plan, err := e.PlanUndo(ctx, s, "local-2", "anna", "it was fine")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := e.Start(ctx, plan); err != nil {
		w.t.Fatal(err)
	}
	if s, err := e.Run(ctx, plan.ID); err != nil || s.Outcome() != rollback.Complete {
		w.t.Fatalf("%s: %v", s.Text(), err)
	}
	if _, err := e.MarkUndone(ctx, "local-1", "local-2"); err != nil {
		w.t.Fatal(err)
	}
	in, err := d.Attend(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	if m := in.Mark(incident.MarkClean); m.Known() {
		w.t.Errorf("clean: %+v", m)
	}
	last := in.Mark(incident.MarkLastBad)
	w.drive()
	w.edits(20)
	if in, err = d.Attend(ctx, id); err != nil {
		w.t.Fatal(err)
	}
	if m := in.Mark(incident.MarkLastBad); !m.At.Equal(last.At) {
		w.t.Errorf("last bad execution %+v, before %+v", m, last)
	}
	input, err := d.Input(ctx, id)
	if err != nil || input.Rollback == nil || input.Rollback.Outcome != incident.RollbackUndone || input.Contacts.Undo != "" || len(in.Links) != 2 {
		w.t.Errorf("rollback %+v, links %+v, %v", input.Rollback, in.Links, err)
	}
}

func TestASignatureIsOneOfTheIncidentAndOfItsRollback(t *testing.T) {
	w := newWorld(t)
	w.trial()
	d := w.desk()
	in, _, err := d.OpenByHand(t.Context(), ByHand{Reason: "merchants are wrong", Release: Latest})
	if err != nil {
		t.Fatal(err)
	}
	w.rollback("local-1")
	for range 2 { // the second time changes nothing
		if in, err = d.Sign(t.Context(), in.ID, rollback.ItemLessons, "written down, said "+secret); err != nil {
			t.Fatal(err)
		}
	}
	if len(in.Signatures) != 1 || in.Signatures[0].By != "tester" {
		t.Errorf("%+v", in.Signatures)
	}
	s, err := w.engine().State(t.Context(), "local-1")
	if err != nil || len(s.Signatures) != 1 || s.Signatures[0].By != "tester" || strings.Contains(s.Signatures[0].Reason, secret) {
		t.Errorf("%+v, %v", s.Signatures, err)
	}
	if _, err := d.Sign(t.Context(), in.ID, "moon", "seen"); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("no such item: %v", err)
	}
	// The other way round the machine has seen it, and the task is finished.
	if _, err := w.engine().Sign(t.Context(), "local-1", rollback.ItemPlanUpdated, "anna", "in the wiki"); err != nil {
		t.Fatal(err)
	}
	if in, err = d.Attend(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	for _, task := range in.Tasks {
		if task.ID == incident.TaskPlan && (task.Done == nil || task.Done.Text != "in the wiki (anna)") {
			t.Errorf("%+v", task.Done)
		}
	}
}

func TestWhatIsForgottenDoesNotTakeBackWhatIsKnown(t *testing.T) {
	at := time.Unix(100, 0).UTC()
	by := incident.Order{Actor: byItself, At: at}
	opened, err := incident.Open(incident.Opening{Environment: "local", Actor: "anna", At: at.Add(-time.Minute), Reason: "odd"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	in := opened.Entry.Incident
	known := func(k incident.MarkKind, at time.Time) incident.Mark {
		return incident.Mark{Kind: k, At: at, Source: "a version"}
	}
	for _, m := range []incident.Mark{known(incident.MarkFirstBad, at), known(incident.MarkClean, at)} {
		next, err := mark(in, by, m)
		if err != nil || next.Same {
			t.Fatalf("%s: %+v, %v", m.Kind, next, err)
		}
		in = next.Entry.Incident
	}
	for _, tt := range []struct {
		name string
		m    incident.Mark
		same bool
	}{
		{"its versions are removed", incident.Mark{Kind: incident.MarkFirstBad, Unknown: "not kept any more"}, true},
		{"it lies in the future", known(incident.MarkFirstBad, at.Add(time.Second)), true},
		{"another time is found out", known(incident.MarkFirstBad, at.Add(-time.Second)), false},
		{"the data is clean no more", incident.Mark{Kind: incident.MarkClean, Unknown: "it was taken back"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next, err := mark(in, by, tt.m)
			if err != nil || next.Same != tt.same || next.Entry.Incident.ID != in.ID {
				t.Errorf("same %t, %v", next.Same, err)
			}
		})
	}
}

func TestTheReasonOfAVerdictIsOneClause(t *testing.T) {
	long := "a guard found the candidate bad: batch-failure: joint evidence 1.7e+03, rolls back at 100; batch-slow: 0 of 14"
	for _, tt := range []struct {
		findings []incident.Finding
		want     string
	}{
		{nil, "a guard found the candidate bad: batch-failure: joint evidence 1.7e+03, rolls back at 100"},
		{[]incident.Finding{{Guard: "batch-failure", Reason: "12 of 39 units bad; evidence against it 2.4e+03"}}, "batch-failure: 12 of 39 units bad"},
	} {
		if got := shortly(long, tt.findings); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestContactsAreSortedIntoTheStepsOfTheDocument(t *testing.T) {
	got := contacts([]config.Contact{
		{Role: "Team lead", Name: "Anna", Contact: "+49 30 1"},
		{Name: "Bert"},
		{Role: "On call", Name: "Cleo", Contact: "pager"},
		{Role: "Runbook", Name: "wiki/compaction"},
		{Role: "AWS support", Name: "premium", Contact: "case"},
		{Role: "support", Name: "second"},
	})
	want := incident.Contacts{TeamLead: "Anna, +49 30 1; Bert; On call: Cleo, pager", Runbook: "wiki/compaction", Support: "premium, case; second"}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestADeskHonoursItsContext(t *testing.T) {
	w := newWorld(t)
	d := w.desk()
	in, _, err := d.OpenByHand(t.Context(), ByHand{Reason: "odd"})
	if err != nil {
		t.Fatal(err)
	}
	s := w.state()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d = w.desk()
	for name, call := range map[string]func() error{
		"Tick":          func() error { _, _, err := d.Tick(ctx, s); return err },
		"OpenByVerdict": func() error { _, _, err := d.OpenByVerdict(ctx, s); return err },
		"OpenByHand":    func() error { _, _, err := d.OpenByHand(ctx, ByHand{Reason: "odd"}); return err },
		"Attend":        func() error { _, err := d.Attend(ctx, in.ID); return err },
		"Input":         func() error { _, err := d.Input(ctx, in.ID); return err },
		"Sign":          func() error { _, err := d.Sign(ctx, in.ID, rollback.ItemLessons, "seen"); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
