package recovery

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"lockstep/internal/release"
	"lockstep/internal/rollback"
)

// A verdict opens one incident and, when that is wanted, has the data taken back by itself:
// once, whoever attends and however often.
func TestAVerdictIsFollowedByAnIncidentAndARollback(t *testing.T) {
	w := newWorld(t)
	w.trial()
	w.verdict()
	a := w.assembly()
	a.Config.Rollback.Automatic, a.Config.Rollback.Watch.For = true, 0
	for range 3 {
		att := &Attendant{Assembly: a, Desk: NewDesk(w.server.Control, a.Config, nil), Log: slog.New(slog.DiscardHandler), Every: time.Second}
		if err := att.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := a.Journals().IDs(t.Context())
	if err != nil || len(ids) != 1 {
		t.Fatalf("plans %v, %v", ids, err)
	}
	e, err := a.Engine(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.State(t.Context(), ids[0])
	if err != nil || s.Outcome() != rollback.Complete || s.Plan.Incident == "" {
		t.Fatalf("%s, incident %q, %v", s.Text(), s.Plan.Incident, err)
	}
	all, err := NewDesk(w.server.Control, a.Config, nil).Book().List(t.Context(), "")
	if err != nil || len(all) != 1 {
		t.Fatalf("incidents %v, %v", all, err)
	}
}

func (w *world) assembly() *Assembly {
	return &Assembly{
		Control: w.server.Control, Config: w.server.Config, Workplace: Serving{w.server}, Actor: "tester", Now: time.Now,
		Getenv: func(string) string { return "" },
	}
}

// verdict ends the release as a guard does.
func (w *world) verdict() {
	w.t.Helper()
	c := w.server.Controller()
	c.Observer = finding{}
	if _, err := c.Tick(w.t.Context(), time.Now()); err != nil {
		w.t.Fatal(err)
	}
	head, err := w.server.Releases.Head(w.t.Context())
	if err != nil || !byVerdict(head.State().Release) {
		w.t.Fatalf("it is not taken back: %v", err)
	}
}

// finding is an observer whose guards find the candidate bad.
type finding struct{}

func (finding) Observe(context.Context, release.State) (release.Observation, error) {
	return release.Observation{Preflight: release.Healthy, Verdict: release.Bad, Reasons: []string{"wrong merchants"}, Stable: release.Healthy}, nil
}
