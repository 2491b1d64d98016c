package app

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

// TestEachKindOfBadImportHasItsOutcome commits seven runs in one batch: two good ones,
// and one for each way in which what a run announces can be wrong. The good ones must
// not notice.
func TestEachKindOfBadImportHasItsOutcome(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Default().WithData(filepath.Join(dir, "data"))
	cfg.Imports.Directory = filepath.Join(dir, "imports")
	cfg.Follower.Chroma.Enabled = "off"
	g := synth.New(7, synth.Options{Receipts: 7, Dimension: 8, Lines: synth.Range{Min: 3, Max: 4}})
	wide := synth.New(7, synth.Options{Receipts: 7, Dimension: 16, Lines: synth.Range{Min: 3, Max: 4}})

	want := map[string]string{} // by run: part of the reason, "" for a good one
	for i := range g.Len() {
		objects := g.Objects(g.Receipt(i))
		words := objects[1]
		reason := ""
		switch i {
		case 2:
			objects, reason = objects[:1], "not found"
		case 3:
			objects[1].Body, reason = nil, "holds no embeddings"
		case 4:
			objects[1], reason = wide.Objects(wide.Receipt(i))[1], "16 components"
		case 5:
			objects[1] = synth.Object{Key: strings.TrimSuffix(words.Key, "delta.ndjson") + "delta.tar.gz", Body: escaping(t)}
			reason = "../"
		case 6:
			objects[1].Body, reason = words.Body[:len(words.Body)-20], "line"
		}
		for _, o := range objects {
			path := filepath.Join(cfg.Imports.Directory, filepath.FromSlash(o.Key))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, o.Body, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want[g.Receipt(i).RunID] = reason
	}

	a, err := Open(t.Context(), cfg, Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	var batch []compact.Input
	var runs []string
	for e := range g.Events() {
		if e.Change.New.Str("TYPE") == "COMPACTION_RUN" {
			batch = append(batch, compact.Input{Message: e.Message()})
			runs = append(runs, e.Change.New.Str("run_id"))
		}
	}
	res, err := a.Commit(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, run := range runs {
		got, reason := res.Outcomes[i], want[run]
		switch {
		case reason == "" && got.Outcome != lockstep.Applied:
			t.Errorf("good run %d: %+v", i, got)
		case reason != "" && (got.Outcome != lockstep.ParkedAway || !strings.Contains(got.Reason, reason)):
			t.Errorf("run %d: %+v, want it parked with a reason that says %q", i, got, reason)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "evil")); err == nil {
		t.Error("a member left its archive")
	}

	// What was missing is there now: a retry applies it, and it alone.
	missing := g.Objects(g.Receipt(2))[1]
	path := filepath.Join(cfg.Imports.Directory, filepath.FromSlash(missing.Key))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, missing.Body, 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := a.Compactor.Retry(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Outcomes[lockstep.Applied] != 1 || again.Outcomes[lockstep.ParkedAway] != 4 {
		t.Errorf("after the retry: %+v", again)
	}
}

// escaping returns an archive with a member that wants to leave it.
func escaping(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	body := []byte("evil")
	if err := tw.WriteHeader(&tar.Header{Name: "../../../../evil", Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
