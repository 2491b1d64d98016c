package load_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/load"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/web"
)

// served is a real server on a directory of its own, behind a surface that a test may
// delay.
type served struct {
	*app.Server
	url     string
	imports string
	config  config.Config
}

func serve(t *testing.T, wrap func(http.Handler) http.Handler) served {
	t.Helper()
	dir := t.TempDir()
	cfg := app.DemoConfig(config.Default(), dir)
	cfg.Follower.Chroma.Enabled = "off"
	a, err := app.Open(t.Context(), cfg, app.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	s := app.NewServer(a)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	h := web.Handler(s, web.Options{Now: time.Now, Token: "secret"})
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.Close()
		stop()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Error(err)
		}
	})
	return served{s, srv.URL, cfg.Imports.Directory, cfg}
}

func (s served) target(t *testing.T) *load.HTTP {
	t.Helper()
	target := load.NewHTTP(s.url, "secret", 64)
	t.Cleanup(target.Close)
	return target
}

func (s served) put(o synth.Object) error { return load.PutObject(s.imports, o) }

func newTraffic(t *testing.T, seed uint64) *load.Traffic {
	t.Helper()
	tr, err := load.NewTraffic(load.Shape{Seed: seed, Keys: 10, Lines: 4, Skew: 1, Mix: load.Mix{Edits: 50, Deletes: 25, Inserts: 25}, Epoch: uint64(time.Now().UnixNano())})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// digests are those of the published collections.
func (s served) digests(t *testing.T) map[lockstep.Collection]string {
	t.Helper()
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[lockstep.Collection]string{}
	for _, c := range st.Collections {
		if !c.Name.Builtin() && c.Records > 0 {
			out[c.Name] = c.Digest
		}
	}
	return out
}

func (s served) left(t *testing.T) []lockstep.MirrorItem {
	t.Helper()
	view, err := s.State.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	left, err := load.Left(t.Context(), view)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// ours brings receipts into being that are not of a load test.
func (s served) ours(t *testing.T) {
	t.Helper()
	g := synth.New(9, synth.Options{Receipts: 2, Lines: synth.Range{Min: 2, Max: 3}, Dimension: 8})
	var lines []byte
	for e := range g.Events() {
		lines = append(e.AppendJSON(lines), '\n')
	}
	for i := range g.Len() {
		for _, o := range g.Objects(g.Receipt(i)) {
			if err := s.put(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.target(t).Send(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
}

// TestALoadOfARealServerLeavesNothingBehind runs twice: what a run and its removal
// leave must not spoil the next.
func TestALoadOfARealServerLeavesNothingBehind(t *testing.T) {
	s := serve(t, nil)
	s.ours(t)
	before := s.digests(t)
	if len(before) != 2 {
		t.Fatalf("published before: %v", before)
	}
	for range 2 {
		target, traffic := s.target(t), newTraffic(t, 1)
		p, err := load.Prepare(t.Context(), target, traffic, s.put, nil)
		if err != nil || p.Receipts != 10 || p.Records < 40 {
			t.Fatalf("%+v, %v", p, err)
		}
		res, err := load.Run(t.Context(), target, traffic, load.Options{Steps: []load.Step{{Rate: 200, For: 400 * time.Millisecond}}, Batch: 4, InFlight: 16, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		got := res.Steps[0]
		if got.Due == 0 || got.Answered != got.Due || got.Failed+got.Unsent+got.Parked > 0 || got.Outcomes[lockstep.Applied] == 0 || got.Changed == 0 || got.Versions == 0 {
			t.Errorf("%+v", got)
		}
		if len(s.digests(t)) != 2 || s.digests(t)["lines"] == before["lines"] {
			t.Errorf("nothing was loaded: %v", s.digests(t))
		}
		left := s.left(t)
		c, err := load.Clean(t.Context(), target, load.Removals(left, uint64(time.Now().UnixNano())), nil)
		if err != nil || c.Items != len(left) || len(left) == 0 || c.Records == 0 {
			t.Fatalf("%+v of %d, %v", c, len(left), err)
		}
		if after := s.digests(t); len(after) != 2 || after["lines"] != before["lines"] || after["words"] != before["words"] {
			t.Errorf("published %v, before %v", after, before)
		}
		if again := s.left(t); len(again) != 0 {
			t.Errorf("%d items are left", len(again))
		}
	}
	runs, err := load.RemoveObjects(s.imports)
	if err != nil || runs != 20 {
		t.Errorf("%d runs removed, %v", runs, err)
	}
	for _, c := range []string{"lines", "words"} {
		if entries, err := os.ReadDir(filepath.Join(s.imports, c, "delta")); err != nil || len(entries) != 2 {
			t.Errorf("%d embeddings that are not of a load test are left: %v", len(entries), err)
		}
	}
	if runs, err := load.RemoveObjects(t.TempDir()); runs != 0 || err != nil {
		t.Errorf("of nothing, %d runs were removed: %v", runs, err)
	}
}

// TestAStallOfAServerShowsInItsLatency is about coordinated omission, over HTTP.
func TestAStallOfAServerShowsInItsLatency(t *testing.T) {
	const stall = 300 * time.Millisecond
	var mu sync.Mutex
	n := 0
	s := serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if n++; n == 20 {
				time.Sleep(stall)
			}
			mu.Unlock()
			h.ServeHTTP(w, r)
		})
	})
	res, err := load.Run(t.Context(), s.target(t), newTraffic(t, 2), load.Options{
		Steps: []load.Step{{Rate: 100, For: time.Second}}, InFlight: 4, Arrivals: load.Constant, Now: time.Now, Objective: load.Conditions{{Figure: "p99", Op: "<", Limit: float64(250 * time.Millisecond)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if l := res.Steps[0].Latency; l.P99 < 250*time.Millisecond || l.P90 < 50*time.Millisecond || res.Passed {
		t.Errorf("a stall of %s: %+v, passed %t", stall, l, res.Passed)
	}
}

func TestPrepareSaysWhenTheServerLooksElsewhere(t *testing.T) {
	for _, c := range []struct {
		name  string
		there bool // the directory in which the server looks
		class error
		sent  int
	}{{"nowhere", false, lockstep.ErrUnavailable, 0}, {"in an empty directory", true, lockstep.ErrInvalid, 1}} {
		s := serve(t, nil)
		if c.there {
			if err := os.MkdirAll(s.imports, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		elsewhere := t.TempDir()
		p, err := load.Prepare(t.Context(), s.target(t), newTraffic(t, 3), func(o synth.Object) error { return load.PutObject(elsewhere, o) }, nil)
		if !errors.Is(err, c.class) || !strings.Contains(lockstep.HintOf(err), "--imports") || p.Receipts != c.sent {
			t.Errorf("%s: %+v, %v (%s)", c.name, p, err, lockstep.HintOf(err))
		}
	}
}

func TestATargetSaysWhatItWasRefused(t *testing.T) {
	s := serve(t, nil)
	stranger := load.NewHTTP(s.url, "guess", 1)
	defer stranger.Close()
	if _, err := stranger.Send(t.Context(), []byte("{}\n")); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("a wrong token: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.target(t).Send(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := load.Prepare(ctx, s.target(t), newTraffic(t, 4), s.put, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("prepare, cancelled: %v", err)
	}
	if _, err := load.Clean(ctx, s.target(t), make([]synth.Event, 1), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("clean, cancelled: %v", err)
	}
	view, err := s.State.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	if _, err := load.Left(ctx, view); !errors.Is(err, context.Canceled) {
		t.Errorf("left, cancelled: %v", err)
	}
	for name, answer := range map[string]string{"not JSON": "<html>", "nothing": ""} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		target := load.NewHTTP(srv.URL, "", 1)
		if _, err := target.Send(t.Context(), nil); !errors.Is(err, lockstep.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		target.Close()
		srv.Close()
	}
}
