package release

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestEveryPresetIsRenderedAsPeopleKnowIt(t *testing.T) {
	var b strings.Builder
	for _, name := range append(Presets(), "default-dev", "default-staging", "default-prod") {
		p, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p.Name != name {
			t.Errorf("preset %s is called %s", name, p.Name)
		}
		b.WriteString(p.String())
	}
	all := shortPlan()
	all.Allow, all.Deny = []string{"tenant-dev"}, []string{"tenant-big"}
	b.WriteString(all.String())
	golden(t, "plans.golden", b.String())
}

func TestAnUnknownPresetListsAllOfThem(t *testing.T) {
	_, err := Preset("Canary10Percent7Minutes")
	if !errors.Is(err, lockstep.ErrNotFound) || lockstep.HintOf(err) == "" {
		t.Fatalf("%v", err)
	}
	if len(Presets()) != 9 {
		t.Errorf("%d presets", len(Presets()))
	}
	for _, name := range Presets() {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

func TestAPlanThatMakesNoSenseIsRefused(t *testing.T) {
	pre, pro := Step{Kind: Preflight}, Step{Kind: Promotion}
	canary := func(w Weight) Step { return Step{Kind: Canary, Weight: w} }
	for name, steps := range map[string][]Step{
		"nothing":                   {},
		"no preflight":              {canary(1), pro},
		"no promotion":              {pre, canary(1)},
		"two preflights":            {pre, pre, pro},
		"weights fall":              {pre, canary(20), canary(10), pro},
		"a canary of nothing":       {pre, canary(0), pro},
		"a canary of too much":      {pre, canary(10001), pro},
		"shadow after canary":       {pre, canary(1), {Kind: Shadow}, pro},
		"a bake of nothing":         {pre, {Kind: Bake, For: time.Hour}, pro},
		"a bake of less":            {pre, canary(20), {Kind: Bake, Weight: 10}, pro},
		"a shadow with weight":      {pre, {Kind: Shadow, Weight: 1}, pro},
		"an unknown step":           {pre, {Kind: "pray"}, pro},
		"time in reverse":           {pre, {Kind: Canary, Weight: 1, For: -1}, pro},
		"mix not sorted":            {pre, {Kind: Canary, Weight: 1, Mix: []lockstep.Event{lockstep.Remove, lockstep.Insert}}, pro},
		"unknown change":            {pre, {Kind: Canary, Weight: 1, Mix: []lockstep.Event{"TRUNCATE"}}, pro},
		"approval of a canary":      {pre, {Kind: Canary, Weight: 1, Approvals: 1}, pro},
		"promotion that takes time": {pre, {Kind: Promotion, For: time.Hour}},
	} {
		if err := (Plan{Name: "p", Steps: steps}).Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, p := range map[string]Plan{
		"no name":     {Steps: shortPlan().Steps},
		"empty key":   {Name: "p", Steps: shortPlan().Steps, Allow: []string{""}},
		"too many":    {Name: "p", Steps: shortPlan().Steps, Deny: make([]string, MaxKeys+1)},
		"key of junk": {Name: "p", Steps: shortPlan().Steps, Deny: []string{"\xff"}},
	} {
		if err := p.Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := shortPlan().Check(); err != nil {
		t.Errorf("the plan that all others are made of: %v", err)
	}
}

func TestPlansAreEqualWhenTheirHashesAre(t *testing.T) {
	seen := map[string]string{}
	for _, change := range []func(*Plan){
		func(*Plan) {}, func(p *Plan) { p.Name = "other" }, func(p *Plan) { p.Steps[2].Weight++ }, func(p *Plan) { p.Steps[2].For++ },
		func(p *Plan) { p.Allow = []string{"a"} }, func(p *Plan) { p.Deny = []string{"a"} }, func(p *Plan) { p.Steps[4].Approvals = 2 },
	} {
		p := shortPlan()
		change(&p)
		if other, there := seen[p.Hash()]; there {
			t.Errorf("%s and %s share a hash", p.String(), other)
		}
		seen[p.Hash()] = p.String()
	}
	if again := shortPlan(); seen[again.Hash()] == "" {
		t.Error("the same plan has two hashes")
	}
}
