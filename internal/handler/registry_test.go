package handler

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"lockstep/internal/lockstep"
)

// paper is a handler that only describes itself.
type paper struct{ d Description }

func (p paper) Describe() Description                                 { return p.d }
func (paper) Reads([]lockstep.Message) Reads                          { return Reads{} }
func (paper) Plan(context.Context, Unit) ([]lockstep.Mutation, error) { return nil, nil }

func described(change func(*Description)) paper {
	d := Description{
		Name: "receipts", Version: "2", ReadsFormat: "receipts/1", WritesFormat: "receipts/1", Code: "c0de", Config: []byte("{}"),
		Collections: []CollectionSpec{{Name: "lines", Dimension: 3, Space: "l2"}, {Name: "words"}},
		Entities:    []EntityRule{{Entity: "PLACE", Partition: "IMAGE#.+", Sort: "RECEIPT#.+"}},
	}
	if change != nil {
		change(&d)
	}
	return paper{d}
}

func TestRevisionNamesItself(t *testing.T) {
	r := NewRevision(described(nil))
	if !regexp.MustCompile(`^receipts@2 \([0-9a-f]{8}\)$`).MatchString(r.String()) {
		t.Errorf("String %q", r)
	}
	if !regexp.MustCompile(`^receipts@2\+[0-9a-f]{12}$`).MatchString(r.ID()) {
		t.Errorf("ID %q", r.ID())
	}
	if len(r.Hash) != 64 || !strings.HasPrefix(r.Hash, r.ID()[len("receipts@2+"):]) {
		t.Errorf("hash %q", r.Hash)
	}
}

// TRAPS T23: whatever decides what a handler does is part of its identity.
func TestRevisionHashCoversEveryFieldOfTheDescription(t *testing.T) {
	changes := map[string]func(*Description){
		"name":                func(d *Description) { d.Name = "receipt" },
		"version":             func(d *Description) { d.Version = "3" },
		"boundary":            func(d *Description) { d.Name, d.Version = "receipts2", "" },
		"reads format":        func(d *Description) { d.ReadsFormat = "receipts/2" },
		"writes format":       func(d *Description) { d.WritesFormat = "receipts/2" },
		"code":                func(d *Description) { d.Code = "c0df" },
		"config":              func(d *Description) { d.Config = []byte("{ }") },
		"collection":          func(d *Description) { d.Collections = d.Collections[:1] },
		"collection name":     func(d *Description) { d.Collections[1].Name = "rows" },
		"dimension":           func(d *Description) { d.Collections[0].Dimension = 4 },
		"space":               func(d *Description) { d.Collections[0].Space = "ip" },
		"order":               func(d *Description) { c := d.Collections; c[0], c[1] = c[1], c[0] },
		"entity":              func(d *Description) { d.Entities[0].Entity = "" },
		"entity partition":    func(d *Description) { d.Entities[0].Partition = "" },
		"entity sort":         func(d *Description) { d.Entities[0].Sort = ".+" },
		"no entities":         func(d *Description) { d.Entities = nil },
		"key partition":       func(d *Description) { d.Key.Partition = "pk" },
		"key partition, sort": func(d *Description) { d.Key.Partition, d.Key.Sort = "pk", "sk" },
	}
	seen := map[string]string{NewRevision(described(nil)).Hash: "the original"}
	for name, change := range changes {
		h := NewRevision(described(change)).Hash
		if other, ok := seen[h]; ok {
			t.Errorf("a change of the %s has the hash of %s", name, other)
		}
		seen[h] = "a change of the " + name
	}
	if _, ok := seen[NewRevision(described(nil)).Hash]; !ok {
		t.Error("the hash is not stable")
	}
}

