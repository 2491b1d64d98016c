package revert

import (
	"testing"

	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
)

// rebuild derives every key anew and returns the records that no item explains.
func (w *world) rebuild() (records int, unclaimed []place) {
	w.t.Helper()
	claimed := map[place]bool{}
	req := compact.RebuildRequest{Actor: "tester", Claim: func(c lockstep.Collection, id string) { claimed[place{c, id}] = true }}
	for {
		out, err := w.Rebuild(w.t.Context(), req)
		if err != nil || len(out.Failed) > 0 {
			w.t.Fatalf("%v, %v", err, out.Failed)
		}
		records += out.Records
		if out.Last == "" {
			break
		}
		req.After = out.Last
	}
	r, err := w.state.Read()
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // only read
	for _, c := range r.Collections() {
		if c.Builtin() {
			continue
		}
		err := r.Scan(w.t.Context(), c, "", func(row state.Row) error {
			if p := (place{c, string(row.ID)}); !claimed[p] {
				unclaimed = append(unclaimed, p)
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return records, unclaimed
}

func TestARebuildDerivesEverythingFromTheMirror(t *testing.T) {
	for name, spoil := range faults() {
		t.Run(name, func(t *testing.T) {
			bad := spoilt{v2(), spoil}
			w, alone := newWorld(t, v2(), bad, 40), newWorld(t, v2(), bad, 40)
			w.share(25)
			w.traffic(8, 20)
			alone.traffic(8, 20)
			w.share(0)
			records, unclaimed := w.rebuild()
			if records == 0 && len(unclaimed) == 0 {
				t.Fatal("nothing came out different")
			}
			if got, want := w.digest() == alone.digest(), name != "an extra record"; got != want || want == (len(unclaimed) > 0) {
				t.Errorf("equal to the good revision alone: %t; %d records that no item explains: %.200v", got, len(unclaimed), unclaimed)
			}
			if again, _ := w.rebuild(); again != 0 {
				t.Errorf("a second rebuild changed %d records", again)
			}
		})
	}
}
