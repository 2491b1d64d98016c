package compact

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// importing is kv that asks for an import.
type importing struct{ kv }

func (h importing) Reads(ms []lockstep.Message) handler.Reads {
	r := h.kv.Reads(ms)
	r.Imports = []handler.ImportRef{{Collection: "things", Location: "elsewhere"}}
	return r
}

// crashing is kv whose Reads panics.
type crashing struct{ kv }

func (crashing) Reads([]lockstep.Message) handler.Reads { panic("no reads") }

func TestAnArchivedUnitIsAnsweredAsItWasDecided(t *testing.T) {
	r := newRig(t, nil, kv{})
	r.commit(set("G1", "K1", "a", 1))
	before, err := r.state.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = before.Close() }()
	parent := r.Head().Entry
	r.commit(set("G1", "K1", "b", 2), set("G2", "K1", "x", 3), set("G1", "K2", "c", 4), set("G3", "K1", "fail", 5), "{broken")
	d, err := r.vlog.Delta(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	units, err := ArchivedUnits(t.Context(), d, r.schema())
	if err != nil || len(units) != 2 || len(units[0]) != 2 || len(units[1]) != 1 {
		t.Fatalf("units %v, %v", units, err)
	}
	stage := &Stage{View: before, Store: r.store, Entry: r.Head().Entry, Parent: parent, Clock: time.Now}
	ask := func(ctx context.Context, h handler.Handler) (Reply, error) {
		t.Helper()
		who, err := NewSubject(handler.NewRevision(h), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return stage.Ask(ctx, who, units[0])
	}
	got, err := ask(t.Context(), kv{})
	if err != nil || !got.Asked || got.Failed != nil || len(got.Mutations) != 2 || got.Mutations[0].Record.Document != "b" || got.Mutations[1].Record.Document != "c" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := ask(t.Context(), importing{}); !errors.Is(err, ErrNotArchived) {
		t.Errorf("an import that nobody made: %v", err)
	}
	if got, err := ask(t.Context(), crashing{}); err != nil || got.Failed == nil || !strings.Contains(got.Failed.Error(), "no reads") {
		t.Errorf("a panic: %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask(ctx, kv{}); err == nil {
		t.Error("an ended context is not heeded")
	}
	if r.Head().Number() != 2 {
		t.Error("asking has published something")
	}
}
