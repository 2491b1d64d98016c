package guard

import (
	"bytes"
	"errors"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

func TestTheDocumentedRecordingParsesAndShowsItsGuardFailing(t *testing.T) {
	page, err := os.ReadFile("../../docs/guards.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```json recording\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/guards.md has no example of a recording")
	}
	r, err := ParseRecording(m[1])
	if err != nil {
		t.Fatal(err)
	}
	g, err := BuiltinNamed(r.Guard)
	if err != nil {
		t.Fatal(err)
	}
	if s := Proof(g, []Recording{r}); !s.Failing || s.Passing || s.Runs[0].Passes != 2 || s.Runs[0].Fails != 1 {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsNoRecordingIsRefused(t *testing.T) {
	good := `{"format":1,"name":"n","guard":"g","samples":[{"at":"2026-01-05T10:00:00Z","value":1}]}`
	if _, err := ParseRecording([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, by string }{
		"unknown member":   {`"name"`, `"colour":1,"name"`},
		"no format":        {`"format":1,`, ``},
		"no name":          {`"name":"n",`, ``},
		"no guard":         {`"guard":"g",`, ``},
		"nothing to see":   {`{"at":"2026-01-05T10:00:00Z","value":1}`, ``},
		"no value":         {`,"value":1`, ``},
		"value and error":  {`"value":1`, `"value":1,"err":"x"`},
		"no date":          {`"at":"2026-01-05T10:00:00Z",`, ``},
		"text as value":    {`"value":1`, `"value":"1"`},
		"infinity by size": {`"value":1`, `"value":1e999`},
		"odd text":         {`"value":1`, `"value":"nan"`},
		"long note":        {`"value":1`, `"value":1,"note":"` + strings.Repeat("x", MaxText+1) + `"`},
		"unknown in one":   {`"value":1`, `"value":1,"unit":"s"`},
		"something after":  {`}]}`, `}]} {}`},
		"not JSON":         {good, `x`},
		"too many":         {`"samples":[`, `"samples":[` + strings.Repeat(`{"at":"2026-01-05T10:00:00Z","value":1},`, MaxRecorded)},
		"too large":        {`"name"`, strings.Repeat(" ", MaxRecordingBytes) + `"name"`},
		"year 10000":       {`10:00:00Z`, `10:00:00Z","labels":{},"at":"9999-12-31T23:59:59-01:00`},
		"look in 10000":    {`"samples"`, `"looks":["9999-12-31T23:59:59-01:00"],"samples"`},
		"undated look":     {`"samples"`, `"looks":["0001-01-01T00:00:00Z"],"samples"`},
	} {
		if _, err := ParseRecording([]byte(strings.Replace(good, c.old, c.by, 1))); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if _, err := ParseRecording([]byte(`{"format":2,"new":true}`)); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("newer format: %v, want ErrRefused", err)
	}
	if _, err := (Recording{}).Encode(); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("an empty one was written: %v", err)
	}
}

func TestRecordingsAreReplayedAsTheyWere(t *testing.T) {
	g := valueGuard(AtMost, 10)
	absent := g.with(func(g *Guard) { g.Test, g.OnNoData = Test{Kind: Absent, Unit: Count}, NoDataPass })
	quiet := Recording{Format: 1, Name: "quiet", Guard: "g", Looks: []time.Time{noon}}
	loud := Recording{Format: 1, Name: "loud", Guard: "g", Series: Series{Samples: []Sample{at(20, 1)}}}
	recovered := Recording{Format: 1, Name: "recovered", Guard: "g", Series: Series{Samples: []Sample{at(20, 1), at(10, 99), at(0, 1)}}}
	waiting := Recording{Format: 1, Name: "waiting", Guard: "g", Series: Series{Samples: []Sample{at(0, math.NaN())}}}
	foreign := Recording{Format: 1, Name: "foreign", Guard: "another", Series: Series{Samples: []Sample{at(0, 99)}}}
	for _, c := range []struct {
		name             string
		g                Guard
		recordings       []Recording
		passing, failing bool
		missing          string // what Reliable says, "" for nothing
	}{
		{"both", g, []Recording{loud, recovered}, true, true, ""},
		{"only good", g, []Recording{loud, waiting}, true, false, "failing"},
		{"a recovery is not a passing", g, []Recording{recovered}, false, true, "passing"},
		{"neither", g, []Recording{waiting}, false, false, "passing or failing"},
		{"none of its own", g, []Recording{foreign}, false, false, "no recording for it"},
		{"absence", absent, []Recording{quiet, loud}, true, true, ""},
	} {
		s := Proof(c.g, c.recordings)
		err := Reliable(c.g, c.recordings)
		if s.Passing != c.passing || s.Failing != c.failing {
			t.Errorf("%s: %+v", c.name, s)
		}
		if c.missing == "" && err != nil || c.missing != "" && (!errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), c.missing) || lockstep.HintOf(err) == "") {
			t.Errorf("%s: %v, want %q", c.name, err, c.missing)
		}
	}
	if s := Proof(g, []Recording{recovered}); s.Runs[0].Looks != 3 || s.Runs[0].Decisive.Value != 99 {
		t.Errorf("%+v", s)
	}
}

