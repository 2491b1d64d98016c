package imports

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// network is an import graph: modules by number, and edges.
type network struct {
	names []string
	index map[string]int
	edges []link
	out   [][]int // the edges of a module, by number
}

// link is an edge between numbers.
type link struct {
	Edge
	from, to int
}

func newNetwork() *network { return &network{index: map[string]int{}} }

func (n *network) module(name string) int {
	i, ok := n.index[name]
	if !ok {
		i = len(n.names)
		n.index[name] = i
		n.names = append(n.names, name)
		n.out = append(n.out, nil)
	}
	return i
}

func (n *network) add(e Edge) {
	l := link{Edge: e, from: n.module(e.From), to: n.module(e.To)}
	n.out[l.from] = append(n.out[l.from], len(n.edges))
	n.edges = append(n.edges, l)
}

// groups numbers the strongly connected components over the edges that count, by
// Tarjan's algorithm with a stack of its own: a chain of imports may be long.
func (n *network) groups(counts func(link) bool) (group []int, size []int) {
	group = slices.Repeat([]int{-1}, len(n.names))
	order, low := make([]int, len(n.names)), make([]int, len(n.names)) // order 0: not seen
	var open []int
	type frame struct{ node, next int }
	seen := 0
	for root := range n.names {
		if order[root] != 0 {
			continue
		}
		frames := []frame{{node: root}}
		for len(frames) > 0 {
			f := &frames[len(frames)-1]
			if f.next == 0 {
				seen++
				order[f.node], low[f.node] = seen, seen
				open = append(open, f.node)
			}
			if f.next < len(n.out[f.node]) {
				l := n.edges[n.out[f.node][f.next]]
				f.next++
				switch {
				case !counts(l):
				case order[l.to] == 0:
					frames = append(frames, frame{node: l.to})
				case group[l.to] < 0:
					low[f.node] = min(low[f.node], order[l.to])
				}
				continue
			}
			if low[f.node] == order[f.node] {
				size = append(size, 0)
				for {
					m := open[len(open)-1]
					open = open[:len(open)-1]
					group[m] = len(size) - 1
					size[len(size)-1]++
					if m == f.node {
						break
					}
				}
			}
			done := f.node
			if frames = frames[:len(frames)-1]; len(frames) > 0 {
				parent := frames[len(frames)-1].node
				low[parent] = min(low[parent], low[done])
			}
		}
	}
	return group, size
}

// maxSteps bounds the search for the shortest way around a group. Beyond it the shortest
// one so far is shown.
const maxSteps = 20_000_000

// around finds a shortest cycle that begins with one of the candidates, over edges that
// count. Of equally short ones the first in the order of the candidates wins.
func (n *network) around(ctx context.Context, candidates []int, counts func(link) bool) ([]Edge, error) {
	var best []int
	steps := 0
	before := make([]int, len(n.names)) // the edge by which a module was reached, from 1
	for _, c := range candidates {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if best != nil && (len(best) <= 2 || steps > maxSteps) {
			break
		}
		clear(before)
		steps += len(before) / 16
		first := n.edges[c]
		layer := []int{first.to}
		before[first.to] = c + 1
		for length := 1; len(layer) > 0 && before[first.from] == 0 && (best == nil || length+1 < len(best)); length++ {
			var next []int
			for _, m := range layer {
				for _, e := range n.out[m] {
					steps++
					if l := n.edges[e]; counts(l) && before[l.to] == 0 {
						before[l.to] = e + 1
						next = append(next, l.to)
					}
				}
			}
			layer = next
		}
		if before[first.from] == 0 {
			continue
		}
		way := []int{}
		for at := first.from; ; at = n.edges[before[at]-1].from {
			way = append(way, before[at]-1)
			if before[at]-1 == c {
				break
			}
		}
		slices.Reverse(way)
		best = way
	}
	out := make([]Edge, len(best))
	for i, e := range best {
		out[i] = n.edges[e].Edge
	}
	return out, nil
}

// members lists the names in each group of at least two.
func (n *network) members(group, size []int) map[int][]string {
	out := map[int][]string{}
	for i, g := range group {
		if size[g] > 1 {
			out[g] = append(out[g], n.names[i])
		}
	}
	for g := range out {
		slices.Sort(out[g])
	}
	return out
}

// sorted puts the edges into an order that does not depend on how they were found.
func (n *network) sorted(edges []int) []int {
	slices.SortStableFunc(edges, func(a, b int) int {
		x, y := n.edges[a], n.edges[b]
		return cmp.Or(strings.Compare(x.From, y.From), strings.Compare(x.To, y.To), x.Line-y.Line, x.Column-y.Column)
	})
	return edges
}

// rotated begins a cycle with the module whose name comes first, so that one cycle is
// always shown in one way.
func rotated(edges []Edge) []Edge {
	first := 0
	for i := range edges {
		if edges[i].From < edges[first].From {
			first = i
		}
	}
	return slices.Concat(edges[first:], edges[:first])
}

func sortCycles(cycles []Cycle) {
	rank := func(g Grade) int { return slices.Index([]Grade{Unresolvable, Ordered, Plain, Deferred}, g) }
	slices.SortStableFunc(cycles, func(a, b Cycle) int {
		return cmp.Or(rank(a.Grade)-rank(b.Grade), slices.Compare(a.Modules, b.Modules), strings.Compare(a.String(), b.String()))
	})
}
