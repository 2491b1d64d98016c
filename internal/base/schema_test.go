package base_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// fences returns the code blocks of docs/format/base.md in that language.
func fences(t *testing.T, language string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/format/base.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, part := range strings.Split(string(page), "```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		out = append(out, block)
	}
	return out
}

// parse opens a part as a stranger would, with every check of the library.
func parse(t *testing.T, store blob.Store, key string) *parquet.File {
	t.Helper()
	b := body(t, store, key)
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilesHaveTheColumnsTheDocumentStates(t *testing.T) {
	store := &blob.Mem{}
	m := build(t, store, base.Options{}, words("words", 3, 2), "words")
	var got []string
	for _, key := range m.Keys()[:2] {
		got = append(got, parse(t, store, key).Schema().String()+"\n")
	}
	if diff := cmp.Diff(fences(t, "parquet"), got); diff != "" {
		t.Error(diff)
	}
}

func TestWideColumnsHaveNoBoundsAndNoFileHasAPageIndex(t *testing.T) {
	store := &blob.Mem{}
	m := build(t, store, base.Options{GroupBytes: 32 << 10}, words("words", 500, 32), "words")
	wide := map[string]bool{"document": true, "metadata": true, "vector_hash": true, "vector.list.element": true}
	for _, key := range m.Keys()[:2] {
		f := parse(t, store, key)
		if len(f.RowGroups()) < 2 {
			t.Errorf("%s: %d row groups", key, len(f.RowGroups()))
		}
		for _, g := range f.Metadata().RowGroups {
			if len(g.SortingColumns) != 1 || g.SortingColumns[0].ColumnIdx != 0 || g.SortingColumns[0].Descending {
				t.Errorf("%s: sorted by %+v", key, g.SortingColumns)
			}
			for _, c := range g.Columns {
				name := strings.Join(c.MetaData.PathInSchema, ".")
				stats := c.MetaData.Statistics
				if wide[name] != (stats.MinValue == nil && stats.MaxValue == nil) {
					t.Errorf("%s: %s: bounds %q to %q", key, name, stats.MinValue, stats.MaxValue)
				}
				if c.ColumnIndexOffset != 0 || c.OffsetIndexOffset != 0 {
					t.Errorf("%s: %s has a page index", key, name)
				}
				if c.MetaData.Codec != format.Zstd {
					t.Errorf("%s: %s is compressed by %v", key, name, c.MetaData.Codec)
				}
			}
		}
	}
}

// Where bounds are kept, they repeat whole values; TRAPS 3.4 has seen 25 KB for one row.
func TestWideValuesAreStoredOnce(t *testing.T) {
	rows := words("words", 1, 8192)
	random := make([]byte, 0, 1<<16)
	for _, x := range words("words", 1, 1<<16)[0].vector {
		random = append(random, 'a'+byte(int((x+1)*997)%26))
	}
	rows[0].Record.Document = string(random)
	rows[0].Record.Metadata = lockstep.Metadata{{Key: "text", Value: lockstep.String(string(random[1:]) + "?")}}
	store := &blob.Mem{}
	m := build(t, store, base.Options{}, rows, "words")
	if raw := int64(2*len(random) + 4*8192); m.Bytes() > raw+4<<10 {
		t.Errorf("%d bytes for %d", m.Bytes(), raw)
	}
}
