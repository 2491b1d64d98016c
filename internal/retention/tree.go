package retention

import (
	"context"
	"fmt"
	"math"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// tree is the part of every kept entry that liveness depends on.
type tree struct {
	low   uint64 // the lowest valid entry, at least 1
	nodes []node // of the versions from low on
	head  *version.Entry
}

type node struct {
	parent uint64
	base   *version.BaseRef
	delta  string // key of its object, "" when inline or none
}

// readTree reads all entries, and checks their chain on the way: nothing is deleted
// on the word of a damaged log.
func readTree(ctx context.Context, log *version.Log) (*tree, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	low, err := log.Ledger().Low(ctx)
	if err != nil {
		return nil, err
	}
	t := &tree{low: max(low, 1), head: head.Entry}
	return t, t.extend(ctx, log, head)
}

// extend reads the entries that came since.
func (t *tree) extend(ctx context.Context, log *version.Log, head version.Head) error {
	next := t.low + uint64(len(t.nodes))
	if head.Number() < next {
		return nil
	}
	for le, err := range log.Ledger().Range(ctx, next, head.Number()) {
		if err != nil {
			return err
		}
		e, _, err := version.DecodeEntry(le.Body)
		if err != nil {
			return fmt.Errorf("version %d: %w", le.N, err)
		}
		n := node{parent: e.Parent, base: e.Base}
		if e.Delta != nil {
			n.delta = e.Delta.Key
		}
		t.nodes = append(t.nodes, n)
	}
	t.head = head.Entry
	return nil
}

// newest returns the head's number, low-1 for the empty log.
func (t *tree) newest() uint64 { return t.low + uint64(len(t.nodes)) - 1 }

// at returns a version's node, nil when it is not kept.
func (t *tree) at(n uint64) *node {
	if n < t.low || n > t.newest() {
		return nil
	}
	return &t.nodes[n-t.low]
}

// way returns the lowest version on the way between two states, MaxUint64 when
// there is none; version.ErrRetired when it leads through what is gone.
func (t *tree) way(a, b uint64) (uint64, error) {
	out := uint64(math.MaxUint64)
	for a != b {
		from := max(a, b)
		n := t.at(from)
		if n == nil {
			return 0, fmt.Errorf("version %d: %w", from, version.ErrRetired)
		}
		if n.parent >= from {
			return 0, fmt.Errorf("version %d: %w: its parent is %d", from, lockstep.ErrCorrupt, n.parent)
		}
		out = min(out, from)
		if a > b {
			a = n.parent
		} else {
			b = n.parent
		}
	}
	return out, nil
}

// joins returns, for every kept version, the newest version on the head's line that
// its own line goes through: the way from it to the head touches nothing at or below
// that. MaxUint64: that way is gone.
func (t *tree) joins() []uint64 {
	out := make([]uint64, len(t.nodes))
	onLine := make([]bool, len(t.nodes))
	n := t.newest()
	for node := t.at(n); node != nil; node = t.at(n) {
		onLine[n-t.low] = true
		n = node.parent
	}
	zero := n == 0 // the head's line is kept down to the empty index
	for i := range t.nodes {
		switch p := t.nodes[i].parent; {
		case onLine[i]:
			out[i] = t.low + uint64(i)
		case p >= t.low:
			out[i] = out[p-t.low]
		case p == 0 && zero:
			out[i] = 0
		default:
			out[i] = math.MaxUint64
		}
	}
	return out
}

// lineBases returns the bases that the entries of the head's line name, newest first.
func (t *tree) lineBases() []*version.BaseRef {
	var out []*version.BaseRef
	for n := t.at(t.newest()); n != nil; n = t.at(n.parent) {
		if n.base != nil && (len(out) == 0 || idOf(out[len(out)-1]) != idOf(n.base)) {
			out = append(out, n.base)
		}
	}
	return out
}
