package lockstep

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValueCheckRefusesWhatChromaWouldChange(t *testing.T) {
	for _, c := range []struct {
		name string
		v    Value
		want string // "" accepts
	}{
		{"empty string", String(""), ""},
		{"string", String("héllo\x00"), ""},
		{"string that is not UTF-8", String("a\xff"), "not UTF-8"},
		{"int", Int(math.MinInt64), ""},
		{"float", Float(math.MaxFloat64), ""},
		{"smallest float", Float(math.SmallestNonzeroFloat64), ""},
		{"NaN", Float(math.NaN()), "finite"},
		{"+Inf", Float(math.Inf(1)), "finite"},
		{"-Inf", Float(math.Inf(-1)), "finite"},
		{"bool", Bool(false), ""},
		{"strings", Strings("a", "a", ""), ""},
		{"empty list", List(nil), "empty list"},
		{"empty strings", Strings(), "empty list"},
		{"list in a list", List([]Value{Strings("a")}), "list inside a list"},
		{"mixed list", List([]Value{Int(1), Float(1)}), "a list of int and float"},
		{"list of NaN", List([]Value{Float(1), Float(math.NaN())}), "finite"},
		{"list of broken text", Strings("a", "\xc3"), "not UTF-8"},
		{"list of nothing", List([]Value{{}}), "no kind"},
		{"zero", Value{}, "no kind"},
	} {
		err := c.v.Check()
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ErrInvalid with %q", c.name, err, c.want)
		}
	}
}

func TestValuesOfDifferentKindsAreNotEqual(t *testing.T) {
	values := []Value{
		{},
		String(""), String("1"), String("true"), Int(0), Int(1), Float(0), Float(1), Bool(false), Bool(true),
		Strings("1"), Strings("1", "2"), Strings("2", "1"), List([]Value{Int(1)}), List([]Value{Float(1)}), List([]Value{Bool(true)}),
	}
	for i, v := range values {
		for j, w := range values {
			if got := v.Equal(w); got != (i == j) {
				t.Errorf("%#v equal to %#v: %t", v, w, got)
			}
		}
	}
	if !Strings("a", "b").Equal(List([]Value{String("a"), String("b")})) {
		t.Error("equal lists differ")
	}
}

func TestMinusZeroIsZero(t *testing.T) {
	v := Float(math.Copysign(0, -1))
	if !v.Equal(Float(0)) || math.Signbit(v.Float()) {
		t.Errorf("%#v", v)
	}
}

func TestAccessorsAnswerZeroForOtherKinds(t *testing.T) {
	for _, c := range []struct {
		v    Value
		kind Kind
		any  any
		show string
	}{
		{String("s"), KindString, "s", "string(s)"},
		{Int(-7), KindInt, int64(-7), "int(-7)"},
		{Float(2.5), KindFloat, 2.5, "float(2.5)"},
		{Bool(true), KindBool, true, "bool(true)"},
		{Bool(false), KindBool, false, "bool(false)"},
		{Strings("a", "b"), KindList, []any{"a", "b"}, "list([a b])"},
		{Value{}, 0, nil, "kind(0)(<nil>)"},
	} {
		if c.v.Kind() != c.kind {
			t.Errorf("%#v has kind %s", c.v, c.v.Kind())
		}
		if diff := cmp.Diff(c.any, c.v.Any()); diff != "" {
			t.Errorf("Any of %#v (-want +got):\n%s", c.v, diff)
		}
		if got := c.v.GoString(); got != c.show {
			t.Errorf("shown as %q, want %q", got, c.show)
		}
		if (c.v.Str() != "") != (c.kind == KindString) || (c.v.Int() != 0) != (c.kind == KindInt) || (c.v.Float() != 0) != (c.kind == KindFloat) ||
			c.v.Bool() != (c.any == true) || (c.v.Elems() != nil) != (c.kind == KindList) {
			t.Errorf("accessors of %#v: %q %d %g %t %v", c.v, c.v.Str(), c.v.Int(), c.v.Float(), c.v.Bool(), c.v.Elems())
		}
	}
}
