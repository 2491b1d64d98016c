package incident

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/redact"
)

func newBook() (*Book, *blob.Mem) {
	store := new(blob.Mem)
	return NewBook(store, redact.New("correct horse battery"), ledger.Options{Now: t0}), store
}

func open(t testing.TB, b *Book, o Opening) Head {
	t.Helper()
	h, opened, err := b.OpenFor(t.Context(), o)
	if err != nil || !opened {
		t.Fatalf("opened %v, %v", opened, err)
	}
	return h
}

func do(t testing.TB, b *Book, id string, order func(Incident) (Transition, error)) Head {
	t.Helper()
	h, err := b.Do(t.Context(), id, order)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func note(actor, words string) func(Incident) (Transition, error) {
	return func(in Incident) (Transition, error) { return AddNote(in, by(actor, time.Hour), "", words) }
}

func TestAReleaseAttemptHasOneIncident(t *testing.T) {
	b, _ := newBook()
	first := open(t, b, verdict()).Incident()
	if first.ID != "prod-1" {
		t.Errorf("%s", first.ID)
	}
	again, opened, err := b.OpenFor(t.Context(), verdict())
	if err != nil || opened || again.Incident().ID != "prod-1" {
		t.Errorf("%s, %v, %v", again.Incident().ID, opened, err)
	}
	o := verdict()
	o.Subject.Attempt = 2
	if id := open(t, b, o).Incident().ID; id != "prod-2" {
		t.Errorf("another attempt: %s", id)
	}
	do(t, b, "prod-1", func(in Incident) (Transition, error) {
		return Close(in, by("anna", time.Hour), Closing{Reason: "x", Accept: blockers(in, nil)})
	})
	again, opened, err = b.OpenFor(t.Context(), verdict())
	if err != nil || opened || again.Incident().ID != "prod-1" || again.Incident().Open() {
		t.Errorf("one that is closed: %+v, %v, %v", again.Incident().Status, opened, err)
	}
}

func TestVerdictsAboutNoReleaseAreOneWhileItIsOpen(t *testing.T) {
	b, _ := newBook()
	o := verdict()
	o.Subject = nil
	id := open(t, b, o).Incident().ID
	o.Findings = o.Findings[1:]
	if h, opened, err := b.OpenFor(t.Context(), o); err != nil || opened || h.Incident().ID != id {
		t.Errorf("the same guard: %s, %v, %v", h.Incident().ID, opened, err)
	}
	other := o
	other.Findings = []Finding{{Guard: "backlog", Verdict: "fail", Reason: "x", At: t0()}}
	open(t, b, other)
	hand := Opening{Environment: "prod", Actor: "anna", At: t0(), Reason: "it smells"}
	open(t, b, hand)
	open(t, b, hand) // a person who says it twice means two
	do(t, b, id, func(in Incident) (Transition, error) {
		return Close(in, by("anna", time.Hour), Closing{Reason: "x", Accept: blockers(in, nil)})
	})
	open(t, b, o) // the last one is over
}

func TestOfManyWhoOpenForOneAttemptOneDoes(t *testing.T) {
	b, store := newBook()
	var wg sync.WaitGroup
	ids, opens := make([]string, 16), make([]bool, 16)
	for i := range ids {
		wg.Go(func() {
			o := verdict()
			o.Subject.Attempt = 1 + i%2
			h, opened, err := NewBook(store, nil, ledger.Options{}).OpenFor(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i], opens[i] = h.Incident().ID, opened
		})
	}
	wg.Wait()
	creators := 0
	for i := range ids {
		if ids[i] != ids[i%2] {
			t.Errorf("attempt %d has %s and %s", 1+i%2, ids[i], ids[i%2])
		}
		if opens[i] {
			creators++
		}
	}
	all, err := b.List(t.Context(), "prod")
	if err != nil || len(all) != 2 || creators != 2 {
		t.Errorf("%d incidents, opened %d times, %v", len(all), creators, err)
	}
}

func TestOfManyWhoWriteAtOnceAllAreHeard(t *testing.T) {
	b, _ := newBook()
	open(t, b, verdict())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := b.Do(t.Context(), "prod-1", note("anna", fmt.Sprint("note ", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h, err := b.Head(t.Context(), "prod-1")
	if err != nil || len(h.Incident().Notes) != 8 || h.Entry.Number != 9 {
		t.Errorf("%d notes in entry %d, %v", len(h.Incident().Notes), h.Entry.Number, err)
	}
}

func TestWhatChangesNothingIsNotAppended(t *testing.T) {
	b, _ := newBook()
	open(t, b, verdict())
	link := func(in Incident) (Transition, error) {
		return AddLink(in, by("a", 0), Link{Kind: LinkPlan, To: "prod-1-1"})
	}
	for range 3 {
		if h := do(t, b, "prod-1", link); h.Entry.Number != 2 {
			t.Errorf("entry %d", h.Entry.Number)
		}
	}
}

func TestNoSecretIsInTheStore(t *testing.T) {
	b, store := newBook()
	o := verdict()
	o.Reason, o.Analysis = "correct horse battery", "password=hunter2"
	open(t, b, o)
	do(t, b, "prod-1", note("anna", "see https://u:hunter2@host/ and correct horse battery"))
	in := everything(t)
	in.Incident.ID = "prod-1"
	in.Events = append(in.Events, []Event{{At: t0(), What: "correct horse battery", Source: "x"}})
	if _, err := b.SignReport(t.Context(), by("anna", 2*time.Hour), "correct horse battery", in); err != nil {
		t.Fatal(err)
	}
	objects := 0
	for m, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		body, err := blob.ReadAll(t.Context(), store, m.Key, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"correct horse", "hunter2"} {
			if strings.Contains(string(body), secret) {
				t.Errorf("%s is in %s", secret, m.Key)
			}
		}
		objects++
	}
	if objects < 5 {
		t.Errorf("only %d objects", objects)
	}
}

func TestListIsNewestFirst(t *testing.T) {
	b, _ := newBook()
	for i, environment := range []string{"dev", "prod", "dev", "prod-3"} {
		open(t, b, Opening{Environment: environment, Actor: "anna", At: at(time.Duration(i) * time.Minute), Reason: "x"})
	}
	for environment, want := range map[string][]string{"": {"prod-3-1", "dev-2", "prod-1", "dev-1"}, "dev": {"dev-2", "dev-1"}, "qa": nil} {
		all, err := b.List(t.Context(), environment)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, in := range all {
			got = append(got, in.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", environment, diff)
		}
	}
}

func TestNumbersHaveNoGaps(t *testing.T) {
	b, _ := newBook()
	for n := uint64(1); n <= 40; n++ {
		if h := open(t, b, Opening{Environment: "dev", Actor: "a", At: t0(), Reason: "x"}); h.Incident().Number != n {
			t.Fatalf("number %d, want %d", h.Incident().Number, n)
		}
	}
}

func TestHistoryTellsWhatHappened(t *testing.T) {
	b, _ := newBook()
	open(t, b, verdict())
	do(t, b, "prod-1", note("anna", "it is the labels"))
	var got []string
	for e, err := range b.History(t.Context(), "prod-1") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s %s %s", e.Number, e.Kind, e.Actor, e.What))
	}
	want := []string{"1 open lockstep opened: 2.1 % of the units of the candidate fail, 0 % of stable", "2 note anna noted: it is the labels"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestASignedReportIsFrozen(t *testing.T) {
	b, store := newBook()
	open(t, b, verdict())
	in := everything(t)
	in.Incident = Incident{ID: "prod-1"} // SignReport takes the newest state itself
	h, err := b.SignReport(t.Context(), by("anna", 2*time.Hour), "discussed with the team", in)
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.Frozen(t.Context(), h.Incident())
	if err != nil || !strings.Contains(string(first.Markdown), "Signed by anna at 2026-05-04 10:00:00Z: discussed with the team.") || !strings.Contains(string(first.HTML), "Signed by anna") {
		t.Fatalf("%v\n%s", err, first.Markdown)
	}
	if strings.Contains(string(first.Markdown), "draft") {
		t.Error("what is signed is no draft")
	}
	h = do(t, b, "prod-1", note("bert", "one more thing"))
	later, err := b.Frozen(t.Context(), h.Incident())
	if err != nil || !cmp.Equal(first, later) {
		t.Errorf("the signed report has changed: %v", err)
	}
	if _, err := b.Do(t.Context(), "prod-1", func(in Incident) (Transition, error) { return AddNote(in, by("bert", 0), SectionCause, "x") }); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("a section of a signed report: %v", err)
	}
	if _, err := b.SignReport(t.Context(), by("bert", 0), "me too", in); !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) == "" {
		t.Errorf("signed twice: %v", err)
	}

	key := reportKey("prod-1", h.Incident().Report.Markdown, "md")
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Frozen(t.Context(), h.Incident()); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("it is gone: %v", err)
	}
	if err := store.Create(t.Context(), key, []byte("forged")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Frozen(t.Context(), h.Incident()); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("it is forged: %v", err)
	}

	do(t, b, "prod-1", func(in Incident) (Transition, error) {
		return Close(in, by("anna", 3*time.Hour), Closing{Reason: "x", Accept: blockers(in, nil)})
	})
	h = do(t, b, "prod-1", func(in Incident) (Transition, error) { return Reopen(in, by("anna", 4*time.Hour), "it is back") })
	if _, err := b.Frozen(t.Context(), h.Incident()); !errors.Is(err, lockstep.ErrNotFound) || h.Incident().Past[0].Report == nil {
		t.Errorf("a reopened incident has a draft, and remembers what was signed: %v", err)
	}
	if _, err := b.SignReport(t.Context(), by("bert", 5*time.Hour), "now", in); err != nil {
		t.Errorf("signed anew: %v", err)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	b, _ := newBook()
	if _, err := b.Head(t.Context(), "prod-1"); !errors.Is(err, lockstep.ErrNotFound) || lockstep.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
	for _, id := range []string{"", "prod", "prod-", "prod-0", "prod-01", "-1", "Prod-1", "prod-x", "prod-1/2", "prod--1x"} {
		if _, err := b.Head(t.Context(), id); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestAnEntryOfAnotherIncidentIsCorrupt(t *testing.T) {
	b, store := newBook()
	body := encoded(t, exampleEntry(t))
	l := ledger.New(store, Prefix+"/dev-1", ledger.Options{})
	prev, err := l.Append(t.Context(), ledger.Entry{}, body)
	for i := 1; i < 4 && err == nil; i++ {
		prev, err = l.Append(t.Context(), prev, body)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Head(t.Context(), "dev-1"); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

func TestACancelledContextEndsEverything(t *testing.T) {
	b, _ := newBook()
	in := open(t, b, verdict()).Incident()
	in.Report = &Signed{Markdown: strings.Repeat("0", 64), HTML: strings.Repeat("0", 64)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := func(_ any, err error) error { return err }
	_, _, openErr := b.OpenFor(ctx, verdict())
	var historyErr error
	for _, err := range b.History(ctx, "prod-1") {
		historyErr = err
	}
	for name, got := range map[string]error{
		"Head": err(b.Head(ctx, "prod-1")), "Do": err(b.Do(ctx, "prod-1", note("a", "x"))), "List": err(b.List(ctx, "prod")), "List all": err(b.List(ctx, "")),
		"OpenFor": openErr, "History": historyErr, "Frozen": err(b.Frozen(ctx, in)), "SignReport": err(b.SignReport(ctx, by("a", 0), "x", Input{Incident: in})),
	} {
		if !errors.Is(got, context.Canceled) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A reply that is lost, and one that never comes: what was signed is there or is not.
func TestASignatureSurvivesALostReply(t *testing.T) {
	for seed := range uint64(30) {
		mem := new(blob.Mem)
		b := NewBook(mem, nil, ledger.Options{Now: t0})
		open(t, b, verdict())
		rng := rand.New(rand.NewPCG(seed, 1))
		f := blobtest.NewFaulty(mem, func(op, _ string) blobtest.Fault {
			if op != "create" {
				return blobtest.None
			}
			return []blobtest.Fault{blobtest.None, blobtest.FailBefore, blobtest.LoseAnswer, blobtest.SendTwice}[rng.IntN(4)]
		})
		shaky := NewBook(f, nil, ledger.Options{Now: t0, Wait: func(context.Context, time.Duration) error { return nil }})
		_, err := shaky.SignReport(t.Context(), by("anna", 0), "x", Input{Incident: Incident{ID: "prod-1"}})
		h, headErr := b.Head(t.Context(), "prod-1")
		if headErr != nil {
			t.Fatal(headErr)
		}
		if err == nil && h.Incident().Report == nil {
			t.Fatalf("seed %d: it was said to be signed and is not", seed)
		}
		if h.Incident().Report != nil {
			if _, err := b.Frozen(t.Context(), h.Incident()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}
