package guard

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

func TestCheckReportsEveryMistakeAtOnce(t *testing.T) {
	g := Guard{
		Name: "Bad Name", Criterion: "bad-luck", Source: "promtheus", Question: "memory", Against: "x", Window: -1, Fresh: time.Hour,
		Test: Test{Kind: "feel", Op: "about", Unit: "apples", Limit: math.NaN()}, Debounce: Debounce{Fails: 3, Of: 2},
		Action: "panic", OnNoData: "shrug", Needs: "luck",
	}
	err := g.Check("prod", "staging")
	if !errors.Is(err, lockstep.ErrInvalid) {
		t.Fatal(err)
	}
	for _, want := range []string{
		`name "Bad Name"`, `criterion "bad-luck": known are production-failure, data-integrity`, `source "promtheus": known are ledger, prod, staging`,
		"window -1ns", "fresh 1h0m0s", `test.kind "feel": known are value, ratio`, `test.unit "apples"`, "want numbers", "debounce 3 of 2",
		`action "panic": known are observe, hold, rollback`, `on_no_data "shrug"`, `needs "luck"`, "against:",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}

func TestCheck(t *testing.T) {
	good := valueGuard(AtMost, 10)
	for _, c := range []struct {
		name   string
		change func(*Guard)
		want   string // "": it checks
	}{
		{"good", func(*Guard) {}, ""},
		{"another source asks what it likes", func(g *Guard) { g.Source, g.Question = "prod", `up{job="x"}` }, ""},
		{"unknown metric", func(g *Guard) { g.Question = "memory" }, `question "memory": no such metric; known are candidate_units, `},
		{"no metric", func(g *Guard) { g.Question = "" }, "no such metric"},
		{"unknown metric of stable", func(g *Guard) { g.Test.Kind, g.Against = Ratio, "memory" }, `against "memory": no such metric`},
		{"ratio", func(g *Guard) { g.Test.Kind, g.Against, g.Test.Floor = Ratio, "memory_bytes_before", 3 }, ""},
		{"ratio without against", func(g *Guard) { g.Test.Kind = Ratio }, "against"},
		{"against without ratio", func(g *Guard) { g.Against = "memory_bytes" }, "against"},
		{"equal ratio", func(g *Guard) { g.Test.Kind, g.Against, g.Test.Op = Ratio, "memory_bytes", Equal }, "never equal"},
		{"floor of a value", func(g *Guard) { g.Test.Floor = 1 }, "test.floor"},
		{"floor of a lower bound", func(g *Guard) {
			g.Test.Kind, g.Against, g.Test.Op, g.Test.Floor = Ratio, "memory_bytes", AtLeast, 1
		}, "test.floor"},
		{"reduced growth", func(g *Guard) { g.Test.Kind, g.Test.Reduce = Increase, Sum }, "test.reduce"},
		{"present with a limit", func(g *Guard) { g.Test = Test{Kind: Present, Op: AtMost, Limit: 3, Unit: Count} }, "compares nothing"},
		{"absent", func(g *Guard) { g.Test, g.OnNoData = Test{Kind: Absent, Unit: Count}, NoDataPass }, ""},
		{"absent that cannot pass", func(g *Guard) { g.Test = Test{Kind: Absent, Unit: Count} }, "say pass"},
		{"no data is good news", func(g *Guard) { g.OnNoData = NoDataPass }, "no data is not good news"},
		{"no data may be good news for an observer", func(g *Guard) { g.OnNoData, g.Action = NoDataPass, Observe }, ""},
		{"a non-trigger that rolls back", func(g *Guard) { g.Criterion, g.Action = Lint, Rollback }, "not to roll back"},
		{"a non-trigger that holds", func(g *Guard) { g.Criterion = Docs }, "not to roll back"},
		{"no window", func(g *Guard) { g.Window = 0 }, "window"},
		{"long window", func(g *Guard) { g.Window = MaxWindow + 1 }, "window"},
		{"long question", func(g *Guard) { g.Source, g.Question = "prod", strings.Repeat("x", MaxQuestion+1) }, "4097 bytes"},
		{"debounce", func(g *Guard) { g.Debounce = Debounce{3, 5} }, ""},
		{"half a debounce", func(g *Guard) { g.Debounce = Debounce{Of: 5} }, "debounce"},
		{"long debounce", func(g *Guard) { g.Debounce = Debounce{1, 101} }, "debounce"},
	} {
		err := good.with(c.change).Check("prod")
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := CheckAll([]Guard{good, good}); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "twice") {
		t.Errorf("%v", err)
	}
}

func TestSelectAndFind(t *testing.T) {
	guards := Builtin()
	for _, g := range Select(guards) {
		if g.Needs != NeedNothing {
			t.Errorf("%s needs %s and was selected without", g.Name, g.Needs)
		}
	}
	if n := len(Select(guards, Needs()...)); n != len(guards) {
		t.Errorf("%d of %d", n, len(guards))
	}
	if _, err := BuiltinNamed("rederivatoin"); !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(err.Error(), "rederivation") {
		t.Errorf("%v", err)
	}
}

func TestUnitsAreWrittenForPeople(t *testing.T) {
	for _, c := range []struct {
		u    Unit
		v    float64
		want string
	}{
		{Count, 3, "3"},
		{Count, 1234567, "1234567"},
		{Share, 0.0123, "1.23 %"},
		{Seconds, 0.0123456, "12.3ms"},
		{Seconds, 901, "15m1s"},
		{Seconds, 1e12, "1e+12 s"},
		{Seconds, 0, "0s"},
		{Bytes, 512, "512 bytes"},
		{Bytes, 256 << 20, "256 MiB"},
		{Bytes, 1.5 * (1 << 30), "1.5 GiB"},
		{"apples", 2, "2"},
	} {
		if got := c.u.Format(c.v); got != c.want {
			t.Errorf("%s %g: %q, want %q", c.u, c.v, got, c.want)
		}
	}
}

// told is a Meter that answers what it was told, by question.
type told struct {
	series map[string]Series
	err    error
}

func (m told) Read(_ context.Context, q Query) (Series, error) { return m.series[q.Question], m.err }

func TestCollect(t *testing.T) {
	g := valueGuard(AtMost, 10).with(func(g *Guard) { g.Test.Kind, g.Against, g.Source = Ratio, "b", "prod" })
	g.Question = "a"
	meters := map[string]Meter{"prod": told{series: map[string]Series{
		"a": {Samples: []Sample{at(5, 1)}, Warnings: []string{"x"}, Stable: []Sample{at(1, 1)}, Err: "a meter does not say this"},
		"b": {Samples: []Sample{at(5, 2)}, Warnings: []string{"y"}},
	}}}
	s, err := Collect(t.Context(), meters, g, noon)
	if err != nil || s.Err != "" || len(s.Stable) != 1 || s.Stable[0].Value != 2 || s.Samples[0].Value != 1 || !slices.Equal(s.Warnings, []string{"x", "y"}) {
		t.Errorf("%+v, %v", s, err)
	}
	meters["prod"] = told{err: lockstep.ErrUnavailable}
	if s, err := Collect(t.Context(), meters, g, noon); err != nil || s.Err != "unavailable" {
		t.Errorf("a source that fails: %+v, %v", s, err)
	}
	g.Source = "prd"
	meters["dev"] = nil
	if _, err := Collect(t.Context(), meters, g, noon); !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(err.Error(), "known are dev, prod") {
		t.Errorf("an unknown source: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Collect(ctx, meters, g, noon); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	g.Source, meters["prod"] = "prod", told{err: context.Canceled}
	if _, err := Collect(t.Context(), meters, g, noon); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled inside: %v", err)
	}
}
