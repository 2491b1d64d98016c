package shadow

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func TestHardClassesAreTheInvariants(t *testing.T) {
	for c, hard := range map[Class]bool{
		"lines/record/missing": true, "lines/record/extra": true, "lines/op/deleted": true, "lines/op/kept": true,
		"lines/vector/dimension": true, "lines/vector/missing": true, "lines/vector/extra": true,
		"lines/vector/distance-far": false, "lines/document/missing": false, "lines/metadata.record/missing": false,
		"lines/metadata.vector/missing": false, ErrorCandidate: false, ErrorBoth: false,
	} {
		if err := c.Check(); err != nil || c.Hard() != hard {
			t.Errorf("%s: hard %v, %v", c, c.Hard(), err)
		}
	}
}

func TestUnknownClassesAreRefused(t *testing.T) {
	for _, c := range []Class{
		"", "lines", "lines/record", "lines/record/value", "/record/missing", "lines/metadata./value", "lines/metadata.a/dimension",
		"lines/metadata.a/b/value", "error/nobody", "lines/error/both", Class("lines/metadata." + strings.Repeat("x", 500) + "/value"), "lines/metadata.\xff/value",
	} {
		if err := c.Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// Whatever a key holds, its class is one short word of three parts, other than that of any
// other key, and a glob that matches only itself.
func TestEveryKeyHasAClassOfItsOwn(t *testing.T) {
	key := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z/*%\\\[ ]{0,6}`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.IntRange(100, 400), func(n int) string { return strings.Repeat("é", n) }))
	rapid.Check(t, func(r *rapid.T) {
		a, b := key.Draw(r, "a"), key.Draw(r, "b")
		class := func(k string) Class { return classOf("lines", keyField(k), kindValue) }
		if err := class(a).Check(); err != nil {
			r.Fatal(err)
		}
		if (a == b) != (class(a) == class(b)) {
			r.Fatalf("%q and %q: %q and %q", a, b, class(a), class(b))
		}
		if ok, err := path.Match(string(class(a)), string(class(a))); !ok || err != nil {
			r.Fatalf("%q as a glob: %v, %v", class(a), ok, err)
		}
	})
}

func TestAcceptanceNeedsEndReasonAndName(t *testing.T) {
	good := Acceptance{Class: "lines/*/value", Until: noon, Reason: "new labels", By: "ana"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	failures := good
	failures.Class = "error/stable"
	if err := failures.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Acceptance){
		"class":      func(a *Acceptance) { a.Class = "" },
		"glob":       func(a *Acceptance) { a.Class = "lines/[/value" },
		"everything": func(a *Acceptance) { a.Class = "*" },
		"two parts":  func(a *Acceptance) { a.Class = "lines/value" },
		"end":        func(a *Acceptance) { a.Until = time.Time{} },
		"reason":     func(a *Acceptance) { a.Reason = " " },
		"name":       func(a *Acceptance) { a.By = "" },
	} {
		a := good
		change(&a)
		if err := a.Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAcceptanceByGlob(t *testing.T) {
	for _, tt := range []struct {
		glob  string
		class Class
		want  bool
	}{
		{"lines/metadata.shop/value", "lines/metadata.shop/value", true},
		{"lines/*/*", "lines/metadata.shop/value", true},
		{"*/metadata.*/extra", "words/metadata.a%2Fb/extra", true},
		{"lines/*/*", "words/metadata.shop/value", false},
		{"lines/*/*", "lines/record/missing", false}, // an invariant is not given away by a star
		{"lines/record/*", "lines/record/missing", false},
		{"lines/*/missing", "lines/record/missing", false},
		{"*/record/missing", "lines/record/missing", true},
		{"lines/vector/*", "lines/vector/dimension", false},
		{"lines/vector/*", "lines/vector/distance-near", true},
		{"error/*", ErrorStable, true},
		{"*/*/*", ErrorStable, false},
	} {
		a := Acceptances{{Class: tt.glob, Until: noon}}
		if _, got := a.Of(tt.class, noon.Add(-1)); got != tt.want {
			t.Errorf("%s accepts %s: %v", tt.glob, tt.class, got)
		}
		if _, got := a.Of(tt.class, noon); got {
			t.Errorf("%s accepts %s after its end", tt.glob, tt.class)
		}
	}
}

func TestRulesThatCannotBeMeant(t *testing.T) {
	if err := (Rules{Ignore: []Ignore{{Key: "*_at"}}, Delta: 0.25, Floor: 1}).Check(); err != nil {
		t.Error(err)
	}
	for _, r := range []Rules{
		{Delta: -1}, {Delta: 1e9}, {Floor: -1}, {Ignore: []Ignore{{}}}, {Ignore: []Ignore{{Key: "["}}}, {Ignore: []Ignore{{Key: "a", Collection: "["}}},
	} {
		if err := r.Check(); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
