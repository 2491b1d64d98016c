package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// state recomputes the sums of the view from its records, and compares them with
// those the view carries along and with the entry of its version.
func (v *verifier) state(ctx context.Context) error {
	names := v.view.Collections()
	n := v.view.Version()
	node := v.nodes[n]
	if node != nil {
		for _, c := range node.collections {
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
	} else if n >= v.report.Low {
		v.problem(Problem{Check: "state", Version: n, Detail: "the version of the local state is not in the log, or not readable there"})
	}
	slices.Sort(names)
	for _, c := range names {
		have, err := v.scan(ctx, c)
		if err != nil {
			return err
		}
		if t := v.view.Tally(c); t != have {
			v.problem(Problem{Check: "state", Version: n, Key: string(c), Detail: fmt.Sprintf(
				"the records have digest %s, the sum kept beside them %s", version.Short(have.Sum.Digest()), version.Short(t.Sum.Digest()))})
		}
		if node == nil {
			continue
		}
		want := version.EmptyDigest()
		if i := slices.IndexFunc(node.collections, func(s version.CollectionState) bool { return s.Name == c }); i >= 0 {
			want = node.collections[i].Digest
		}
		if got := have.Sum.Digest(); got != want {
			v.problem(Problem{Check: "state", Version: n, Key: string(c), Detail: fmt.Sprintf(
				"the records have digest %s, the entry says %s", version.Short(got), version.Short(want))})
		}
	}
	return nil
}

func (v *verifier) scan(ctx context.Context, c lockstep.Collection) (version.Tally, error) {
	var h version.Hasher
	var t version.Tally
	err := v.view.Scan(ctx, c, "", func(row state.Row) error {
		id := string(row.ID)
		h.Add(&t.Sum, id, row.Record)
		t.Records++
		v.report.Records++
		v.step()
		rec, err := version.DecodeRecord(id, row.Record)
		if err == nil && v.opts.Vectors && rec.Vector.Dim > 0 {
			v.report.Vectors++
			_, err = v.view.Vector(ctx, c, id, rec.Vector)
		}
		if err == nil {
			return nil
		}
		return v.finding("state", v.view.Version(), strings.Join([]string{string(c), id}, "/"), err)
	})
	return t, v.finding("state", v.view.Version(), string(c), err)
}
