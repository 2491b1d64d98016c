package config

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func node(t *testing.T, text string) *Node {
	t.Helper()
	root, err := Parse(strings.NewReader("x: "+text+"\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	return root.Map("x").Get("x")
}

func TestScalars(t *testing.T) {
	for _, tc := range []struct {
		text string
		read func(*Node) any
		want any // nil: refused
	}{
		{"8MiB", func(n *Node) any { return n.Bytes(0, 0, math.MaxInt64) }, int64(8 << 20)},
		{"8 MiB", func(n *Node) any { return n.Bytes(0, 0, math.MaxInt64) }, int64(8 << 20)},
		{"512B", func(n *Node) any { return n.Bytes(0, 0, math.MaxInt64) }, int64(512)},
		{"512", func(n *Node) any { return n.Bytes(0, 0, math.MaxInt64) }, nil},
		{"8MB", func(n *Node) any { return n.Bytes(0, 0, math.MaxInt64) }, nil},
		{"-1KiB", func(n *Node) any { return n.Bytes(0, 0, math.MaxInt64) }, nil},
		{"9999999999GiB", func(n *Node) any { return n.Bytes(0, 0, math.MaxInt64) }, nil},
		{"1KiB", func(n *Node) any { return n.Bytes(0, 2048, 4096) }, nil},
		{"true", func(n *Node) any { return n.Bool(false) }, true},
		{"yes", func(n *Node) any { return n.Bool(false) }, nil},
		{"'true'", func(n *Node) any { return n.Bool(false) }, nil},
		{"1.5", func(n *Node) any { return n.Float(0, 0, 2) }, 1.5},
		{".nan", func(n *Node) any { return n.Float(0, 0, 2) }, nil},
		{"NaN", func(n *Node) any { return n.Float(0, 0, 2) }, nil},
		{"3", func(n *Node) any { return n.Float(0, 0, 2) }, nil},
		{"90s", func(n *Node) any { return n.Duration(0, 0, time.Hour) }, 90 * time.Second},
		{"2h", func(n *Node) any { return n.Duration(0, 0, time.Hour) }, nil},
		{"7", func(n *Node) any { return n.Int(0, 0, 9) }, int64(7)},
		{"0x7", func(n *Node) any { return n.Int(0, 0, 9) }, nil},
		{"12", func(n *Node) any { return n.Int(0, 0, 9) }, nil},
		{"1.10", func(n *Node) any { return n.Text("") }, nil},
		{"'1.10'", func(n *Node) any { return n.Text("") }, "1.10"},
		{"''", func(n *Node) any { return n.Text("") }, nil},
		{"{}", func(n *Node) any { return n.Text("") }, nil},
		{"'a|b'", func(n *Node) any { return n.Pattern().String() }, `\A(?:a|b)\z`},
	} {
		n := node(t, tc.text)
		got := tc.read(n)
		if err := n.Err(); (err == nil) != (tc.want != nil) {
			t.Errorf("%s: got %v, %v", tc.text, got, err)
		} else if tc.want != nil && got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.text, got, tc.want)
		}
	}
}

func TestPatternsThatAreNoExpressions(t *testing.T) {
	for _, text := range []string{"'('", "'a)(b'", "'" + strings.Repeat("x", MaxPatternBytes+1) + "'"} {
		n := node(t, text)
		if re := n.Pattern(); re != nil || n.Err() == nil {
			t.Errorf("%.20s: accepted", text)
		}
	}
}

func TestAnAbsentNodeAnswersTheDefault(t *testing.T) {
	var n *Node
	got := []any{n.Text("t"), n.Int(1, 0, 0), n.Float(2, 0, 0), n.Bool(true), n.Duration(3, 0, 0), n.Bytes(4, 0, 0), n.Enum("e"), len(n.List()), len(n.Map().All()), n.Path(), n.Err() == nil, n.IsMap()}
	want := []any{"t", int64(1), 2.0, true, time.Duration(3), int64(4), "e", 0, 0, "", true, false}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"listen", "data", "retention"}
	for in, want := range map[string]string{"lisen": "listen", "lsiten": "listen", "dta": "data", "retension": "retention", "x": "", "entities": ""} {
		if got := nearest(in, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestALongListOfProblemsIsCut(t *testing.T) {
	var b strings.Builder
	for i := range 80 {
		b.WriteString(strings.Repeat("k", i+1) + ": 1\n")
	}
	_, err := load(t, b.String())
	if err == nil || !strings.Contains(err.Error(), "80 problems") || !strings.Contains(err.Error(), "and 30 more") {
		t.Errorf("got %v", err)
	}
}
