package change

import (
	"errors"
	"testing"

	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func genMirrorItem() *rapid.Generator[lockstep.MirrorItem] {
	return rapid.Custom(func(t *rapid.T) lockstep.MirrorItem {
		it := lockstep.MirrorItem{
			Key:     lockstep.ItemKey{Partition: genText().Filter(func(s string) bool { return s != "" }).Draw(t, "pk"), Sort: genText().Draw(t, "sk")},
			Entity:  genText().Draw(t, "entity"),
			Seq:     lockstep.Sequence(rapid.StringMatching(`(0|[1-9][0-9]{0,30})?`).Draw(t, "seq")),
			Removed: lockstep.Sequence(rapid.StringMatching(`(0|[1-9][0-9]{0,30})?`).Draw(t, "removed")),
		}
		it.ID = it.Key.RecordID()
		if rapid.Bool().Draw(t, "present") {
			it.Image = genItem(2).Draw(t, "image")
		}
		return it
	})
}

func TestAMirroredItemSurvivesItsRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		it := genMirrorItem().Draw(t, "item")
		r := MirrorRecord(it)
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		back, err := ParseMirror(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, MirrorRecord(back)); diff != "" {
			t.Fatal(diff)
		}
		if (it.Image == nil) != (back.Image == nil) || it.Key != back.Key || it.ID != back.ID || it.Seq != back.Seq || it.Removed != back.Removed || it.Entity != back.Entity {
			t.Fatalf("%+v became %+v", it, back)
		}
	})
}

func TestTheRecordOfAMirroredItem(t *testing.T) {
	it := lockstep.MirrorItem{
		Key: lockstep.ItemKey{Partition: "a|b", Sort: "c"}, Entity: "LABEL", Seq: "0012", Removed: "7",
		Image: lockstep.Item{"x": {Type: "N", Text: "1"}},
	}
	want := lockstep.Record{
		ID: "a%7Cb|c", Document: `{"x":{"N":"1"}}`, HasDocument: true,
		Metadata: lockstep.MetadataOf(map[string]lockstep.Value{
			"entity": lockstep.String("LABEL"), "seq": lockstep.String("12"), "removed": lockstep.String("7"), "state": lockstep.String("present"),
		}),
	}
	if diff := cmp.Diff(want, MirrorRecord(it)); diff != "" {
		t.Error(diff)
	}
	it.Image, it.Removed = nil, ""
	want.HasDocument, want.Document = false, ""
	want.Metadata = want.Metadata.Without(func(k string) bool { return k == "removed" }).With("state", lockstep.String("removed"))
	if diff := cmp.Diff(want, MirrorRecord(it)); diff != "" {
		t.Error(diff)
	}
}

func TestAForeignTableRecordIsCorrupt(t *testing.T) {
	good := MirrorRecord(lockstep.MirrorItem{
		Key: labelKey, Entity: "LABEL", Seq: "12", Removed: "7", Image: lockstep.Item{"a": {Type: "S", Text: "x"}, "b": {Type: "S", Text: "y"}},
	})
	if _, err := ParseMirror(good); err != nil {
		t.Fatal(err)
	}
	meta := func(key string, v lockstep.Value) func(*lockstep.Record) {
		return func(r *lockstep.Record) { r.Metadata = r.Metadata.With(key, v) }
	}
	without := func(key string) func(*lockstep.Record) {
		return func(r *lockstep.Record) { r.Metadata = r.Metadata.Without(func(k string) bool { return k == key }) }
	}
	doc := func(text string) func(*lockstep.Record) { return func(r *lockstep.Record) { r.Document = text } }
	for name, spoil := range map[string]func(*lockstep.Record){
		"no separator":           func(r *lockstep.Record) { r.ID = "x" },
		"no partition":           func(r *lockstep.Record) { r.ID = "|x" },
		"an escape too few":      func(r *lockstep.Record) { r.ID = "%x|y" },
		"a vector":               func(r *lockstep.Record) { r.Vector.Dim = 1 },
		"no metadata":            func(r *lockstep.Record) { r.Metadata = nil },
		"a key more":             meta("x", lockstep.String("y")),
		"a key instead":          func(r *lockstep.Record) { without("removed")(r); meta("x", lockstep.String("y"))(r) },
		"no entity":              without("entity"),
		"no state":               without("state"),
		"seq an integer":         meta("seq", lockstep.Int(12)),
		"seq padded":             meta("seq", lockstep.String("012")),
		"seq no number":          meta("seq", lockstep.String("x")),
		"removed empty":          meta("removed", lockstep.String("")),
		"removed no number":      meta("removed", lockstep.String("-1")),
		"unknown state":          meta("state", lockstep.String("gone")),
		"removed, yet there":     meta("state", lockstep.String("removed")),
		"present, yet not there": func(r *lockstep.Record) { r.HasDocument, r.Document = false, "" },
		"no item":                doc(`x`),
		"half an item":           doc(`{"a":{"S":"x"}`),
		"more after it":          doc(`{"a":{"S":"x"}} `),
		"blanks":                 doc(`{"a": {"S":"x"}}`),
		"names out of order":     doc(`{"b":{"S":"x"},"a":{"S":"y"}}`),
		"a name twice":           doc(`{"a":{"S":"x"},"a":{"S":"y"}}`),
		"a needless escape":      doc(`{"a":{"S":"\u0041"}}`),
		"another escape":         doc(`{"a":{"S":"\u000a"}}`),
		"an escape in capitals":  doc(`{"a":{"S":"\u001F"}}`),
		"a set out of order":     doc(`{"a":{"SS":["b","a"]}}`),
		"an element twice":       doc(`{"a":{"SS":["a","a"]}}`),
		"base64 with a tail":     doc(`{"a":{"B":"AB=="}}`),
		"invalid UTF-8":          doc("{\"a\":{\"S\":\"\xff\"}}"),
	} {
		r := good
		spoil(&r)
		if it, err := ParseMirror(r); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %+v, %v", name, it, err)
		}
	}
}
