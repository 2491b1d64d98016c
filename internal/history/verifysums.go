package history

import (
	"context"
	"fmt"
	"maps"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// sums are the sums of all collections of one version; never changed once made.
type sums map[lockstep.Collection]*version.Tally

// plus returns the sums after a change.
func (s sums) plus(change sums) sums { return s.with(change, (*version.Tally).Add) }

// minus returns the sums before a change.
func (s sums) minus(change sums) sums { return s.with(change, (*version.Tally).Sub) }

func (s sums) with(change sums, fold func(sum, by *version.Tally)) sums {
	out := make(sums, len(s))
	maps.Copy(out, s)
	for c, t := range change {
		sum := version.Tally{}
		if old := out[c]; old != nil {
			sum = *old
		}
		fold(&sum, t)
		out[c] = &sum
	}
	return out
}

// digests computes the sums of every version and compares them with its entry.
func (v *verifier) digests(ctx context.Context, low, head uint64) error {
	var h version.Hasher
	if low <= 1 {
		v.sums[0] = sums{}
	} else if err := v.backward(ctx, &h); err != nil {
		return err
	}
	for n := low; n <= head; n++ {
		node := v.nodes[n]
		if node == nil {
			v.step()
			continue // reported by the check of the chain
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !node.proved {
			if err := v.forward(ctx, &h, n, node); err != nil {
				return err
			}
			v.step()
		}
		if node.children == 0 {
			delete(v.sums, n)
		}
		if p := v.nodes[node.parent]; p != nil {
			if p.children--; p.children == 0 {
				delete(v.sums, node.parent)
			}
		}
	}
	return nil
}

// forward proves one version by its parent's sums. The delta is read and hashed in
// any case.
func (v *verifier) forward(ctx context.Context, h *version.Hasher, n uint64, node *node) error {
	change, ok, err := v.change(ctx, h, n, node)
	if err != nil {
		return err
	}
	before, known := v.sums[node.parent]
	if !ok || !known {
		v.report.Unproved++
		return nil
	}
	after := before.plus(change)
	v.compare(n, node.collections, after)
	v.sums[n] = after
	return nil
}

// backward proves the view's version and its ancestors, from the sums that its own
// records have.
func (v *verifier) backward(ctx context.Context, h *version.Hasher) error {
	after := sums{}
	for _, c := range v.view.Collections() {
		t := v.view.Tally(c)
		after[c] = &t
	}
	for n := v.view.Version(); ; {
		node := v.nodes[n]
		if node == nil || n == v.view.Version() || node.children > 1 {
			v.sums[n] = after // others begin here
		}
		if node == nil {
			return nil // the line goes on in what retention removed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		node.proved = true
		v.compare(n, node.collections, after)
		change, ok, err := v.change(ctx, h, n, node)
		if err != nil || !ok {
			v.step()
			return err
		}
		v.step()
		after, n = after.minus(change), node.parent
	}
}

// change returns what the delta of a version does to the sums; ok is false when it
// cannot be read, which is reported.
func (v *verifier) change(ctx context.Context, h *version.Hasher, n uint64, node *node) (change sums, ok bool, err error) {
	if node.delta == "" {
		return nil, true, nil
	}
	d, err := v.log.Delta(ctx, n)
	if err != nil {
		return nil, false, v.finding("delta", n, node.delta, err)
	}
	v.report.Deltas++
	return d.Sums(h), true, nil
}

// compare checks the entry of a version against its sums.
func (v *verifier) compare(n uint64, want []version.CollectionState, have sums) {
	good := true
	wrong := func(name lockstep.Collection, format string, args ...any) {
		good = false
		v.problem(Problem{Check: "digest", Version: n, Key: string(name), Detail: fmt.Sprintf(format, args...)})
	}
	seen := map[lockstep.Collection]bool{}
	for _, c := range want {
		seen[c.Name] = true
		t := have[c.Name]
		if t == nil {
			t = &version.Tally{}
		}
		if got := t.Sum.Digest(); got != c.Digest {
			wrong(c.Name, "the digest by the deltas is %s, the entry says %s", version.Short(got), version.Short(c.Digest))
		} else if t.Records != c.Records {
			wrong(c.Name, "%d records by the deltas, the entry says %d", t.Records, c.Records)
		}
	}
	for name, t := range have {
		if got := t.Sum.Digest(); !seen[name] && got != version.EmptyDigest() {
			wrong(name, "the deltas make records with digest %s in a collection that the entry lacks", version.Short(got))
		}
	}
	if good {
		v.report.Digests++
	}
}
