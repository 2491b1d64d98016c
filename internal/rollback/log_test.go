package rollback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
)

func TestPlansAreListedNewestFirst(t *testing.T) {
	r := newRig()
	ctx := t.Context()
	if ids, err := r.Journals.IDs(ctx); err != nil || len(ids) != 0 {
		t.Fatal(ids, err)
	}
	if id, err := r.Journals.NextID(ctx, "dev"); id != "dev-1" || err != nil {
		t.Fatal(id, err)
	}
	for _, id := range []string{"dev-2", "prod-10", "dev-9", "old", "prod-9", "dev-99999999999999999999999999"} {
		p := planOf(move("a", "", "x"))
		p.ID = id
		if _, err := r.Start(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.store.Create(ctx, "plan/NO_PLAN/x", nil); err != nil { // of somebody else
		t.Fatal(err)
	}
	ids, err := r.Journals.IDs(ctx)
	if diff := cmp.Diff([]string{"prod-10", "prod-9", "dev-9", "dev-2", "old", "dev-99999999999999999999999999"}, ids); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if id, err := r.Journals.NextID(ctx, "dev"); id != "dev-11" || err != nil {
		t.Error(id, err)
	}
	r.Journals = NewJournals(blobtest.NewFaulty(r.store, func(op, _ string) blobtest.Fault {
		if op == "list" {
			return blobtest.FailBefore
		}
		return blobtest.None
	}), quickly())
	if _, err := r.Journals.NextID(ctx, "dev"); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Error(err)
	}
}

func TestTheOrderOfIDsIsOne(t *testing.T) {
	id := rapid.Custom(func(t *rapid.T) string {
		return rapid.StringMatching(`[a-c]{1,2}(-[a-c])?(-[0-9]{1,12})?`).Draw(t, "id")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := id.Draw(t, "a"), id.Draw(t, "b"), id.Draw(t, "c")
		if compareIDs(a, b) != -compareIDs(b, a) || (compareIDs(a, b) == 0) != (a == b) {
			t.Errorf("%s and %s: %d and %d", a, b, compareIDs(a, b), compareIDs(b, a))
		}
		if compareIDs(a, b) < 0 && compareIDs(b, c) < 0 && compareIDs(a, c) >= 0 {
			t.Errorf("%s < %s < %s", a, b, c)
		}
		n := rapid.Uint32Max(1<<32-2).Draw(t, "n")
		if compareIDs(fmt.Sprint(a, "-", n), fmt.Sprint(b, "-", n+1)) >= 0 {
			t.Errorf("%d is not before its successor", n)
		}
	})
}

func TestAnEntryThatIsNotOfThePlanIsCorrupt(t *testing.T) {
	r := newRig()
	ctx := t.Context()
	s := NewState(planOf(move("a", "", "x")))
	for name, e := range map[string]Entry{
		"another plan":   {Format: 1, MinReader: 1, Number: 1, What: "planned", Actor: "anna", State: s},
		"another number": {Format: 1, MinReader: 1, Number: 7, What: "planned", Actor: "anna", State: s},
		"no entry":       {},
	} {
		id := strings.ReplaceAll(name, " ", "-")
		if name == "another number" {
			e.State.Plan.ID = id
		}
		j, err := r.Journals.Open(id)
		if err != nil {
			t.Fatal(err)
		}
		body, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.log.Append(ctx, Head{}.Ledger, body); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Head(ctx); !errors.Is(err, lockstep.ErrCorrupt) || !strings.Contains(err.Error(), "plan "+id+", entry 1") {
			t.Errorf("%s: %v", name, err)
		}
		for _, err := range j.Range(ctx) {
			if !errors.Is(err, lockstep.ErrCorrupt) {
				t.Errorf("%s, in the range: %v", name, err)
			}
		}
		if _, err := r.Run(ctx, id); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s, walked: %v", name, err)
		}
	}
}

func TestARangeCanBeLeftEarly(t *testing.T) {
	r := newRig()
	r.world.set("a", "bad")
	r.walk(t, planOf(move("a", "bad", "good")))
	j, err := r.Journals.Open("dev-1")
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range j.Range(t.Context()) {
		if err != nil || e.Number != 1 {
			t.Fatal(e, err)
		}
		break
	}
	if got := r.history(t); len(got) != 5 || !slices.Contains(got, "step a keeps") {
		t.Error(got)
	}
}

func TestAnEntryThatCouldNotBeReadIsNotWritten(t *testing.T) {
	r := newRig()
	j, err := r.Journals.Open("dev-1")
	if err != nil {
		t.Fatal(err)
	}
	s := NewState(planOf(move("a", "", "x")))
	s.Steps[0].Progress = "lost"
	if _, err := j.append(t.Context(), Head{}, Entry{What: "planned", State: s}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Error(err)
	}
	if _, err := j.Head(t.Context()); !errors.Is(err, lockstep.ErrNotFound) {
		t.Error(err)
	}
}

func TestABeatThatIsGarbageIsNone(t *testing.T) {
	store := &blob.Mem{}
	j, err := NewJournals(store, quickly()).Open("dev-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"", "garbage", `{"every_ns":-1}`, `{"every_ns":86400000000000,"count":1}`, strings.Repeat(" ", 2<<10)} {
		if err := store.Hint(context.Background(), j.beatKey(), []byte(body)); err != nil {
			t.Fatal(err)
		}
		if b := j.lastBeat(t.Context()); b != (beat{}) {
			t.Errorf("%.20q: %+v", body, b)
		}
	}
	want := beat{Step: "a", Try: 2, Count: 3, Every: beatFirst, Over: true}
	j.putBeat(t.Context(), want)
	if b := j.lastBeat(t.Context()); b != want {
		t.Errorf("%+v", b)
	}
}
