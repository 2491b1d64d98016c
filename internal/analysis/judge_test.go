package analysis

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// scene is a release as Judge sees it.
type scene struct {
	name      string
	samples   []Sample
	bakeFrom  int // 0: no bake
	situation Situation
	want      Verdict
	culprit   string
}

func repeat(n int, s Sample) []Sample {
	all := make([]Sample, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// calm is a window in which everybody is fine, with what it takes to show it.
func calm() Sample {
	return Sample{
		Tables: map[string][]Table{"batch-failure": {{NC: 10, NB: 90}}, "batch-slow": {{NC: 10, NB: 90, XB: 4}}},
		Pairs:  map[string]Pairs{"shadow-mismatch": {Compared: 20}},
		Split:  Split{Weight: 0.1, Candidate: 2, Stable: 18},
	}
}

func with(s Sample, guard string, t Table) Sample {
	tables := map[string][]Table{}
	maps.Copy(tables, s.Tables)
	tables[guard] = []Table{t}
	s.Tables = tables
	return s
}

func scenes() []scene {
	failing := with(calm(), "batch-failure", Table{NC: 10, XC: 2, NB: 90})
	slower := with(calm(), "batch-slow", Table{NC: 10, XC: 4, NB: 90, XB: 4})
	both := with(with(calm(), "batch-failure", Table{NC: 20, XC: 1, NB: 80}), "batch-slow", Table{NC: 20, XC: 2, NB: 80, XB: 1})
	skewed := calm()
	skewed.Split = Split{Weight: 0.1, Candidate: 30, Stable: 70}
	misplaced := calm()
	misplaced.Split = Split{Weight: 0, Candidate: 1, Stable: 70}
	mismatching := calm()
	mismatching.Pairs = map[string]Pairs{"shadow-mismatch": {Compared: 20, Decided: 8, Worse: 8}}
	brokenStable := with(calm(), "batch-failure", Table{NC: 10, XC: 1, NB: 90, XB: 45})
	unshadowed := calm()
	unshadowed.Pairs = nil
	return []scene{
		{name: "nothing was seen", want: Inconclusive},
		{name: "a few quiet windows", samples: repeat(5, calm()), want: Inconclusive},
		{name: "healthy for long", samples: repeat(60, calm()), want: Pass},
		{name: "one guard without data", samples: repeat(60, unshadowed), want: Inconclusive},
		{name: "candidate fails", samples: append(repeat(20, calm()), repeat(3, failing)...), want: Fail, culprit: "batch-failure"},
		{name: "candidate is slow", samples: append(repeat(20, calm()), repeat(9, slower)...), want: Fail, culprit: "batch-slow"},
		{name: "two guards together", samples: repeat(5, both), want: Fail, culprit: CulpritJoint},
		{name: "shadow differs", samples: repeat(1, mismatching), want: Inconclusive},
		{name: "shadow differs again and again", samples: repeat(2, mismatching), want: Fail, culprit: "shadow-mismatch"},
		{name: "failed and recovered", samples: append(repeat(3, failing), repeat(100, brokenStable)...), want: Fail, culprit: "batch-failure"},
		{name: "routing is skewed", samples: append(repeat(5, skewed), repeat(5, failing)...), want: Broken, culprit: "batch-failure"},
		{name: "a key at weight 0", samples: repeat(60, misplaced), want: Broken},
		{name: "one hot key", samples: repeat(60, calm()), situation: Situation{TopKeyShare: 0.31}, want: Inconclusive},
		{name: "a key just below hot", samples: repeat(60, calm()), situation: Situation{TopKeyShare: 0.30}, want: Pass},
		{name: "stable is broken, candidate less so", samples: repeat(60, brokenStable), want: Inconclusive},
		{name: "stable is outside by other knowledge", samples: repeat(60, calm()), situation: Situation{StableOutside: "the provider is down"}, want: Inconclusive},
		{name: "a late fault, without the detector", samples: append(repeat(300, slower2()), repeat(9, late())...), want: Pass},
		{name: "a late fault during the bake", samples: append(repeat(300, slower2()), repeat(9, late())...), bakeFrom: 100, want: Fail, culprit: "batch-slow"},
	}
}

// slower2 and late are windows in which stable is a little slow, so that evidence for the
// candidate piles up, and in which the candidate then is.
func slower2() Sample { return with(calm(), "batch-slow", Table{NC: 10, NB: 90, XB: 6}) }
func late() Sample    { return with(calm(), "batch-slow", Table{NC: 10, XC: 5, NB: 90, XB: 4}) }

func (s scene) judge(t *testing.T) Judgement {
	t.Helper()
	e := newEvidence(t, DefaultPolicy())
	for i, w := range s.samples {
		if s.bakeFrom > 0 && i == s.bakeFrom {
			e.StartBake()
		}
		observe(t, e, uint64(i+1), w)
	}
	j, err := Judge(e, DefaultPolicy(), s.situation)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestJudgeGivesTheVerdictAndTheCulprit(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			j := s.judge(t)
			if j.Verdict != s.want || j.Culprit != s.culprit {
				t.Errorf("verdict %s, culprit %q; want %s, %q\n%s", j.Verdict, j.Culprit, s.want, s.culprit, strings.Join(j.Reasons, "\n"))
			}
			if len(j.Reasons) < len(j.Guards) {
				t.Errorf("only %d reasons for %d guards", len(j.Reasons), len(j.Guards))
			}
			if j.Verdict != Pass && len(j.Changes) == 0 && len(s.samples) > 0 {
				t.Error("it does not say what would change it")
			}
		})
	}
}