func TestLookup(t *testing.T) {
	one := described(func(d *Description) { d.Version = "1" })
	two := described(nil)
	twin := described(func(d *Description) { d.Code = "other" }) // receipts@2 as well
	r, err := NewRegistry([]Handler{one, two, twin})
	if err != nil {
		t.Fatal(err)
	}
	revs := r.All()
	for _, name := range []string{"receipts@1", revs[0].ID(), revs[0].Hash, revs[0].Hash[:6], strings.ToUpper(revs[0].Hash[:6])} {
		if got, err := r.Lookup(name); err != nil || got.Hash != revs[0].Hash {
			t.Errorf("Lookup(%q) = %v, %v", name, got, err)
		}
	}
	if got, err := r.Lookup(revs[2].ID()); err != nil || got.Hash != revs[2].Hash {
		t.Errorf("the id of a twin: %v, %v", got, err)
	}
	_, err = r.Lookup("receipts@2")
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), revs[1].ID()) || !strings.Contains(err.Error(), revs[2].ID()) || strings.Contains(err.Error(), revs[0].ID()) {
		t.Errorf("ambiguous: %v", err)
	}
	for _, name := range []string{"", "receipts", "receipts@3", "ffff", revs[0].Hash[:3], revs[0].Hash + "0"} {
		_, err := r.Lookup(name)
		if !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(err.Error(), revs[0].ID()) || lockstep.HintOf(err) == "" {
			t.Errorf("Lookup(%q): %v, want not found with the known ids and a hint", name, err)
		}
	}
}

func TestRegistryRefusesWhatCannotBeARevision(t *testing.T) {
	if _, err := NewRegistry([]Handler{described(nil), described(nil)}); !errors.Is(err, lockstep.ErrConflict) {
		t.Errorf("the same twice: %v", err)
	}
	for rule, change := range map[string]func(*Description){
		"name":       func(d *Description) { d.Name = "Receipts" },
		"version":    func(d *Description) { d.Version = "2@3" },
		"code":       func(d *Description) { d.Code = "" },
		"no columns": func(d *Description) { d.Collections = nil },
		"twice":      func(d *Description) { d.Collections[1].Name = "lines" },
		"own":        func(d *Description) { d.Collections[1].Name = lockstep.Table },
		"collection": func(d *Description) { d.Collections[1].Name = "x" },
		"dimension":  func(d *Description) { d.Collections[1].Dimension = -1 },
		"space":      func(d *Description) { d.Collections[1].Space = "L2" },
		"rule":       func(d *Description) { d.Entities[0].Sort = "(" },
		"escape":     func(d *Description) { d.Entities[0].Partition = "a)(b" },
		"key":        func(d *Description) { d.Key.Sort = "sk" },
	} {
		if _, err := NewRegistry([]Handler{described(change)}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", rule, err)
		}
	}
}

func TestSourceHashFollowsTheSourcesAndNotTheTests(t *testing.T) {
	files := func(change func(fstest.MapFS)) fstest.MapFS {
		fs := fstest.MapFS{"a.go": {Data: []byte("package a")}, "b/c.go": {Data: []byte("package c")}, "a_test.go": {Data: []byte("package a")}}
		change(fs)
		return fs
	}
	base := SourceHash(files(func(fstest.MapFS) {}))
	if len(base) != 64 {
		t.Fatalf("hash %q", base)
	}
	if SourceHash(files(func(fs fstest.MapFS) { fs["a_test.go"].Data = []byte("changed") })) != base {
		t.Error("a test changed the hash")
	}
	for name, change := range map[string]func(fstest.MapFS){
		"content": func(fs fstest.MapFS) { fs["b/c.go"].Data = []byte("package d") },
		"name":    func(fs fstest.MapFS) { fs["d.go"] = fs["a.go"]; delete(fs, "a.go") },
		"new":     func(fs fstest.MapFS) { fs["d.go"] = fs["a.go"] },
		"missing": func(fs fstest.MapFS) { delete(fs, "a.go") },
	} {
		if SourceHash(files(change)) == base {
			t.Errorf("a change of %s did not change the hash", name)
		}
	}
	if h := SourceHash(fstest.MapFS{"a_test.go": {}}); h != "" {
		t.Errorf("no sources have the hash %q", h)
	}
}
