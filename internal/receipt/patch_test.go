package receipt

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

// A patch is what it says key by key, and a patch that changes nothing gives back
// the very same metadata.
func TestPatchAppliesKeyByKey(t *testing.T) {
	keys := []string{"a", "label_a", "label_b", "m", "x", "z"}
	rapid.Check(t, func(r *rapid.T) {
		draw := func(name string, absent bool) map[string]lockstep.Value {
			m := map[string]lockstep.Value{}
			for _, k := range keys {
				switch n := rapid.IntRange(0, 3).Draw(r, name+" "+k); {
				case n == 1 && absent:
					m[k] = lockstep.Value{}
				case n >= 2:
					m[k] = lockstep.Int(int64(n))
				}
			}
			return m
		}
		before, fields := draw("before", false), draw("patch", true)
		p := patch{fields: lockstep.MetadataOf(fields)}
		if rapid.Bool().Draw(r, "prefix") {
			p.prefix = labelPrefix
		}
		want := map[string]lockstep.Value{}
		for k, v := range before {
			if _, named := fields[k]; !named && (p.prefix == "" || !strings.HasPrefix(k, p.prefix)) {
				want[k] = v
			}
		}
		for k, v := range fields {
			if v.Kind() != 0 {
				want[k] = v
			}
		}
		m := lockstep.MetadataOf(before)
		got, changed := p.apply(m)
		if diff := cmp.Diff(lockstep.MetadataOf(want), got); diff != "" && len(want)+len(got) > 0 {
			r.Fatalf("(-want +got):\n%s", diff)
		}
		if changed == m.Equal(got) {
			r.Fatalf("changed is %v", changed)
		}
		if err := got.Check(); err != nil {
			r.Fatal(err)
		}
		if len(got) != cap(got) && changed {
			r.Fatalf("%d fields in room for %d", len(got), cap(got))
		}
	})
}