// What people read is reviewed as a text.
func TestJudgeExplainsItself(t *testing.T) {
	var out strings.Builder
	for _, s := range scenes() {
		j := s.judge(t)
		fmt.Fprintf(&out, "## %s: %s\n", s.name, j.Verdict)
		for _, r := range j.Reasons {
			fmt.Fprintf(&out, "   %s\n", r)
		}
		for _, c := range j.Changes {
			fmt.Fprintf(&out, "-> %s\n", c)
		}
		out.WriteByte('\n')
	}
	const file = "testdata/explain.golden"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("explanations changed (-want +got), -update rewrites them:\n%s", diff)
	}
}

func TestAnObservedGuardIsReportedAndDecidesNothing(t *testing.T) {
	p := DefaultPolicy()
	p.Guards = append(p.Guards, GuardPolicy{Name: "memory", Test: Arms, PMax: 0.1})
	e := newEvidence(t, p)
	for i, s := range repeat(60, with(calm(), "memory", Table{NC: 10, XC: 9, NB: 90})) {
		observe(t, e, uint64(i+1), s)
	}
	j, err := Judge(e, p, Situation{})
	if err != nil || j.Verdict != Pass || j.Guards[3].Verdict != Fail || j.Culprit != "" {
		t.Errorf("verdict %s, observed guard %s, culprit %q, %v", j.Verdict, j.Guards[3].Verdict, j.Culprit, err)
	}
	if !strings.HasPrefix(j.Reasons[0], "memory (observed only): ") {
		t.Errorf("reasons %q", j.Reasons)
	}
}

func TestWhatWouldChangeAVerdictIsTrue(t *testing.T) {
	e := newEvidence(t, DefaultPolicy())
	for i, s := range repeat(10, calm()) {
		observe(t, e, uint64(i+1), s)
	}
	j, err := Judge(e, DefaultPolicy(), Situation{})
	if err != nil {
		t.Fatal(err)
	}
	var good, bad int
	if _, err := fmt.Sscanf(j.Guards[0].Change, "%d more good units of the candidate and no bad one would pass it; %d more bad ones", &good, &bad); err != nil {
		t.Fatalf("%q: %v", j.Guards[0].Change, err)
	}
	body := stored(t, e)
	verdict := func(more Table, times int) Verdict {
		t.Helper()
		again := new(Evidence)
		if err := again.UnmarshalJSON([]byte(body)); err != nil {
			t.Fatal(err)
		}
		for i := range times {
			observe(t, again, uint64(100+i), failures(more))
		}
		j, err := Judge(again, DefaultPolicy(), Situation{})
		if err != nil {
			t.Fatal(err)
		}
		return j.Guards[0].Verdict
	}
	if v := verdict(Table{NC: int64(good), NB: 10}, 1); v != Pass {
		t.Errorf("after %d more good units: %s", good, v)
	}
	if v := verdict(Table{NC: int64(good) - 1, NB: 10}, 1); v != Inconclusive {
		t.Errorf("after %d more good units: %s", good-1, v)
	}
	if v := verdict(Table{NC: 10, XC: 1, NB: 90}, bad); v != Fail {
		t.Errorf("after %d more bad ones: %s", bad, v)
	}
	if v := verdict(Table{NC: 10, XC: 1, NB: 90}, bad-1); v != Inconclusive {
		t.Errorf("after %d more bad ones: %s", bad-1, v)
	}
}

func TestJudgeRefusesAPolicyTheEvidenceWasNotCollectedUnder(t *testing.T) {
	e := newEvidence(t, DefaultPolicy())
	for name, change := range map[string]func(*Policy){
		"margin":       func(p *Policy) { p.Margin = 1.5 },
		"must_detect":  func(p *Policy) { p.MustDetect = 4 },
		"alternatives": func(p *Policy) { p.Alternatives = []Alternative{{2, 1}} },
		"weights":      func(p *Policy) { p.Guards[0].Weight, p.Guards[1].Weight = 0.4, 0.3 },
		"guards":       func(p *Policy) { p.Guards = p.Guards[:1]; p.Guards[0].Weight = 1 },
		"not a policy": func(p *Policy) { p.Alpha = 2 },
	} {
		p := DefaultPolicy()
		change(&p)
		if _, err := Judge(e, p, Situation{}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for _, share := range []float64{-0.1, 1.1} {
		if _, err := Judge(e, DefaultPolicy(), Situation{TopKeyShare: share}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("top key share %g: %v, want ErrInvalid", share, err)
		}
	}
	p := DefaultPolicy()
	p.Alpha, p.Beta, p.MinExposures = 0.05, 0.1, 1000
	if _, err := Judge(e, p, Situation{}); err != nil {
		t.Errorf("another alpha, beta and number of units: %v", err)
	}
}

func TestAPassNeedsTheExposuresThePolicyAsksFor(t *testing.T) {
	p := DefaultPolicy()
	p.MinExposures = 601
	e := newEvidence(t, p)
	for i, s := range repeat(61, calm()) {
		if i == 60 {
			if j, err := Judge(e, p, Situation{}); err != nil || j.Verdict != Inconclusive {
				t.Errorf("with 600 units: %s, %v", j.Verdict, err)
			}
		}
		observe(t, e, uint64(i+1), s)
	}
	if j, err := Judge(e, p, Situation{}); err != nil || j.Verdict != Pass {
		t.Errorf("with 610 units: %s, %v", j.Verdict, err)
	}
}
