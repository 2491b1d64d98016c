package embedding

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/chromadir"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

const chromaFixtures = "../../chromadir/testdata/"

// put stores an object in the directory that stands for the bucket.
func put(tb testing.TB, d Dir, key string, body []byte) {
	tb.Helper()
	path := filepath.Join(string(d), filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func file(tb testing.TB, path string) []byte {
	tb.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// bucket is an empty bucket, an importer from it, and a check that it leaves no file.
func bucket(tb testing.TB, opts Options) (Dir, *Importer) {
	tb.Helper()
	d := Dir(tb.TempDir())
	opts.TempDir = tb.TempDir()
	tb.Cleanup(func() {
		left, err := os.ReadDir(opts.TempDir)
		if err != nil || len(left) > 0 {
			tb.Errorf("left behind: %v, %v", left, err)
		}
	})
	return d, New(d, opts)
}

func imported(tb testing.TB, im *Importer, c lockstep.Collection, location string) ([]handler.Embedding, error) {
	tb.Helper()
	ref := handler.ImportRef{Collection: c, Location: location, Message: 3}
	got, err := im.Import(tb.Context(), ref)
	if err == nil && got.Ref != ref {
		tb.Errorf("ref %+v, want %+v", got.Ref, ref)
	}
	if err != nil && got.Embeddings != nil {
		tb.Errorf("%d embeddings beside an error", len(got.Embeddings))
	}
	return got.Embeddings, err
}

// directly reads the fixture without the importer, to compare with.
func directly(tb testing.TB, dir, c string) []handler.Embedding {
	tb.Helper()
	d, err := chromadir.Open(tb.Context(), dir)
	if err != nil {
		tb.Fatal(err)
	}
	defer d.Close()
	var out []handler.Embedding
	for r, err := range d.Records(tb.Context(), c) {
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, handler.Embedding{ID: r.ID, Document: r.Document, HasDocument: r.HasDocument, Metadata: r.Metadata, Vector: r.Vector})
	}
	if err := finish(out); err != nil {
		tb.Fatal(err)
	}
	return out
}

// unpack extracts a fixture with the extraction under test.
func unpack(tb testing.TB, name string) string {
	tb.Helper()
	dir := tb.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		tb.Fatal(err)
	}
	defer root.Close()
	im := New(Dir(dir), Options{})
	if err := im.extract(tb.Context(), bytes.NewReader(file(tb, chromaFixtures+name)), root); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func TestALegacyDeltaIsFoundUnderEveryNameThatThePipelineUses(t *testing.T) {
	for _, fixture := range []string{"hnsw-0.6.3.tar.gz", "hnsw-1.5.9.tar.gz", "stalled-1.5.9.tar.gz"} {
		want := directly(t, unpack(t, fixture), "words")
		for _, tt := range []struct{ key, location string }{
			{"words/delta/run1/delta.tar.gz", "words/delta/run1"},
			{"words/delta/run1/delta.tar.gz", "words/delta/run1/"},
			{"words/delta/run1/delta.tar.gz", "s3://vectors/words/delta/run1/"},
			{"words/delta/run1/delta.tar.gz", "words/delta/run1/delta.tar.gz"},
			{"words/delta/run1-delta.tar.gz", "words/delta/run1-"},
			{"words/any.tgz", "s3://vectors/words/any.tgz"},
		} {
			d, im := bucket(t, Options{Bucket: "vectors"})
			put(t, d, tt.key, file(t, chromaFixtures+fixture))
			got, err := imported(t, im, "words", tt.location)
			if err != nil {
				t.Fatalf("%s as %s: %v", fixture, tt.location, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s as %s: -read +imported\n%s", fixture, tt.location, diff)
			}
		}
	}
}

func TestALegacyDeltaMayLieFileByFile(t *testing.T) {
	dir := unpack(t, "hnsw-1.5.9.tar.gz")
	d, im := bucket(t, Options{})
	if err := os.CopyFS(filepath.Join(string(d), "words/delta/0a1b"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	put(t, d, "words/delta/0a1b/.snapshot_hash", []byte("md5:0"))
	put(t, d, "words/delta/0a1b2/chroma.sqlite3", []byte("a neighbour whose key begins alike"))
	got, err := imported(t, im, "words", "words/delta/0a1b")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(directly(t, dir, "words"), got); diff != "" {
		t.Errorf("-read +imported\n%s", diff)
	}
}

func TestWhatIsMissingNamesEverythingThatWasTried(t *testing.T) {
	d, im := bucket(t, Options{})
	put(t, d, "words/delta/run1/other", []byte("x"))
	_, err := imported(t, im, "words", "words/delta/run1/")
	if !errors.Is(err, lockstep.ErrNotFound) || lockstep.HintOf(err) == "" {
		t.Fatalf("got %v, hint %q", err, lockstep.HintOf(err))
	}
	for _, key := range []string{"run1/delta.tar.gz", "run1/delta.parquet", "run1/delta.ndjson", "run1/chroma.sqlite3"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%v: does not name %s", err, key)
		}
	}
}

func TestADeltaOfAnotherCollectionIsNotFound(t *testing.T) {
	d, im := bucket(t, Options{})
	put(t, d, "x/delta.tar.gz", file(t, chromaFixtures+"queue-1.5.9.tar.gz"))
	_, err := imported(t, im, "lines", "x")
	if !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(err.Error(), `"words"`) {
		t.Errorf("got %v, want ErrNotFound that names what is there", err)
	}
}

func TestWhatHoldsNothingIsInvalid(t *testing.T) {
	d, im := bucket(t, Options{})
	put(t, d, "a/delta.tar.gz", nil)
	put(t, d, "b/delta.ndjson", nil)
	put(t, d, "c/delta.parquet", nil)
	put(t, d, "d/delta.parquet", file(t, "testdata/bad-empty.parquet"))
	put(t, d, "e/delta.tar.gz", file(t, chromaFixtures+"queue-1.5.9.tar.gz"))
	put(t, d, "f/chroma.sqlite3", nil)
	for _, location := range []string{"a", "b", "c", "d", "e", "f"} {
		_, err := imported(t, im, "empty", location)
		if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "holds no embeddings") {
			t.Errorf("%s: got %v", location, err)
		}
	}
}

func TestLocationsOutsideTheBucketAreRefused(t *testing.T) {
	d, im := bucket(t, Options{Bucket: "vectors"})
	secret := filepath.Join(filepath.Dir(string(d)), "secret.ndjson")
	if err := os.WriteFile(secret, []byte(`{"id":"a","embedding":[1]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for location, want := range map[string]error{
		"s3://other/words/delta":    lockstep.ErrRefused,
		"s3://vectors":              lockstep.ErrInvalid,
		"":                          lockstep.ErrInvalid,
		"/":                         lockstep.ErrInvalid,
		"/etc/passwd":               lockstep.ErrInvalid,
		"../secret.ndjson":          lockstep.ErrInvalid,
		"a/../../secret.ndjson":     lockstep.ErrInvalid,
		"a//b":                      lockstep.ErrInvalid,
		`a\..\b`:                    lockstep.ErrInvalid,
		"a\x00b":                    lockstep.ErrInvalid,
		strings.Repeat("a/", 400):   lockstep.ErrInvalid,
		"s3://vectors/../../secret": lockstep.ErrInvalid,
	} {
		if _, err := imported(t, im, "words", location); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", location, err, want)
		}
	}
}

func TestSymbolicLinksInTheDirectoryAreRefused(t *testing.T) {
	d, im := bucket(t, Options{})
	put(t, d, "real/delta.ndjson", []byte(`{"id":"a","embedding":[1]}`))
	if err := os.Symlink("real", filepath.Join(string(d), "linked")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(string(d), "out.ndjson")); err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{"linked", "linked/delta.ndjson", "out.ndjson"} {
		if _, err := imported(t, im, "words", location); !errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("%s: got %v, want ErrRefused", location, err)
		}
	}
	if keys, err := d.List(t.Context(), "real/"); err != nil || len(keys) != 1 {
		t.Errorf("listed %q, %v", keys, err)
	}
}

// The old pipeline extracted all deltas of a batch into one folder.
func TestImportsAtTheSameTimeDoNotInterfere(t *testing.T) {
	d, im := bucket(t, Options{})
	want := map[string][]handler.Embedding{}
	for _, name := range []string{"hnsw-1.5.9", "queue-1.5.9", "hnsw-1.0.0", "stalled-1.5.9"} {
		put(t, d, name+"/delta.tar.gz", file(t, chromaFixtures+name+".tar.gz"))
		want[name] = directly(t, unpack(t, name+".tar.gz"), "words")
	}
	var all sync.WaitGroup
	for range 3 {
		for name := range want {
			all.Go(func() {
				got, err := imported(t, im, "words", name)
				if diff := cmp.Diff(want[name], got); diff != "" || err != nil {
					t.Errorf("%s: %v -alone +together\n%s", name, err, diff)
				}
			})
		}
	}
	all.Wait()
}

func TestAnIDThatIsThereTwiceIsRefused(t *testing.T) {
	d, im := bucket(t, Options{})
	put(t, d, "x.ndjson", []byte(`{"id":"twin","embedding":[1]}`+"\n"+`{"id":"a","embedding":[1]}`+"\n"+`{"id":"twin","embedding":[2]}`+"\n"))
	if _, err := imported(t, im, "words", "x.ndjson"); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "twin") {
		t.Errorf("got %v, want ErrInvalid that names the id", err)
	}
}

func TestVectorsOfOneImportHaveOneDimension(t *testing.T) {
	d, im := bucket(t, Options{})
	put(t, d, "x.jsonl", []byte(`{"id":"a","embedding":[1,2]}`+"\n"+`{"id":"b","embedding":[1,2,3]}`+"\n"))
	if _, err := imported(t, im, "words", "x.jsonl"); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("got %v, want ErrInvalid that names the id", err)
	}
}

func TestCancelledContextsAreHonoured(t *testing.T) {
	d, im := bucket(t, Options{})
	put(t, d, "x/delta.tar.gz", file(t, chromaFixtures+"queue-1.5.9.tar.gz"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := im.Import(ctx, handler.ImportRef{Collection: "words", Location: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Import: %v", err)
	}
	if _, _, err := d.Open(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
	if _, err := d.List(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("List: %v", err)
	}
}

// broken is a bucket that does not answer.
type broken struct{ Dir }

func (broken) Open(context.Context, string) (io.ReadCloser, int64, error) {
	return nil, 0, lockstep.ErrUnavailable
}

func TestABucketThatDoesNotAnswerIsNotTakenForAnEmptyOne(t *testing.T) {
	im := New(broken{Dir(t.TempDir())}, Options{})
	if _, err := imported(t, im, "words", "x"); !errors.Is(err, lockstep.ErrUnavailable) || errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	gone := New(Dir(filepath.Join(t.TempDir(), "not mounted")), Options{})
	if _, err := imported(t, gone, "words", "x"); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// member is one entry of a test archive.
type member struct {
	name string
	body []byte
	kind byte
	link string
}

func pack(tb testing.TB, members ...member) []byte {
	tb.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Linkname: m.link, Mode: 0o644, Size: int64(len(m.body))}
		if m.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(m.body); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}
