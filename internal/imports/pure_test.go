package imports

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPathsAreChosenByPatterns(t *testing.T) {
	for _, tt := range []struct {
		patterns string
		yes, no  string
	}{
		{"", "a a/b.py .x", ""},
		{".", "a a/b.py", ""},
		{"**/*.py", "a.py x/a.py x/y/a.py", "a.go x/a.py/b.go"},
		{"*.py", "a.py", "x/a.py"},
		{"infra/lambdas", "infra/lambdas infra/lambdas/a infra/lambdas/a/b", "infra/lambdas2 infra"},
		{"infra/lambdas/", "infra/lambdas/a", "infra/x"},
		{"infra/*", "infra/a", "infra/a/b"},
		{"a/**/b/**/c", "a/b/c a/x/b/y/z/c", "a/c b/c"},
		{"** !**/tests/** !x.py", "a.py y/x.py", "tests/a a/tests/b x.py"},
		{"!docs", "a", "docs docs/a"},
		{"[ab]?.py", "ax.py", "cx.py a.py"},
	} {
		g, err := parseGlobs(strings.Fields(tt.patterns))
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(tt.yes) {
			if !g.choose(name) {
				t.Errorf("%q does not choose %s", tt.patterns, name)
			}
		}
		for name := range strings.FieldsSeq(tt.no) {
			if g.choose(name) {
				t.Errorf("%q chooses %s", tt.patterns, name)
			}
		}
	}
}

// TestPatternsMeanWhatTheirExpressionsMean compares with regular expressions.
func TestPatternsMeanWhatTheirExpressionsMean(t *testing.T) {
	part := rapid.SampledFrom([]string{"**", "*", "a", "b", "a*"})
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(part, 1, 5).Draw(t, "pattern")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab"}), 1, 6).Draw(t, "path"), "/")
		var expr strings.Builder
		for _, p := range parts {
			switch p {
			case "**":
				expr.WriteString(`(?:[^/]+/)*`)
			default:
				expr.WriteString(strings.ReplaceAll(p, "*", "[^/]*") + "/")
			}
		}
		if !strings.Contains(parts[len(parts)-1], "*") {
			expr.WriteString(`(?:[^/]+/)*`) // and all that is below it
		}
		want := regexp.MustCompile("^" + expr.String() + "$").MatchString(name + "/")
		g, err := parseGlob(strings.Join(parts, "/"))
		if err != nil {
			t.Fatal(err)
		}
		if got := g.match(strings.Split(name, "/")); got != want {
			t.Fatalf("%v on %s: %t", parts, name, got)
		}
	})
}

// TestCyclesAreShortestWaysAround compares with the distances of all pairs.
func TestCyclesAreShortestWaysAround(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 7
		n := newNetwork()
		for i := range size {
			n.module(fmt.Sprint(i))
		}
		far := [size][size]int{}
		for i := range far {
			for j := range far[i] {
				far[i][j] = 100
			}
		}
		pairs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]int {
			return [2]int{rapid.IntRange(0, size-1).Draw(t, "from"), rapid.IntRange(0, size-1).Draw(t, "to")}
		}), 0, 14).Draw(t, "edges")
		for _, p := range pairs {
			if p[0] != p[1] {
				n.add(Edge{From: fmt.Sprint(p[0]), To: fmt.Sprint(p[1])})
				far[p[0]][p[1]] = 1
			}
		}
		for k := range size {
			for i := range size {
				for j := range size {
					far[i][j] = min(far[i][j], far[i][k]+far[k][j])
				}
			}
		}
		all := func(link) bool { return true }
		group, count := n.groups(all)
		for i := range size {
			for j := range size {
				if same := i == j || far[i][j] < 100 && far[j][i] < 100; same != (group[i] == group[j]) {
					t.Fatalf("%d and %d: one group %t", i, j, group[i] == group[j])
				}
			}
		}
		for g, members := range n.members(group, count) {
			shortest := 100
			var inner []int
			for i := range size {
				if group[i] == g {
					shortest = min(shortest, far[i][i])
				}
			}
			for e, l := range n.edges {
				if group[l.from] == g && group[l.to] == g {
					inner = append(inner, e)
				}
			}
			way, err := n.around(t.Context(), n.sorted(inner), func(l link) bool { return group[l.to] == g })
			if err != nil {
				t.Fatal(err)
			}
			if len(way) != shortest || len(members) < 2 {
				t.Fatalf("%d edges, the shortest way has %d", len(way), shortest)
			}
			for i, e := range way {
				if next := way[(i+1)%len(way)]; e.To != next.From {
					t.Fatalf("%v does not close", way)
				}
				if !slices.Contains(members, e.From) {
					t.Fatalf("%s is not of the group", e.From)
				}
			}
		}
	})
}
