package chromadir

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lockstep/internal/lockstep"
)

// unpack extracts a fixture into a new folder.
func unpack(tb testing.TB, name string) string {
	tb.Helper()
	dir := tb.TempDir()
	f, err := os.Open(filepath.Join("testdata", name+".tar.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			tb.Fatal(err)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var body []byte
			if body, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(path, body, 0o644)
			}
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// answered is what Chroma itself answered, by collection.
func answered(tb testing.TB, name string) map[string][]Record {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	var rows map[string][]struct {
		ID       string
		Document *string
		URI      *string
		Metadata map[string][]any
		Vector   []string
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		tb.Fatal(err)
	}
	out := map[string][]Record{}
	for c, rs := range rows {
		out[c] = []Record{}
		for _, r := range rs {
			rec := Record{ID: r.ID}
			if r.Document != nil {
				rec.Document, rec.HasDocument = *r.Document, true
			}
			if r.URI != nil {
				rec.URI = *r.URI
			}
			fields := map[string]lockstep.Value{}
			for k, v := range r.Metadata {
				fields[k] = typed(tb, v)
			}
			rec.Metadata = lockstep.MetadataOf(fields)
			for _, s := range r.Vector {
				x, err := strconv.ParseFloat(s, 32)
				if err != nil {
					tb.Fatal(err)
				}
				rec.Vector = append(rec.Vector, float32(x))
			}
			out[c] = append(out[c], rec)
		}
	}
	return out
}

func typed(tb testing.TB, v []any) lockstep.Value {
	tb.Helper()
	text, _ := v[1].(string)
	switch v[0] {
	case "str":
		return lockstep.String(text)
	case "int":
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		return lockstep.Int(i)
	case "float":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			tb.Fatal(err)
		}
		return lockstep.Float(f)
	case "bool":
		return lockstep.Bool(text == "True")
	case "list":
		var elems []lockstep.Value
		for _, e := range v[1:] {
			elems = append(elems, typed(tb, e.([]any)))
		}
		return lockstep.List(elems)
	}
	tb.Fatalf("unknown type %v", v[0])
	return lockstep.Value{}
}

func open(tb testing.TB, dir string) *Dir {
	tb.Helper()
	d, err := Open(tb.Context(), dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

func collect(tb testing.TB, d *Dir, name string) ([]Record, error) {
	tb.Helper()
	out := []Record{}
	for r, err := range d.Records(tb.Context(), name) {
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// read opens a directory and reads one collection: the way errors of both come out.
func read(tb testing.TB, dir, name string) ([]Record, error) {
	tb.Helper()
	d, err := Open(tb.Context(), dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return collect(tb, d, name)
}

var byID = cmpopts.SortSlices(func(a, b Record) bool { return a.ID < b.ID })

var fixtures = []string{"queue-1.0.0", "queue-1.5.9", "stalled-1.5.9", "hnsw-0.5.5", "hnsw-0.6.3", "hnsw-1.0.0", "hnsw-1.5.9"}

func TestRecordsAreWhatChromaItselfAnswers(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			dir := unpack(t, name)
			before := contents(t, dir)
			d := open(t, dir)
			want := answered(t, name)
			if len(d.Collections()) != len(want) {
				t.Fatalf("collections %v, want those of %v", d.Collections(), want)
			}
			for _, c := range d.Collections() {
				got, err := collect(t, d, c.Name)
				if err != nil {
					t.Fatal(err)
				}
				opts := cmp.Options{byID}
				if c.Space == spaceCosine {
					// Chroma answers what it has in memory, normalised and multiplied again, also for
					// entries of which the queue still has the vector itself: 1.5e-7 apart (CHROMA 5.8).
					opts = append(opts, cmpopts.EquateApprox(2e-7, 0))
				}
				if diff := cmp.Diff(want[c.Name], got, opts); diff != "" {
					t.Errorf("%s: -Chroma +read\n%s", c.Name, diff)
				}
			}
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Errorf("reading changed the directory:\n%s", diff)
			}
		})
	}
}

// contents maps every file below dir to its bytes.
func contents(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		out[path] = string(body)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}
