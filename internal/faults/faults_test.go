package faults

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/handler"
	"lockstep/internal/handler/contract"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/release"
)

var update = flag.Bool("update", false, "write docs/faults.md")

func TestMain(m *testing.M) {
	if mode := os.Getenv(ProgramEnv); mode != "" {
		if err := Serve(context.Background(), mode, Process{os.Stdin, os.Stdout, os.Stderr}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func options(t *testing.T) Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o, err := Options{Now: time.Now, Self: []string{self}, Dir: t.TempDir(), Shadow: ShadowOff, Receipts: 250}.resolved()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAFailingCandidateIsCaughtAndAGoodOneIsPromoted(t *testing.T) {
	o := options(t)
	rep, err := Run(t.Context(), o, "fails-1-in-20", "answers-garbage", "crashes-on-start", "healthy-shuffled")
	if err != nil {
		t.Fatal(err)
	}
	for i := range rep.Rows {
		row := &rep.Rows[i]
		if !row.AsDeclared {
			t.Errorf("%s: %s\n%s", row.Fault.ID, row.sentence(), row.Result.Reason)
		}
	}
	if by := rep.Rows[0].Result.By; by != "preflight" {
		t.Errorf("what fails on recorded changes was caught by %q", by)
	}
	if r := rep.Rows[len(rep.Rows)-1].Result; r.Units == 0 || r.Bad != 0 || r.Records == 0 {
		t.Errorf("of the good one nothing was measured: %+v", r)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v behind, %v", left, err)
	}
}

// What nobody looks for must show as harm, or the numbers of the table mean nothing.
func TestHarmOfASilentFaultIsCounted(t *testing.T) {
	o := options(t)
	f, err := Find([]string{"extra-key"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := open(t.Context(), o, scene{seed: 3, handlers: []handler.Handler{f[0].candidate()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	tr := trial{world: w, candidate: "receipts@extra-key", edits: 15, batches: 120, shadow: notCompared}
	res, err := tr.release(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if res.Harmed == 0 || res.Outside != 0 || res.Mirror != 0 {
		t.Errorf("%d harmed, %d outside, %d mirrored; want some, none, none", res.Harmed, res.Outside, res.Mirror)
	}
	if res.Exposed <= 0 {
		t.Error("a candidate that writes wrong records was exposed for no time")
	}
}

func TestRowsSayWhatIsNotAsDeclared(t *testing.T) {
	bad := Fault{ID: "x", Catch: []string{"batch-failure"}, Harm: HarmKeys, Shadow: true}
	fine := Fault{ID: "y", Harm: HarmNone}
	for _, c := range []struct {
		fault  Fault
		result Result
		shadow shadowing
		note   string
		as     bool
	}{
		{bad, Result{Ended: EndPromoted}, notCompared, "NOT CAUGHT", false},
		{bad, Result{Ended: EndUnderWay}, notCompared, "NOT CAUGHT", false},
		{bad, Result{Ended: EndHeld, By: "batch-failure"}, notCompared, "NOT CAUGHT", false},
		{bad, Result{Ended: EndRolledBack, By: "batch-failure", Harmed: 3}, notCompared, "", true},
		{bad, Result{Ended: EndRolledBack, By: "batch-failure", Harmed: 3}, compared, "harmed 3, may harm none", false},
		{bad, Result{Ended: EndRolledBack, By: "batch-failure", Harmed: 3, Outside: 1}, notCompared, "harmed 1 of keys that it never had", false},
		{bad, Result{Ended: EndRolledBack, By: "batch-slow"}, notCompared, "by another guard than declared", true},
		{bad, Result{Ended: EndUnfit, By: preflight}, compared, "by another guard than declared", true},
		{fine, Result{Ended: EndPromoted}, notCompared, "", true},
		{fine, Result{Ended: EndPromoted, Mirror: 1}, notCompared, "harmed 1 items of the mirror", false},
		{fine, Result{Ended: EndRolledBack}, notCompared, "caught, and it is good", false},
		{fine, Result{Ended: EndUnderWay}, notCompared, "not promoted, and it is good", false},
	} {
		r := Row{Fault: c.fault, Result: c.result}
		r.judge(c.shadow)
		if r.Note != c.note || r.AsDeclared != c.as {
			t.Errorf("%s %+v: %q, as declared %t; want %q, %t", c.fault.ID, c.result, r.Note, r.AsDeclared, c.note, c.as)
		}
	}
}

func TestWhatCaughtAFaultIsInTheLedger(t *testing.T) {
	for want, r := range map[string]release.Release{
		"":                {Ending: &release.Ending{Outcome: release.Called, Reason: "batch-failure, said a person"}},
		"batch-slow":      {Ending: &release.Ending{Outcome: release.RolledBack, Culprit: &release.Culprit{Source: release.FromAnalysis, Name: "batch-slow"}}},
		"shadow-mismatch": {Ending: &release.Ending{Outcome: release.RolledBack, Culprit: &release.Culprit{Source: release.FromShadow, Name: "lines/id-set"}}},
		preflight:         {Ending: &release.Ending{Outcome: release.Unfit, Culprit: &release.Culprit{Source: release.FromPreflight, Name: preflight}}},
		"unit-time":       {Halt: &release.Halt{Kind: release.Held, Culprit: &release.Culprit{Source: release.FromGuard, Name: "unit-time"}}},
	} {
		var res Result
		if res.end(&r); res.By != want {
			t.Errorf("%+v %+v: %q, want %q", r.Ending, r.Halt, res.By, want)
		}
	}
}

// A fault that behaves like stable on all traffic would be a row that tests nothing.
func TestEveryBadHandlerAnswersOtherwiseThanStable(t *testing.T) {
	for _, f := range Catalogue() {
		if f.candidate == nil || len(f.Catch) == 0 || !f.Shadow {
			continue
		}
		t.Run(f.ID, func(t *testing.T) {
			if f.ID == "hangs" || f.ID == "fails-later" {
				t.Skip("it differs in time")
			}
			g := synth.New(5, synth.Options{Receipts: 30, Lines: synth.Range{Min: 3, Max: 4}, Words: synth.Range{Min: 1, Max: 2}, Dimension: dimension, Labels: 60, Place: f.places})
			if !differs(t, f.candidate(), g) {
				t.Error("its records are those of stable")
			}
		})
	}
}

func differs(t *testing.T, h handler.Handler, g *synth.Generator) bool {
	t.Helper()
	a, b := contract.NewIndex(good("stable"), g.Import), contract.NewIndex(h, g.Import)
	a.Now, b.Now = time.Unix(1000, 0), time.Unix(1000, 0)
	feed := func(m lockstep.Message) (differ bool) {
		defer func() { differ = recover() != nil || differ }()
		if _, err := a.Apply(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		_, err := b.Apply(t.Context(), m)
		return err != nil
	}
	for e := range g.Events() {
		if feed(e.Message()) {
			return true
		}
	}
	for _, edit := range g.Edits(600) {
		var ms []lockstep.Message
		for _, e := range edit.Events {
			ms = append(ms, e.Message())
		}
		_, errA := a.Apply(t.Context(), ms...)
		differ := false
		func() {
			defer func() { differ = recover() != nil || differ }()
			_, err := b.Apply(t.Context(), ms...)
			differ = err != nil
		}()
		if errA != nil {
			t.Fatal(errA)
		}
		if differ || len(b.Parked) > len(a.Parked) || !cmp.Equal(a.State(), b.State()) {
			return true
		}
	}
	return false
}

func TestGoodCandidatesKeepTheContract(t *testing.T) {
	g := synth.New(2, synth.Options{Receipts: 4, Lines: synth.Range{Min: 1, Max: 3}, Words: synth.Range{Min: 1, Max: 2}, Dimension: dimension, Labels: 60})
	f := contract.Fixture{Source: g.Import, Convergent: true}
	for e := range g.Events() {
		f.Messages = append(f.Messages, e.Message())
	}
	for _, edit := range g.Edits(80) {
		for _, e := range edit.Events {
			f.Messages = append(f.Messages, e.Message())
		}
	}
	for _, h := range []handler.Handler{sane(0), sane(1)} {
		if err := contract.Run(t.Context(), h, f, contract.Options{Orders: 3}).Err(); err != nil {
			t.Error(err)
		}
	}
}

func TestTheCatalogueIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Catalogue() {
		if f.ID == "" || f.What == "" || !strings.HasSuffix(f.What, ".") || f.Origin == "" || f.Harm == "" || seen[f.ID] {
			t.Errorf("%+v", f)
		}
		seen[f.ID] = true
		if f.candidate != nil {
			if err := f.candidate().Describe().Check(); err != nil {
				t.Errorf("%s: %v", f.ID, err)
			}
		}
	}
	for _, id := range []string{
		"crashes-on-start", "fails-1-in-20", "fails-on-deletes", "slow-3x", "leaks-memory", "wrong-1-percent", "drops-50th",
		"extra-key", "deletes-too-much", "not-deterministic", "wrong-dimension", "hangs", "floods-stderr", "answers-garbage",
	} {
		if !seen[id] {
			t.Errorf("%s is missing", id)
		}
	}
	if _, err := Find([]string{"no-such"}); !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(err.Error(), "extra-key") {
		t.Error(err)
	}
}

// Each row of the comparison of old and new (11) that can change data or lose work is a
// fault, or in the list of what is none.
func TestEveryRowOfTheComparisonIsAccountedFor(t *testing.T) {
	page := Page()
	for _, row := range []int{1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 16, 18, 19, 22, 25, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38} {
		if !mentions(page, row) {
			t.Errorf("11.%d is nowhere", row)
		}
	}
}

func mentions(page string, row int) bool {
	if regexp.MustCompile(fmt.Sprintf(`\b11\.%d\b`, row)).MatchString(page) {
		return true
	}
	for _, r := range [][2]int{{2, 4}, {12, 14}} {
		if row >= r[0] && row <= r[1] && strings.Contains(page, fmt.Sprintf("11.%d to 11.%d", r[0], r[1])) {
			return true
		}
	}
	return false
}

func TestThePageIsThatOfTheCatalogue(t *testing.T) {
	const path = "../../docs/faults.md"
	if *update {
		if err := os.WriteFile(path, []byte(Page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Page(), string(got)); diff != "" {
		t.Errorf("run go test ./internal/faults -update (-catalogue +page):\n%s", diff)
	}
}

func TestTheBoundIsThatOfClopperAndPearson(t *testing.T) {
	for _, c := range []struct {
		k, n int
		want float64
	}{
		{0, 300, 1 - math.Pow(0.01, 1.0/300)}, // in closed form
		{0, 1, 0.99},
		{1, 2, math.Sqrt(0.99)},
		{5, 5, 1},
	} {
		if got := upperBound(c.k, c.n, 0.99); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%d of %d: %.12f, want %.12f", c.k, c.n, got, c.want)
		}
	}
	if got := atMost(300, 0.01, 0.99); got != 8 {
		t.Errorf("of 300 up to %d, want 8", got)
	}
	if p := atMostOf(300, 300, 0.3); math.Abs(p-1) > 1e-9 {
		t.Errorf("everything has the chance %g", p)
	}
}

func TestAnEndedContextEndsARun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, options(t), "extra-key"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := HealthyRate(ctx, options(t), 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, o := range []Options{{}, {Now: time.Now, Batches: -1}, {Now: time.Now, Shadow: "maybe"}} {
		if _, err := Run(t.Context(), o); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestTheTableHasARowForEachFault(t *testing.T) {
	rep := Report{Rows: []Row{
		{Fault: Fault{ID: "a", Kind: Builtin}, Result: Result{Ended: EndPromoted, Harmed: 3, Records: 9, Mirror: 2}, Note: "NOT CAUGHT"},
		{Fault: Fault{ID: "b", Kind: Exec}, Result: Result{Ended: EndRolledBack, By: "batch-failure", Step: "canary 10%", Units: 7, Exposed: time.Second}, AsDeclared: true},
	}}
	var out bytes.Buffer
	if err := rep.Print(&out); err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(out.String()))
	if len(lines) != 5 || !strings.Contains(lines[1], "3/9 +2 mirrored") || !strings.Contains(lines[1], "NOT CAUGHT") ||
		!strings.Contains(lines[2], "canary 10%") || lines[4] != "2 faults, released without a shadow step: 1 as declared, 1 not\n" {
		t.Errorf("%s", &out)
	}
}
