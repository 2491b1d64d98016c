package embedding

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// What testdata/make_parquet.py wrote, in every layout.
var written = []handler.Embedding{
	{ID: "a", Vector: []float32{1, 2, 0.1}},
	{ID: "b", HasDocument: true, Vector: []float32{0, 0, 1e-3}, Metadata: lockstep.Metadata{}},
	{ID: "c", Document: "third", HasDocument: true, Vector: []float32{0.5, -1.25, 3}, Metadata: lockstep.Metadata{
		{Key: "n", Value: lockstep.Int(1)},
		{Key: "tags", Value: lockstep.Strings("b", "a")},
		{Key: "x", Value: lockstep.Float(1)},
	}},
}

func TestParquetOfEveryWriterIsRead(t *testing.T) {
	for _, name := range []string{"pyarrow", "pyarrow-item", "pyarrow-large", "pyarrow-fixed", "pyarrow-required", "pandas", "duckdb", "duckdb-array"} {
		t.Run(name, func(t *testing.T) {
			want := written
			if name == "pyarrow-required" { // id and vector only
				want = nil
				for _, e := range written {
					want = append(want, handler.Embedding{ID: e.ID, Vector: e.Vector})
				}
			}
			d, im := bucket(t, Options{})
			put(t, d, "x/delta.parquet", file(t, "testdata/"+name+".parquet"))
			got, err := imported(t, im, "words", "x/")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-written +imported\n%s", diff)
			}
		})
	}
}

type parquetRow struct {
	ID       string    `parquet:"id"`
	Document *string   `parquet:"document,optional"`
	Vector   []float32 `parquet:"embedding,list"`
	Metadata *string   `parquet:"metadata,optional"`
}

func writeParquet[T any](tb testing.TB, rows []T) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[T](&out, parquet.MaxRowsPerRowGroup(100))
	if _, err := w.Write(rows); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestParquetOfManyRowGroupsIsRead(t *testing.T) {
	var rows []parquetRow
	for i := range 1000 {
		rows = append(rows, parquetRow{ID: "r" + string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10)), Vector: []float32{float32(i), 1}})
	}
	d, im := bucket(t, Options{})
	put(t, d, "x.parquet", writeParquet(t, rows))
	got, err := imported(t, im, "words", "x.parquet")
	if err != nil || len(got) != 1000 {
		t.Fatalf("%d embeddings, %v", len(got), err)
	}
	for i, e := range got {
		if e.ID != rows[i].ID || e.Vector[0] != float32(i) || e.HasDocument || e.Metadata != nil {
			t.Fatalf("embedding %d is %+v", i, e)
		}
	}
}

func TestAPlainRepeatedColumnIsAVectorToo(t *testing.T) {
	type row struct {
		ID     string    `parquet:"id"`
		Vector []float64 `parquet:"vector"`
	}
	d, im := bucket(t, Options{})
	put(t, d, "x.parquet", writeParquet(t, []row{{"a", []float64{1, 2}}}))
	got, err := imported(t, im, "words", "x.parquet")
	if diff := cmp.Diff([]handler.Embedding{{ID: "a", Vector: []float32{1, 2}}}, got); diff != "" || err != nil {
		t.Errorf("%v -want +got\n%s", err, diff)
	}
}

func TestParquetThatIsNoImportIsRefused(t *testing.T) {
	bad, err := filepath.Glob("testdata/bad-*.parquet")
	if err != nil || len(bad) < 8 {
		t.Fatal(bad, err)
	}
	text := func(s string) *string { return &s }
	cases := map[string][]byte{}
	for _, path := range bad {
		cases[path] = file(t, path)
	}
	cases["metadata of no JSON"] = writeParquet(t, []parquetRow{{ID: "a", Vector: []float32{1}, Metadata: text("{")}})
	cases["nested metadata"] = writeParquet(t, []parquetRow{{ID: "a", Vector: []float32{1}, Metadata: text(`{"a":{}}`)}})
	cases["text that is not UTF-8"] = writeParquet(t, []parquetRow{{ID: "a\xff", Vector: []float32{1}}})
	cases["two dimensions"] = writeParquet(t, []parquetRow{{ID: "a", Vector: []float32{1}}, {ID: "b", Vector: []float32{1, 2}}})
	cases["two ids"] = writeParquet(t, []parquetRow{{ID: "a", Vector: []float32{1}}, {ID: "a", Vector: []float32{2}}})
	cases["too many"] = writeParquet(t, make([]parquetRow, 11))
	for name, body := range cases {
		d, im := bucket(t, Options{MaxEmbeddings: 10})
		put(t, d, "x.parquet", body)
		if _, err := imported(t, im, "words", "x.parquet"); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestParquetThatUnpacksToTooMuchIsRefused(t *testing.T) {
	d, im := bucket(t, Options{MaxTotalBytes: 1000})
	put(t, d, "x.parquet", writeParquet(t, []parquetRow{{ID: strings.Repeat("a", 500), Vector: make([]float32, 500)}}))
	if _, err := imported(t, im, "words", "x.parquet"); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "unpacks") {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestTornParquetIsCorrupt(t *testing.T) {
	whole := file(t, "testdata/pyarrow.parquet")
	for n := 1; n < len(whole); n += 7 {
		d, im := bucket(t, Options{})
		put(t, d, "x.parquet", whole[:n])
		if _, err := imported(t, im, "words", "x.parquet"); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Fatalf("cut to %d of %d bytes: got %v, want ErrCorrupt", n, len(whole), err)
		}
	}
}

func FuzzParquet(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range seeds {
		f.Add(file(f, path))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		im := New(Dir(t.TempDir()), Options{MaxTotalBytes: 1 << 20, MaxEmbeddings: 1000})
		es, err := im.readParquet(t.Context(), bytes.NewReader(body), int64(len(body)))
		if err != nil && !errors.Is(err, lockstep.ErrInvalid) && !errors.Is(err, lockstep.ErrCorrupt) {
			t.Fatalf("an error of no class: %v", err)
		}
		for _, e := range es {
			if err := check(e); err != nil {
				t.Fatalf("read and not importable: %v", err)
			}
		}
	})
}
