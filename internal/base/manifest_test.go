package base_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

func example(t *testing.T) string {
	t.Helper()
	blocks := fences(t, "json")
	if len(blocks) != 1 {
		t.Fatalf("%d examples of a manifest", len(blocks))
	}
	return blocks[0]
}

func TestTheExampleInTheDocumentIsAManifest(t *testing.T) {
	m, err := base.DecodeManifest([]byte(example(t)))
	if err != nil {
		t.Fatal(err)
	}
	words, ok := m.Collection("words")
	if !ok || len(words.Records) == 0 || len(words.Vectors) == 0 || m.Bytes() == 0 {
		t.Errorf("%+v", m)
	}
	id, name, ok := base.ParseKey(m.Keys()[0])
	if !ok || id != m.ID() || name != words.Records[0].Name {
		t.Errorf("%s is %v %s %v", m.Keys()[0], id, name, ok)
	}
}

func TestAManifestThatIsNotExactIsCorrupt(t *testing.T) {
	text := example(t)
	for name, change := range map[string]func(string) string{
		"nothing":          func(string) string { return "" },
		"null":             func(string) string { return "null" },
		"cut short":        func(s string) string { return s[:len(s)/2] },
		"surplus":          func(s string) string { return s + "x" },
		"unknown field":    func(s string) string { return strings.Replace(s, `"version"`, `"colour": 1, "version"`, 1) },
		"other case":       func(s string) string { return strings.Replace(s, `"version"`, `"Version"`, 1) },
		"field twice":      func(s string) string { return strings.Replace(s, `"version": 42`, `"version": 42, "version": 42`, 1) },
		"no format":        func(s string) string { return strings.Replace(s, `"format": 1`, `"format": 0`, 1) },
		"version 0":        func(s string) string { return strings.Replace(s, `"version": 42`, `"version": 0`, 1) },
		"suffix":           func(s string) string { return strings.Replace(s, `"unique": "`, `"unique": "../`, 1) },
		"other name":       func(s string) string { return strings.Replace(s, `records-00000`, `records-00001`, 1) },
		"name elsewhere":   func(s string) string { return strings.Replace(s, `"name": "words.r`, `"name": "../words.r`, 1) },
		"more rows":        func(s string) string { return strings.Replace(s, `"rows": 3`, `"rows": 4`, 1) },
		"negative size":    func(s string) string { return strings.Replace(s, `"size": `, `"size": -`, 1) },
		"huge size":        func(s string) string { return strings.Replace(s, `"size": `, `"size": 1000000000`, 1) },
		"last before":      func(s string) string { return strings.Replace(s, `"last": "`, `"last": "!`, 1) },
		"sum changed":      func(s string) string { return strings.Replace(s, `"sum": "AQ`, `"sum": "Ag`, 1) },
		"digest changed":   func(s string) string { return strings.Replace(s, `"digest": "`, `"digest": "0`, 1) },
		"null parts":       func(s string) string { return strings.Replace(s, `"vectors": [`, `"vectors": null, "x": [`, 1) },
		"local time":       func(s string) string { return strings.Replace(s, `Z"`, `+02:00"`, 1) },
		"collection twice": twice,
	} {
		bad := change(text)
		if bad == text {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := base.DecodeManifest([]byte(bad)); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
}

func twice(s string) string {
	var m base.Manifest
	if json.Unmarshal([]byte(s), &m) != nil {
		return s
	}
	m.Collections = append(m.Collections, m.Collections[0])
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	if enc.Encode(m) != nil {
		return s
	}
	return out.String()
}

func TestANewerManifestIsReadOnlyWhereItSaysSo(t *testing.T) {
	newer := strings.Replace(example(t), `"format": 1`, `"format": 2, "colour": "red"`, 1)
	if m, err := base.DecodeManifest([]byte(newer)); err != nil || m.Version != 42 {
		t.Errorf("min_reader 1: %+v, %v", m, err)
	}
	closed := strings.Replace(newer, `"min_reader": 1`, `"min_reader": 2`, 1)
	if _, err := base.DecodeManifest([]byte(closed)); !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) == "" {
		t.Errorf("min_reader 2: %v, want ErrRefused with a hint", err)
	}
	store := &blob.Mem{}
	if err := store.Create(t.Context(), base.ID{Version: 42, Unique: "k3"}.ManifestKey(), []byte(closed)); err != nil {
		t.Fatal(err)
	}
	if _, err := base.Open(t.Context(), store, 42, "k3"); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("open: %v, want ErrRefused", err)
	}
}

func TestKeysOfBasesAreToldFromOthers(t *testing.T) {
	for key, want := range map[string]bool{
		"base/00000000000000000042/k3/manifest.json":               true,
		"base/00000000000000000042/k3/words.records-00000.parquet": true,
		"base/18446744073709551615/a-1/x":                          true,
		"base/18446744073709551616/a/x":                            false,
		"base/00000000000000000000/a/x":                            false,
		"base/42/k3/manifest.json":                                 false,
		"base/+0000000000000000042/k3/x":                           false,
		"base/00000000000000000042/K/x":                            false,
		"base/00000000000000000042/k3/":                            false,
		"base/00000000000000000042/k3":                             false,
		"base/00000000000000000042/k3/x/y":                         false,
		"log/00000000000000000042":                                 false,
		"":                                                         false,
	} {
		if id, name, ok := base.ParseKey(key); ok != want || ok && id.String()+"/"+name != key {
			t.Errorf("%q is %v %q %v, want %v", key, id, name, ok, want)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	var seeds [][]byte
	for _, rows := range [][]full{nil, words("words", 1, 0), words("words", 5, 2)} {
		store := &blob.Mem{}
		m := build(f, store, base.Options{PartRows: 2}, rows, "words")
		seeds = append(seeds, body(f, store, m.ID().ManifestKey()))
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := base.DecodeManifest(text)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) && !errors.Is(err, lockstep.ErrRefused) {
				t.Fatal(err)
			}
			return
		}
		if m.Format != base.Format {
			return
		}
		if back, err := base.EncodeManifest(&m); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("read %q, written %q, %v", text, back, err)
		}
	})
}
