package follow

import (
	"context"
	"fmt"
	"math"

	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// Verdict is what reading one collection back from a follower said.
type Verdict struct {
	Collection  lockstep.Collection `json:"collection"`
	Records     int64               `json:"records"`
	Digest      string              `json:"digest"` // of what the follower holds
	Want        string              `json:"want"`   // of the version
	Equal       bool                `json:"equal"`
	Differences []string            `json:"differences,omitempty"` // the first few
}

// cosineTolerance is the relative error that Chroma's normalisation of cosine
// vectors was seen to leave, with a margin (CHROMA 5.8).
const cosineTolerance = 1e-6

const shownDifferences = 10

// Verify reads the follower back and compares every record with the view, which must
// show the version the follower says it holds. Vectors of cosine collections are
// compared with a tolerance, since Chroma itself does not return them exactly; for
// all else the digest is computed anew from what was read.
func (f *Follower) Verify(ctx context.Context, view *state.Reader) ([]Verdict, error) {
	at, err := f.Target.Position(ctx)
	if err != nil {
		return nil, err
	}
	if at.Version != view.Version() {
		return nil, fmt.Errorf("verify the follower: %w: it holds version %d, the view shows %d", lockstep.ErrConflict, at.Version, view.Version())
	}
	_, specs, err := f.mark(ctx, at.Version)
	if err != nil {
		return nil, err
	}
	var out []Verdict
	for _, s := range specs {
		v, err := f.verify(ctx, view, s)
		if err != nil {
			return nil, fmt.Errorf("verify the follower: %s: %w", s.Name, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func (f *Follower) verify(ctx context.Context, view *state.Reader, s Spec) (Verdict, error) {
	want := view.Tally(s.Name)
	v := Verdict{Collection: s.Name, Want: want.Sum.Digest()}
	var h version.Hasher
	var sum version.Sum
	note := func(format string, args ...any) {
		if len(v.Differences) < shownDifferences {
			v.Differences = append(v.Differences, fmt.Sprintf(format, args...))
		}
	}
	for got, err := range f.Target.Records(ctx, s.Name) {
		if err != nil {
			return v, err
		}
		v.Records++
		rec, _, known, err := view.Record(s.Name, got.Record.ID)
		if err != nil {
			return v, err
		}
		if !known {
			note("%q is in the follower only", got.Record.ID)
		}
		got.Record.Vector = version.RefOf(version.AppendVector(nil, got.Vector))
		if s.Space == "cosine" && known && got.Record.Vector != rec.Vector {
			b, err := view.Vector(ctx, s.Name, rec.ID, rec.Vector)
			if err != nil {
				return v, err
			}
			if near(version.VectorOf(b), got.Vector) {
				got.Record.Vector = rec.Vector
			}
		}
		bytes := version.AppendRecord(nil, &got.Record)
		h.Add(&sum, got.Record.ID, bytes)
		if known && string(bytes) != string(version.AppendRecord(nil, &rec)) {
			note("%q differs", got.Record.ID)
		}
	}
	if v.Records != want.Records {
		note("%d records, the version has %d", v.Records, want.Records)
	}
	v.Digest = sum.Digest()
	v.Equal = v.Digest == v.Want
	return v, nil
}

func near(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	var norm float64
	for _, x := range a {
		norm += float64(x) * float64(x)
	}
	norm = math.Sqrt(norm)
	for i := range a {
		// Asked this way round, a NaN is not near anything.
		if !(math.Abs(float64(a[i])-float64(b[i])) <= cosineTolerance*max(norm, math.Abs(float64(a[i])))) {
			return false
		}
	}
	return true
}
