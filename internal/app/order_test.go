package app

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/version"
)

// TestShuffledDuplicatedChangesGiveTheDigestOfOrderedOnes plays 10,000 changes of all
// kinds in order, and then shuffled across all keys, a third of them twice, in batches
// of any size, with restarts in between.
func TestShuffledDuplicatedChangesGiveTheDigestOfOrderedOnes(t *testing.T) {
	dir := t.TempDir()
	files := filepath.Join(dir, "files")
	g := synth.New(3, synth.Options{Receipts: 28, Dimension: 8})
	var all []compact.Input
	for e := range g.Events() {
		all = append(all, compact.Input{Message: e.Message()})
	}
	for i := range g.Len() {
		if err := writeObjects(files, g, i); err != nil {
			t.Fatal(err)
		}
	}
	for len(all) < 10_000 {
		for _, edit := range g.Edits(1) {
			for _, e := range edit.Events {
				all = append(all, compact.Input{Message: e.Message()})
			}
			if edit.Kind != "re-embedded" {
				continue
			}
			if err := writeObjects(files, g, edit.Receipt); err != nil {
				t.Fatal(err)
			}
		}
	}
	all = all[:10_000]
	want := playAll(t, filepath.Join(dir, "ordered"), files, [][]compact.Input{all})
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 1))
		mixed := append([]compact.Input(nil), all...)
		mixed = append(mixed, all[:len(all)/3]...)
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		var batches [][]compact.Input
		for len(mixed) > 0 {
			n := min(len(mixed), 1+rng.IntN(3000))
			batches, mixed = append(batches, mixed[:n]), mixed[n:]
		}
		if got := playAll(t, filepath.Join(dir, "mixed", time.Duration(seed).String()), files, batches); got != want {
			t.Errorf("seed %d: digest %s, in order it is %s", seed, version.Short(got), version.Short(want))
		}
	}
}

// playAll commits each batch by a process of its own, as it were, and returns the
// digest of the index.
func playAll(t *testing.T, data, files string, batches [][]compact.Input) string {
	t.Helper()
	cfg := config.Default().WithData(data)
	cfg.Imports.Directory = filepath.Join(files, "imports")
	cfg.Follower.Chroma.Enabled = "off"
	digest := ""
	for _, b := range batches {
		a, err := Open(t.Context(), cfg, Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		st, err := a.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.ParkedCount != 0 {
			t.Fatalf("%d messages are parked: %+v", st.ParkedCount, st.Parked[0])
		}
		digest = st.Digest
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return digest
}
