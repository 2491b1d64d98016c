package recovery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// wrong is receipts@2 with a wrong merchant.
type wrong struct{ handler.Handler }

func (w wrong) Describe() handler.Description {
	d := w.Handler.Describe()
	d.Version = "wrong"
	return d
}

func (w wrong) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	muts, err := w.Handler.Plan(ctx, u)
	for i := range muts {
		if muts[i].Op == lockstep.Upsert {
			muts[i].Record.Metadata = muts[i].Record.Metadata.With("merchant_name", lockstep.String("nobody"))
		}
	}
	return muts, err
}

// world is an index with a server, in which a wrong revision has written.
type world struct {
	t      *testing.T
	server *app.Server
	synth  *synth.Generator
	good   string // digest before anything was wrong
	bad    string // the wrong revision
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Default().WithData(filepath.Join(dir, "data"))
	cfg.Imports.Directory = filepath.Join(dir, "imports")
	cfg.Follower.Chroma.Enabled = "off"
	cfg.Release.Watch = time.Hour // the test drives
	a, err := app.Open(t.Context(), cfg, app.Options{Now: time.Now, Actor: "tester", Handlers: []handler.Handler{wrong{receipt.V2(receipt.V2Config{})}}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, server: app.NewServer(a), synth: synth.New(7, synth.Options{
		Receipts: 30, Lines: synth.Range{Min: 1, Max: 2}, Words: synth.Range{Min: 1, Max: 2}, Dimension: 4, Labels: 30,
	})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Error(err)
		}
	})
	for i := range w.synth.Len() {
		for _, o := range w.synth.Objects(w.synth.Receipt(i)) {
			path := filepath.Join(dir, "imports", filepath.FromSlash(o.Key))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, o.Body, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var created []compact.Input
	for e := range w.synth.Events() {
		created = append(created, compact.Input{Message: e.Message()})
	}
	w.submit(created)
	// Any order begins the ledger of releases, also one that comes to nothing.
	if _, err := w.server.Command(t.Context(), func(release.State) (release.Transition, error) { return release.Transition{}, lockstep.ErrRefused }); !errors.Is(err, lockstep.ErrRefused) {
		t.Fatal(err)
	}
	for _, r := range a.Revisions.All() {
		if d := r.Handler.Describe(); d.Version == "wrong" {
			w.bad = r.ID()
		}
	}
	return w
}

func (w *world) submit(in []compact.Input) {
	w.t.Helper()
	if _, err := w.server.Submit(w.t.Context(), in); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) edits(n int) {
	w.t.Helper()
	var in []compact.Input
	for _, e := range w.synth.Edits(n) {
		if e.Kind == "re-embedded" {
			continue // it would need its files
		}
		for _, ev := range e.Events {
			in = append(in, compact.Input{Message: ev.Message()})
		}
	}
	w.submit(in)
}

// trial starts a release of the wrong revision and lets it decide about half of the keys.
func (w *world) trial() {
	w.t.Helper()
	plan := release.Plan{Name: "test", Steps: []release.Step{{Kind: release.Preflight}, {Kind: release.Canary, Weight: 5000, MinUnits: 100_000}, {Kind: release.Promotion}}}
	_, err := w.server.Command(w.t.Context(), func(s release.State) (release.Transition, error) {
		return release.Start(s, w.server.Order("a test"), release.Request{Candidate: w.bad, Plan: plan, Head: w.server.Compactor.Head().Number()})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.drive()
	w.good = w.digest()
	for range 4 {
		w.edits(20)
	}
	if w.server.Compactor.Head().Entry.Revisions[w.bad] == 0 {
		w.t.Fatal("the wrong revision has decided about nothing")
	}
}

// drive ticks until the wrong revision has its share of the keys.
func (w *world) drive() {
	w.t.Helper()
	for range 200 {
		d, err := w.server.Controller().Tick(w.t.Context(), time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		head, err := w.server.Releases.Head(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if r := head.State().Live(); r == nil || r.Current().Kind == release.Canary {
			return
		}
		w.t.Logf("%s", d.Why)
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *world) digest() string {
	return version.IndexDigest(w.server.Compactor.Head().Entry.Digests())
}

// same returns a function that compares the index and the routing with what they are now.
func (w *world) same() func() error {
	digest, routing := w.digest(), w.routing()
	return func() error {
		if d, r := w.digest(), w.routing(); d != digest || r != routing {
			return fmt.Errorf("digest %s and %s, before %s and %s", d, r, digest, routing)
		}
		return nil
	}
}

// routing says who decides about what.
func (w *world) routing() string {
	head, err := w.server.Releases.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	s := head.State()
	out := "stable " + s.Stable.Revision
	if r := s.Live(); r != nil {
		out += ", candidate " + r.Candidate
	}
	if _, bad := s.Quarantined(w.bad); bad {
		out += ", quarantined"
	}
	return out
}

func (w *world) goodID() string { return w.server.Revision.ID() }
