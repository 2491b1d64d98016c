package shadow

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// migration is what shadowing a receipts@2 over receipts@1 might show.
func migration(t *testing.T) *Tally {
	t.Helper()
	var tally Tally
	add := func(n int, stable, candidate, derived muts, more func(*Trial)) {
		for i := range n {
			trial := known(stable, candidate)
			trial.Unit = fmt.Sprintf("shard-0/%d/%d", len(tally.classes), i)
			trial.Again = &Answer{Mutations: stable}
			if derived != nil {
				trial.Derived = &Answer{Mutations: derived}
			}
			if more != nil {
				more(&trial)
			}
			tally.Add(Rules{Delta: 0.25}.Compare(trial), func(_ lockstep.Collection, _, v string) string { return v })
		}
	}
	shop := func(s string) muts { return muts{put("old", with("shop", lockstep.String(s)))} }
	add(90, nil, nil, nil, func(t *Trial) { t.Stable.Took, t.Candidate.Took = 10, 14 })
	add(12, shop("Caffè"), shop("Caffe"), shop("Caffè"), nil)
	add(3, muts{put("old", with("label", lockstep.String("TOTAL")))}, muts{put("old", nil)}, muts{put("old", nil)}, nil)
	add(2, muts{put("new", nil)}, nil, muts{put("new", nil)}, nil)
	add(4, muts{put("old", with("tags", lockstep.Strings("y", "x")))}, nil, nil, nil)
	add(5, shop("a"), shop("b"), nil, func(t *Trial) { t.Again = &t.Candidate })
	add(1, nil, nil, shop("z"), nil)
	add(1, nil, nil, nil, func(t *Trial) { t.Candidate.Err = fmt.Errorf("key \x1b[31m: %w", lockstep.ErrInvalid) })
	add(1, nil, nil, nil, func(t *Trial) { t.Stable.Err, t.Candidate.Err = lockstep.ErrInvalid, lockstep.ErrInvalid })
	tally.Drop(7)
	return &tally
}

func TestReportText(t *testing.T) {
	accepted := Acceptances{
		{Class: "lines/metadata.label/missing", Until: noon.AddDate(0, 1, 0), Reason: "labels follow the items now", By: "ana"},
		{Class: "lines/metadata.tags/*", Until: noon.AddDate(0, 0, -1), Reason: "order was never promised", By: "ben"},
	}
	golden(t, "report.txt", migration(t).Report(accepted, noon).Text())
	golden(t, "empty.txt", new(Tally).Report(nil, noon).Text())
}

func TestRowsAreSortedByWeight(t *testing.T) {
	var got []Class
	for _, row := range migration(t).Report(nil, noon).Unexpected {
		got = append(got, row.Class)
	}
	want := []Class{"lines/record/missing", "lines/metadata.shop/value", "lines/metadata.tags/order", "lines/metadata.label/missing", "error/candidate"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadingOfAClass(t *testing.T) {
	for want, c := range map[Reading]ClassCount{
		NotDerived:       {Records: 3},
		StableIsRight:    {Records: 3, StableRight: 2},
		CandidateIsRight: {Records: 3, CandidateRight: 3},
		Neither:          {Records: 3, NeitherRight: 1},
		Divided:          {Records: 3, NeitherRight: 1, StableRight: 1},
	} {
		if got := c.Reading(); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
}
