package analysis

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func newProcess(t testing.TB) *Process {
	t.Helper()
	p, err := NewProcess(1.25, DefaultAlternatives())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAProcessIsTheMixtureOfTheProducts(t *testing.T) {
	p := newProcess(t)
	tables := []Table{{NC: 10, XC: 3, NB: 90, XB: 1}, {NC: 4, NB: 60, XB: 2}, {NC: 2, XC: 1, NB: 8}}
	if err := p.Observe(tables[:2]...); err != nil {
		t.Fatal(err)
	}
	if err := p.Observe(tables[2]); err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, a := range DefaultAlternatives() {
		e := a.Weight
		for _, c := range tables {
			e *= math.Exp(direct(c, 1.25, a.Psi))
		}
		want += e
	}
	if got := math.Exp(p.LogE()); !near(got, want, 1e-9*want) {
		t.Errorf("evidence %.12g, want %.12g", got, want)
	}
	if p.Tables() != 3 || p.Margin() != 1.25 {
		t.Errorf("%d tables at margin %g", p.Tables(), p.Margin())
	}
}

func TestAProcessCrossesAtOneOverAlpha(t *testing.T) {
	p := newProcess(t)
	if p.LogE() != 0 || p.Crossed(0.5) {
		t.Fatalf("without evidence: %g", p.LogE())
	}
	if err := p.Observe(Table{NC: 10, XC: 6, NB: 90}); err != nil {
		t.Fatal(err)
	}
	e := math.Exp(p.LogE())
	if !p.Crossed(1.0001/e) || p.Crossed(0.9999/e) {
		t.Errorf("evidence %g: crossed at the wrong alpha", e)
	}
}

func TestARefusedTableChangesNothing(t *testing.T) {
	p := newProcess(t)
	if err := p.Observe(Table{NC: 10, XC: 1, NB: 10}, Table{NC: 1, XC: 2}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
	if p.LogE() != 0 || p.Tables() != 0 {
		t.Errorf("evidence %g from %d tables after a refusal", p.LogE(), p.Tables())
	}
}

func TestAlternativesThatAreNoAlternativesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		margin float64
		as     []Alternative
	}{
		"none":             {1, nil},
		"not above margin": {2, []Alternative{{2, 1}}},
		"weights below 1":  {1, []Alternative{{2, 0.5}, {3, 0.4}}},
		"negative weight":  {1, []Alternative{{2, 1.5}, {3, -0.5}}},
		"NaN":              {1, []Alternative{{math.NaN(), 1}}},
		"infinite":         {1, []Alternative{{math.Inf(1), 1}}},
		"margin below 1":   {0.5, []Alternative{{2, 1}}},
		"margin NaN":       {math.NaN(), []Alternative{{2, 1}}},
	} {
		if _, err := NewProcess(c.margin, c.as); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestAProcessAndADetectorSurviveStorageBitByBit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newProcess(t)
		d, err := NewDetector(1.25, DefaultAlternatives())
		if err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(0, 20).Draw(rt, "tables") {
			c := drawTable(rt, 60)
			if p.Observe(c) != nil || d.Observe(c) != nil {
				rt.Fatal("refused")
			}
		}
		var p2 Process
		var d2 Detector
		for from, to := range map[json.Marshaler]json.Unmarshaler{p: &p2, d: &d2} {
			body, err := json.Marshal(from)
			if err != nil {
				rt.Fatal(err)
			}
			if err := json.Unmarshal(body, to); err != nil {
				rt.Fatal(err)
			}
		}
		if !slices.Equal(p.log, p2.log) || !slices.Equal(d.p.log, d2.p.log) || p.LogE() != p2.LogE() || d.LogD() != d2.LogD() || p.Tables() != p2.Tables() {
			rt.Fatalf("stored %v, read %v", p, p2)
		}
	})
}

func TestADamagedProcessIsRefused(t *testing.T) {
	for _, body := range damagedProcesses {
		p := newProcess(t)
		if err := json.Unmarshal([]byte(body), p); err == nil || p.Margin() != 1.25 {
			t.Errorf("%s: %v, margin %g; want an error and no change", body, err, p.Margin())
		}
	}
	if err := newProcess(t).UnmarshalJSON([]byte(damagedProcesses[0])); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}

var damagedProcesses = []string{
	`{}`,
	`[]`,
	`{"margin":1,"alternatives":[{"psi":2,"weight":1}],"log_e":[0,0],"tables":0}`,
	`{"margin":1,"alternatives":[{"psi":2,"weight":1}],"log_e":null,"tables":0}`,
	`{"margin":1,"alternatives":[{"psi":2,"weight":1}],"log_e":[1e999],"tables":0}`,
	`{"margin":1,"alternatives":[{"psi":2,"weight":1}],"log_e":[0],"tables":-1}`,
	`{"margin":1,"alternatives":[{"psi":2,"weight":1}],"log_e":[0],"tables":0,"more":1}`,
	`{"margin":1,"alternatives":[{"psi":2,"weight":0.9}],"log_e":[0],"tables":0}`,
	`{"margin":3,"alternatives":[{"psi":2,"weight":1}],"log_e":[0],"tables":0}`,
}

// Whatever can be read can be written, and reads the same again.
func FuzzProcessState(f *testing.F) {
	body, err := json.Marshal(newProcess(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"margin":1,"alternatives":[{"psi":2,"weight":1}],"log_e":[-1.5e-9],"tables":3}`))
	for _, d := range damagedProcesses {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var p, q Process
		if p.UnmarshalJSON(body) != nil {
			return
		}
		again, err := json.Marshal(&p)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.UnmarshalJSON(again); err != nil || !slices.Equal(p.log, q.log) {
			t.Fatalf("%s: %v", again, err)
		}
		if math.IsNaN(p.LogE()) {
			t.Fatalf("%s: evidence is not a number", again)
		}
	})
}

func TestADetectorForgetsGoodNews(t *testing.T) {
	p := newProcess(t)
	d, err := NewDetector(1.25, DefaultAlternatives())
	if err != nil {
		t.Fatal(err)
	}
	good, bad := Table{NC: 10, NB: 90, XB: 1}, Table{NC: 10, XC: 1, NB: 90}
	fresh := newProcess(t)
	for range 500 {
		if p.Observe(good) != nil || d.Observe(good) != nil {
			t.Fatal("refused")
		}
	}
	for range 4 {
		if p.Observe(bad) != nil || d.Observe(bad) != nil || fresh.Observe(bad) != nil {
			t.Fatal("refused")
		}
	}
	if d.LogD() < fresh.LogE() || p.LogE() > fresh.LogE()-5 {
		t.Errorf("after 500 good windows and 4 bad ones: detector %g, process %g; a process that starts with the bad ones %g", d.LogD(), p.LogE(), fresh.LogE())
	}
	if err := d.Observe(Table{NC: -1}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}
