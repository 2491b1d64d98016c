//go:build interop

package base_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

const readBase = "../../scripts/interop/read_base.py"

// python returns the first interpreter that has what read_base.py needs.
func python(t *testing.T) string {
	t.Helper()
	list := os.Getenv("LOCKSTEP_INTEROP_PYTHONS")
	for _, p := range filepath.SplitList(list) {
		if exec.CommandContext(t.Context(), p, readBase, "--can-import").Run() == nil {
			return p
		}
	}
	why := "no interpreter in LOCKSTEP_INTEROP_PYTHONS=" + strconv.Quote(list) + " imports duckdb, pandas and pyarrow: NO foreign reader was tested; run make interop"
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
	return ""
}

// seen is a row as a foreign reader sees it.
type seen struct {
	ID             string         `json:"id"`
	Document       *string        `json:"document"`
	Metadata       map[string]any `json:"metadata"`
	VectorHash     *string        `json:"vector_hash"`
	VectorDim      uint32         `json:"vector_dim"`
	AuthorVersion  uint64         `json:"author_version"`
	AuthorMessage  string         `json:"author_message"`
	AuthorRevision string         `json:"author_revision"`
	Vector         []float32      `json:"vector"`
	Found          []*int         `json:"found"`
}

func value(t *testing.T, tagged any) lockstep.Value {
	t.Helper()
	pair, ok := tagged.([]any)
	if !ok || len(pair) != 2 {
		t.Fatalf("a metadata value %v", tagged)
	}
	kind, _ := pair[0].(string)
	text, _ := pair[1].(string)
	switch kind {
	case "str":
		return lockstep.String(text)
	case "bool":
		return lockstep.Bool(pair[1] == true)
	case "float":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return lockstep.Float(f)
	case "int":
		number, _ := pair[1].(json.Number)
		n, err := number.Int64()
		if err != nil {
			t.Fatal(err)
		}
		return lockstep.Int(n)
	case "list":
		var elems []lockstep.Value
		list, _ := pair[1].([]any)
		for _, e := range list {
			elems = append(elems, value(t, e))
		}
		return lockstep.List(elems)
	}
	t.Fatalf("a metadata value of type %v", pair[0])
	return lockstep.Value{}
}

func (s seen) full(t *testing.T, c lockstep.Collection) full {
	t.Helper()
	r := lockstep.Record{ID: s.ID, HasDocument: s.Document != nil, Vector: lockstep.VectorRef{Dim: s.VectorDim}}
	if s.Document != nil {
		r.Document = *s.Document
	}
	if s.VectorHash != nil {
		h, err := hex.DecodeString(*s.VectorHash)
		if err != nil || copy(r.Vector.Hash[:], h) != 32 {
			t.Fatal(*s.VectorHash, err)
		}
	}
	values := map[string]lockstep.Value{}
	for k, v := range s.Metadata {
		values[k] = value(t, v)
	}
	if len(values) > 0 {
		r.Metadata = lockstep.MetadataOf(values)
	}
	a := lockstep.Author{Version: s.AuthorVersion, Message: s.AuthorMessage, Revision: s.AuthorRevision}
	return full{base.Row{Collection: c, Record: r, Author: a}, s.Vector}
}

// odd are rows in which something could get lost on the way.
func odd() []full {
	rows := words("lines", 9, 5)
	edit := func(i int, change func(*full)) { change(&rows[i]) }
	edit(0, func(r *full) { r.Record.HasDocument, r.Record.Document = false, "" })
	edit(1, func(r *full) { r.Record.Document = "" })
	edit(2, func(r *full) { r.vector, r.Record.Vector = nil, lockstep.VectorRef{} })
	edit(3, func(r *full) { r.Record.Metadata = nil })
	edit(4, func(r *full) {
		r.Record.Metadata = lockstep.MetadataOf(map[string]lockstep.Value{
			"max": lockstep.Int(math.MaxInt64), "min": lockstep.Int(math.MinInt64), "one": lockstep.Int(1), "one.": lockstep.Float(1),
			"tiny": lockstep.Float(math.SmallestNonzeroFloat64), "huge": lockstep.Float(-math.MaxFloat64), "third": lockstep.Float(1.0 / 3),
			"1e21": lockstep.Float(1e21), "1e20": lockstep.Float(1e20), "1e-7": lockstep.Float(1e-7), "no": lockstep.Bool(false),
			"floats": lockstep.List([]lockstep.Value{lockstep.Float(1), lockstep.Float(0.1)}), "bools": lockstep.List([]lockstep.Value{lockstep.Bool(true)}),
			"text": lockstep.String("\"\\/<&>\b\f\n\r\t\x01\x7f\u2028é日本\U0001F4A9"),
		})
	})
	edit(5, func(r *full) {
		r.vector = []float32{math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 0, 1.0 / 3, 0.1}
		r.Record.Vector = hashOf(r.vector)
	})
	edit(6, func(r *full) { r.Record.Document = "\"\\\x00\u2028é日本\U0001F4A9\r\n" })
	edit(7, func(r *full) { r.Author = lockstep.Author{Version: math.MaxInt64, Message: "é|%25", Revision: ""} })
	edit(8, func(r *full) { r.Record.ID += "é日本" })
	return rows
}

func TestDuckDBAndPandasReadABase(t *testing.T) {
	interpreter := python(t)
	store := &blob.Mem{}
	rows := append(odd(), words("words", 3000, 8)...)
	m := build(t, store, base.Options{PartRows: 1000, GroupBytes: 64 << 10}, rows, "lines", "table", "words")
	dir := t.TempDir()
	for _, key := range m.Keys() {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(key)), body(t, store, key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), interpreter, readBase, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var views map[string]map[lockstep.Collection][]json.RawMessage
	if err := json.Unmarshal(out, &views); err != nil {
		t.Fatal(err)
	}
	for _, reader := range []string{"duckdb", "pandas"} {
		var got []full
		for _, c := range m.Collections {
			for _, raw := range views[reader][c.Name] {
				s := decode(t, raw)
				got = append(got, s.full(t, c.Name))
				for i, n := range s.Found {
					if n != nil && *n != 1 {
						t.Errorf("%s: %s %q: search %d finds %d rows", reader, c.Name, s.ID, i, *n)
					}
				}
			}
		}
		if diff := cmp.Diff(rows, got, cmp.AllowUnexported(full{})); diff != "" {
			t.Errorf("%s: %s", reader, diff)
		}
	}
}

func decode(t *testing.T, raw json.RawMessage) seen {
	t.Helper()
	var s seen
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}
