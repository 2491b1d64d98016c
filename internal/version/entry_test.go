package version

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

// exampleEntry is the entry of docs/format/version.md, around an inline delta.
func exampleEntry(inline []byte) *Entry {
	one := sumOf(goldenSet(1))
	return &Entry{
		Format: 1, MinReader: 1, Number: 3, Kind: Compact, Parent: 2,
		Base:  &BaseRef{Version: 1, Unique: "k3", Bytes: 48211},
		Delta: &DeltaRef{Size: int64(len(inline)), Hash: HashOf(inline), Messages: 1, Mutations: 1},
		Collections: []CollectionState{
			{Name: "lines", Dimension: 2, Space: "cosine", Records: 1, Digest: one.Digest()},
			{Name: lockstep.Parked, Digest: EmptyDigest()},
		},
		Outcomes:  map[lockstep.Outcome]int{lockstep.Applied: 1, lockstep.Duplicate: 2},
		Revisions: map[string]int{"receipts@1": 1},
		Backlog:   []Span{{From: 1, To: 2, Done: 5, Mode: Hold}},
		Cause:     Cause{Actor: "lockstep"}, At: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), SinceBase: int64(len(inline)), Chain: 1,
	}
}

// body frames a header as EncodeEntry does, whatever the header says.
func body(header string, inline ...byte) []byte {
	return append(append(binary.AppendUvarint(nil, uint64(len(header))), header...), inline...)
}

func TestTheDocumentedEntryParses(t *testing.T) {
	delta := documentedDelta(t)
	documented := body(block(t, "version.md", "json"), delta...)
	got, inline, err := DecodeEntry(documented)
	if err != nil {
		t.Fatalf("%v; the delta has %d bytes and the hash %s", err, len(delta), HashOf(delta))
	}
	want := exampleEntry(delta)
	if diff := cmp.Diff(want, got); diff != "" || !bytes.Equal(inline, delta) {
		t.Errorf("documented entry (-want +got):\n%s", diff)
	}
	if again, err := EncodeEntry(want, delta); err != nil || !bytes.Equal(again, documented) {
		t.Errorf("it is written as\n%s, %v", again, err)
	}
	if lines, ok := got.Collection("lines"); !ok || lines.Records != 1 || got.Digests()["lines"] != lines.Digest {
		t.Errorf("lines: %+v, %t", lines, ok)
	}
	if none, ok := got.Collection("words"); ok || none.Name != "words" {
		t.Errorf("words: %+v, %t", none, ok)
	}
}

func TestDecodeEntryRefusesWhatItDoesNotUnderstand(t *testing.T) {
	delta := documentedDelta(t)
	hash := HashOf(delta)
	const start = `{"format":1,"min_reader":1,"version":3,"parent":2,"kind":"compact","collections":[],"cause":{},"at":"2026-05-04T03:02:01Z","since_base":0,"chain":0`
	named := `,"delta":{"size":128,"hash":"` + hash + `","messages":1,"mutations":1}}`
	for _, c := range []struct {
		name string
		body []byte
		want error
	}{
		{"unknown field", body(start + `,"colour":"red"}`), lockstep.ErrCorrupt},
		{"unknown field below", body(start + `,"base":{"version":1,"unique":"a","bytes":1,"region":"x"}}`), lockstep.ErrCorrupt},
		{"newer reader", body(`{"format":2,"min_reader":2,"colour":{"any":"thing"}}`), lockstep.ErrRefused},
		{"no format", body(`{"min_reader":1,"version":3}`), lockstep.ErrCorrupt},
		{"version 0", body(`{"format":1,"min_reader":1,"version":0}`), lockstep.ErrCorrupt},
		{"its own parent", body(`{"format":1,"min_reader":1,"version":3,"parent":3}`), lockstep.ErrCorrupt},
		{"parent to come", body(`{"format":1,"min_reader":1,"version":3,"parent":4}`), lockstep.ErrCorrupt},
		{"base of itself", body(start + `,"base":{"version":3,"unique":"a","bytes":1}}`), lockstep.ErrCorrupt},
		{"bytes behind, no delta", body(start+`}`, 1), lockstep.ErrCorrupt},
		{"delta missing", body(start + named), lockstep.ErrCorrupt},
		{"delta cut short", body(start+named, delta[:116]...), lockstep.ErrCorrupt},
		{"another delta", body(start+named, append(bytes.Clone(delta[:116]), delta[116]^1)...), lockstep.ErrCorrupt},
		{"delta as object and inline", body(start+`,"delta":{"key":"delta/`+hash+`","size":128,"hash":"`+hash+`","messages":1,"mutations":1}}`, delta...), lockstep.ErrCorrupt},
		{"object of another name", body(start + `,"delta":{"key":"delta/x","size":128,"hash":"` + hash + `","messages":1,"mutations":1}}`), lockstep.ErrCorrupt},
		{"two headers", body(start + `}{}`), lockstep.ErrCorrupt},
		{"not JSON", body(`version 3`), lockstep.ErrCorrupt},
		{"negative number", body(`{"format":1,"min_reader":1,"version":-3}`), lockstep.ErrCorrupt},
		{"nothing", nil, lockstep.ErrCorrupt},
		{"length only", []byte{5}, lockstep.ErrCorrupt},
		{"length beyond the end", append(bytes.Repeat([]byte{0xff}, 9), 1), lockstep.ErrCorrupt},
		{"endless length", bytes.Repeat([]byte{0x80}, 20), lockstep.ErrCorrupt},
	} {
		_, _, err := DecodeEntry(c.body)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if (lockstep.HintOf(err) != "") != errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("%s: hint %q", c.name, lockstep.HintOf(err))
		}
	}
	if _, _, err := DecodeEntry(body(start+named, delta...)); err != nil {
		t.Errorf("the entry that all others are made of: %v", err)
	}
	if _, _, err := DecodeEntry(body(strings.Replace(start, `"format":1`, `"format":2`, 1) + "}")); err != nil {
		t.Errorf("a newer format that this reader may read: %v", err)
	}
}

func TestShortNamesForPeople(t *testing.T) {
	for in, want := range map[string]string{"0123456789abcdef": "0123456789ab", "ABC": "abc", "": ""} {
		if got := Short(in); got != want {
			t.Errorf("Short(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	delta := documentedDelta(f)
	whole, err := EncodeEntry(exampleEntry(delta), delta)
	if err != nil {
		f.Fatal(err)
	}
	seeds := [][]byte{
		whole, body(`{"format":1,"min_reader":1,"version":1,"at":"2026-05-04T03:02:01+02:00"}`), body(`{"format":2,"min_reader":2}`),
		body(`{"format":1,"min_reader":1,"version":2,"outcomes":{},"backlog":[]}`), body(`{}`),
		{},
		{0xff},
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, inline, err := DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) && !errors.Is(err, lockstep.ErrRefused) {
				t.Errorf("error %v has no class", err)
			}
			return
		}
		once, err := EncodeEntry(e, inline)
		if err != nil {
			return // a time with an offset that JSON cannot hold
		}
		e2, inline2, err := DecodeEntry(once)
		if err != nil || !bytes.Equal(inline, inline2) {
			t.Fatalf("encoded as %q, decoded with %v", once, err)
		}
		if twice, err := EncodeEntry(e2, inline2); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("encoded as %q, then as %q, %v", once, twice, err)
		}
	})
}
