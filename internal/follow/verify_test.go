package follow_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// spaced is a rig whose only version has collection lines in that space.
func spaced(t *testing.T, space string) *rig {
	t.Helper()
	r := newRig(t)
	r.w.Publish(t.Context(), version.Compact, func(e *version.Entry) {
		for i := range e.Collections {
			e.Collections[i].Space, e.Collections[i].Dimension = space, 3
		}
	}, put("a", "1", 3, 4, 12), put("b", "1", 1e-20, 0, 1), put("c", "1"))
	r.bring(1)
	return r
}

func edit(id string, do func(*follow.Stored)) func([]follow.Stored) []follow.Stored {
	return func(all []follow.Stored) []follow.Stored {
		for i := range all {
			if all[i].Record.ID == id {
				do(&all[i])
			}
		}
		return all
	}
}

// TestVerifyFindsWhatDiffers is TRAPS T12: what the follower holds is read, not believed.
func TestVerifyFindsWhatDiffers(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func([]follow.Stored) []follow.Stored
		want   string // in the differences
	}{
		{"another document", edit("a", func(s *follow.Stored) { s.Record.Document = "2" }), `"a" differs`},
		{"no document", edit("a", func(s *follow.Stored) { s.Record.HasDocument, s.Record.Document = false, "" }), `"a" differs`},
		{"one key more", edit("b", func(s *follow.Stored) { s.Record.Metadata = s.Record.Metadata.With("k", lockstep.Int(1)) }), `"b" differs`},
		{"another vector", edit("a", func(s *follow.Stored) { s.Vector[0] = 3.5 }), `"a" differs`},
		{"a vector a little off", edit("a", func(s *follow.Stored) { s.Vector[0] = math.Nextafter32(3, 4) }), `"a" differs`},
		{"no vector", edit("a", func(s *follow.Stored) { s.Vector = nil }), `"a" differs`},
		{"a vector too many", edit("c", func(s *follow.Stored) { s.Vector = []float32{1, 2, 3} }), `"c" differs`},
		{"one record less", func(all []follow.Stored) []follow.Stored { return all[1:] }, "2 records, the version has 3"},
		{"one record more", func(all []follow.Stored) []follow.Stored {
			return append(all, follow.Stored{Record: lockstep.Record{ID: "x"}})
		}, `"x" is in the follower only`},
		{"one record twice", func(all []follow.Stored) []follow.Stored { return append(all, all[0]) }, "4 records, the version has 3"},
		{"one for another", edit("a", func(s *follow.Stored) { s.Record.ID = "z" }), `"z" is in the follower only`},
		{"nothing at all", func([]follow.Stored) []follow.Stored { return nil }, "0 records, the version has 3"},
	} {
		r := spaced(t, "l2")
		r.held.tampered = c.tamper
		got := r.verdicts(1)
		if len(got) != 1 || got[0].Equal || got[0].Digest == got[0].Want || got[0].Collection != "lines" {
			t.Errorf("%s: %+v", c.name, got)
			continue
		}
		if !slices.ContainsFunc(got[0].Differences, func(d string) bool { return strings.Contains(d, c.want) }) {
			t.Errorf("%s: differences %q, want %q", c.name, got[0].Differences, c.want)
		}
	}
}

// TestCosineVectorsHaveATolerance: Chroma normalises them and multiplies them back
// (CHROMA 5.8), so they come back a little off, and only a little.
func TestCosineVectorsHaveATolerance(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name   string
		vector []float32
		equal  bool
	}{
		{"exact", []float32{3, 4, 12}, true},
		{"next float", []float32{math.Nextafter32(3, 4), 4, math.Nextafter32(12, 0)}, true},
		{"a millionth of the length", []float32{3.00001, 4, 12}, true},
		{"ten millionths of the length", []float32{3.0002, 4, 12}, false},
		{"normalised", []float32{3. / 13, 4. / 13, 12. / 13}, false},
		{"another sign", []float32{-3, 4, 12}, false},
		{"shorter", []float32{3, 4}, false},
		{"longer", []float32{3, 4, 12, 0}, false},
		{"none", nil, false},
		{"NaN", []float32{nan, 4, 12}, false},
		{"infinite", []float32{float32(math.Inf(1)), 4, 12}, false},
	} {
		r := spaced(t, "cosine")
		r.held.tampered = edit("a", func(s *follow.Stored) { s.Vector = c.vector })
		if got := r.verdicts(1); len(got) != 1 || got[0].Equal != c.equal || (len(got[0].Differences) == 0) != c.equal {
			t.Errorf("%s: %+v, want equal %t", c.name, got, c.equal)
		}
	}
	// The tolerance is for vectors alone.
	r := spaced(t, "cosine")
	r.held.tampered = edit("a", func(s *follow.Stored) {
		s.Vector[0], s.Record.Document = math.Nextafter32(3, 4), "2"
	})
	if got := r.verdicts(1); got[0].Equal {
		t.Error("another document passes beside a vector that is near")
	}
}

func TestVerifyNamesTheFirstFewOnly(t *testing.T) {
	r := spaced(t, "l2")
	r.held.tampered = func(all []follow.Stored) []follow.Stored {
		for i := range 50 {
			all = append(all, follow.Stored{Record: lockstep.Record{ID: fmt.Sprint("x", i)}})
		}
		return all
	}
	if got := r.verdicts(1); len(got[0].Differences) != 10 || got[0].Records != 53 {
		t.Errorf("%d differences of %d records", len(got[0].Differences), got[0].Records)
	}
}

func TestVerifyWantsTheViewOfTheSameVersion(t *testing.T) {
	r := threeVersions(t)
	r.bring(2)
	r.view(3, func(v *state.Reader) {
		if got, err := r.Verify(t.Context(), v); !errors.Is(err, lockstep.ErrConflict) {
			t.Errorf("%+v, %v, want ErrConflict", got, err)
		}
	})
}
