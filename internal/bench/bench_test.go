package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

// stageEnv makes the test program the process of a stage.
const stageEnv = "LOCKSTEP_BENCH_STAGE"

func TestMain(m *testing.M) {
	if os.Getenv(stageEnv) == "" {
		os.Exit(m.Run())
	}
	if err := Stage(context.Background(), os.Stdin, os.Stdout, time.Now); err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
}

func tiny(t *testing.T) Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(stageEnv, "1")
	o := Quick()
	o.Records, o.Warmup, o.Sustain, o.Samples, o.Repeats = 2000, 50*time.Millisecond, 300*time.Millisecond, 10, 2
	o.Dir, o.Self, o.Now = t.TempDir(), []string{self}, time.Now
	return o
}

// Speeds are not asserted: this machine may be doing anything. That all parts work
// and agree with each other is.
func TestATinyRunFillsTheWholeTable(t *testing.T) {
	o := tiny(t)
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, row := range r.Rows {
		names = append(names, row.Name)
		if row.What == "" || row.Measured == "" || row.Unit == "" {
			t.Errorf("row %+v has a hole", row)
		}
	}
	for _, want := range []string{"updates", "updates_ratio", "latency_process", "latency_http", "reset_flat", "replay", "revert", "revert_flat", "memory", "cold", "peer"} {
		if !slices.Contains(names, want) {
			t.Errorf("no row %q among %v", want, names)
		}
	}
	if len(r.Indexes) != 3 || len(r.Bytes) != 3 || r.Indexes[2].Records < 2000 || r.Indexes[2].Mirrored != int64(2*r.Indexes[2].Receipts) {
		t.Errorf("indexes %+v", r.Indexes)
	}
	w := r.Work
	if w.Updates.Versions == 0 || w.Updates.Changed <= w.Updates.Messages {
		t.Errorf("updates %+v: every place changes all records of its receipt", w.Updates)
	}
	if w.Latency.HTTP.Samples != o.Samples || w.Latency.Process.P99 < w.Latency.Process.P50 || w.Large.Changed == 0 {
		t.Errorf("latency %+v, reset %+v", w.Latency, w.Large)
	}
	for _, b := range r.Bytes {
		if b.Label.Mutations != 2 || b.Batch.Plain <= b.Label.Plain || b.Batch.Bytes == 0 {
			t.Errorf("bytes %+v: a label changes its word and its item", b)
		}
	}
	if r.Peer.Missing == "" || !strings.HasPrefix(r.Peer.Missing, "no peer: ") {
		t.Errorf("peer %+v without an interpreter", r.Peer)
	}
	left, err := os.ReadDir(o.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	var text bytes.Buffer
	r.Print(&text)
	for _, want := range []string{"THE TARGETS ARE MEANT FOR 1,000,000 RECORDS", "no peer: PY names no interpreter", ">= 100,000 records/s"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, text.String())
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestOnlyMeasuresWhatWasAskedFor(t *testing.T) {
	o := tiny(t)
	o.Only = []string{partBytes}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 4 || r.Work != nil || r.Cold != nil || r.Peer != nil {
		t.Errorf("report %+v", r)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"unknown part":     func(o *Options) { o.Only = []string{"speed"} },
		"too few records":  func(o *Options) { o.Records = 10 },
		"no stage command": func(o *Options) { o.Self = nil },
		"no clock":         func(o *Options) { o.Now = nil },
	} {
		o := tiny(t)
		spoil(&o)
		if _, err := Run(t.Context(), o); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACancelledRunMeasuresNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, tiny(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("run: %v", err)
	}
	in := strings.NewReader(`{"cold":{"Dir":"` + t.TempDir() + `"}}`)
	if err := Stage(ctx, in, &bytes.Buffer{}, time.Now); !errors.Is(err, context.Canceled) {
		t.Errorf("stage: %v", err)
	}
}

func TestAStageRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, in := range []string{"", "{}", `{"other":1}`, "{"} {
		if err := Stage(t.Context(), strings.NewReader(in), &bytes.Buffer{}, time.Now); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestAnInterpreterWithoutChromaIsNoPeer(t *testing.T) {
	o := tiny(t)
	o.Only, o.Python = []string{partPeer}, t.TempDir()+"/python"
	r, err := Run(t.Context(), o)
	if err != nil || len(r.Rows) != 1 || !strings.HasPrefix(r.Rows[0].Measured, "no peer: "+o.Python) {
		t.Errorf("%+v, %v", r.Rows, err)
	}
}
