package load

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestTheReportIsAsItWas(t *testing.T) {
	bad := good()
	bad.Rate, bad.Achieved, bad.Failed, bad.Unsent, bad.Answered, bad.Backlog, bad.Behind = 1050.5, 612.25, 120, 40, 840, 400, 9*time.Second
	bad.Errors, bad.Example = map[string]int{"unavailable": 20, "timeout": 100}, "send: unavailable: connection refused"
	bad.Latency = Spread{P50: 730 * time.Microsecond, P90: 12340 * time.Microsecond, P99: 2345 * time.Millisecond, P999: 12345 * time.Millisecond, Max: 12345678 * time.Microsecond, Samples: 1000}
	o := Options{Objective: conditions(t, "p99<150ms,held>=500"), Batch: 10, InFlight: 64, Arrivals: Poisson}
	r := resultOf(Shape{Seed: 7, Keys: 200, Skew: 0.9, Mix: DefaultMix()}, o)
	r.Steps = []StepResult{good(), bad}
	for i := range r.Steps {
		r.Steps[i].judge("", o.Objective)
	}
	r.judge(o)
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/report.golden"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Errorf("got\n%s\nwant\n%s", out.Bytes(), want)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestAReportThatCannotBeWrittenIsAnError(t *testing.T) {
	r := Result{Steps: []StepResult{good()}}
	if err := r.Print(fullDisk{}); err == nil {
		t.Error("no error")
	}
}