func sameNumbers(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func FuzzRecording(f *testing.F) {
	f.Add([]byte(`{"format":1,"name":"n","guard":"g","samples":[{"at":"2026-01-05T10:00:00Z","value":0},{"at":"2026-01-05T10:01:00Z","value":1.5e3,"note":"n"}],"stable":[{"at":"2026-01-05T10:00:00Z","err":"x"}]}`))
	f.Add([]byte(`{"format":1,"name":"n","guard":"g","about":"a","looks":["9999-12-31T23:59:59-01:00"]}`))
	f.Add([]byte(`{"format":1,"name":"n","guard":"g","looks":["2026-01-05T10:00:00+02:00"],"samples":[{"at":"2026-01-05T10:00:00Z","value":"-Inf","labels":{"a":"b"}}],"warnings":["w"],"err":"e"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRecording(body)
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) && !errors.Is(err, lockstep.ErrRefused) {
				t.Fatal(err)
			}
			return
		}
		b, err := r.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := ParseRecording(b)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, b)
		}
		if diff := cmp.Diff(r, again, cmp.Comparer(sameNumbers), cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Fatal(diff)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(b, twice) {
			t.Fatalf("%v:\n%s\n%s", err, b, twice)
		}
		Replay(valueGuard(AtMost, 10), r)
	})
}

func FuzzSamples(f *testing.F) {
	f.Add([]byte("{\"at\":\"2026-01-05T10:00:00Z\",\"value\":1}\n\n{\"at\":\"2026-01-05T10:00:00Z\",\"err\":\"x\"}\n"))
	f.Add([]byte(`{"at":"2026-01-05T10:00:00Z","value":"NaN","labels":{"a":"b"},"note":"n"}`))
	f.Fuzz(func(t *testing.T, lines []byte) {
		samples, err := ParseSamples(lines)
		if err != nil && !errors.Is(err, lockstep.ErrInvalid) {
			t.Fatal(err)
		}
		for _, s := range samples {
			b, err := s.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			var back Sample
			if err := back.UnmarshalJSON(b); err != nil || cmp.Diff(s, back, cmp.Comparer(sameNumbers)) != "" {
				t.Fatalf("%s: %v", b, err)
			}
		}
	})
}

func TestAFullRecordingIsReplayedInTime(t *testing.T) {
	r := Recording{Format: 1, Name: "full", Guard: "g"}
	for i := range MaxRecorded {
		r.Samples = append(r.Samples, at(-i, 1))
		r.Stable = append(r.Stable, at(-i, 1))
	}
	g := valueGuard(AtMost, 10).with(func(g *Guard) { g.Window, g.Test.Kind = MaxWindow, Ratio })
	started := time.Now()
	if got := Replay(g, r); len(got) != MaxRecorded || got[MaxRecorded-1].Verdict != Pass {
		t.Errorf("%d looks", len(got))
	}
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}
