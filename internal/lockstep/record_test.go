package lockstep

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestRecordCheckKeepsTheLimits(t *testing.T) {
	many := func(n int) Metadata {
		m := make(Metadata, n)
		for i := range m {
			m[i] = Field{fmt.Sprintf("k%05d", i), Int(1)}
		}
		return m
	}
	big := func(n int) Metadata { return Metadata{{"k", String(strings.Repeat("x", n))}} }
	for _, c := range []struct {
		name string
		r    Record
		want string
	}{
		{"smallest", Record{ID: "x"}, ""},
		{"longest id", Record{ID: strings.Repeat("x", MaxIDBytes)}, ""},
		{"id too long", Record{ID: strings.Repeat("x", MaxIDBytes+1)}, "id of 1025 bytes"},
		{"empty id", Record{}, "empty id"},
		{"id not UTF-8", Record{ID: "x\xff"}, "not UTF-8"},
		{"longest document", Record{ID: "x", HasDocument: true, Document: strings.Repeat("x", MaxDocumentBytes)}, ""},
		{"document too long", Record{ID: "x", HasDocument: true, Document: strings.Repeat("x", MaxDocumentBytes+1)}, "document of"},
		{"document not UTF-8", Record{ID: "x", HasDocument: true, Document: "caf\xc3"}, "not UTF-8"},
		{"most keys", Record{ID: "x", Metadata: many(MaxMetadataKeys)}, ""},
		{"too many keys", Record{ID: "x", Metadata: many(MaxMetadataKeys + 1)}, "1025 metadata keys"},
		{"most metadata", Record{ID: "x", Metadata: big(MaxMetadataBytes - 9)}, ""},
		{"too much metadata", Record{ID: "x", Metadata: big(MaxMetadataBytes - 8)}, "metadata of"},
		{"too much in lists", Record{ID: "x", Metadata: Metadata{{"k", List(make([]Value, MaxMetadataBytes/8))}}}, "metadata of"},
		{"bad metadata", Record{ID: "x", Metadata: Metadata{{"chroma:document", Int(1)}}}, "chroma:"},
	} {
		err := c.r.Check()
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %.200v, want %q", c.name, err, c.want)
		}
		if c.want != "" && c.r.ID != "" && !strings.Contains(err.Error(), "record \"x") {
			t.Errorf("%s: %.200v does not name the record", c.name, err)
		}
	}
}

func TestCollectionNamesAreThoseThatChromaAccepts(t *testing.T) {
	for name, ok := range map[Collection]bool{
		"lines": true, "abc": true, "a.b": true, "a_b-c.d": true, "0a0": true, Collection(strings.Repeat("a", 128)): true,
		"": false, "ab": false, "-ab": false, "ab-": false, "a b": false, "Lines": false, "aé1": false, "a/b": false, "abc\n": false,
		Collection(strings.Repeat("a", 129)): false,
	} {
		if err := name.Check(); (err == nil) != ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%.40q: %v, want accepted %t", name, err, ok)
		}
	}
	for c, builtin := range map[Collection]bool{Table: true, Parked: true, Malformed: true, "lines": false, "tables": false} {
		if c.Builtin() != builtin {
			t.Errorf("%s builtin: %t", c, c.Builtin())
		}
	}
}

func TestCheckVector(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		name string
		v    []float32
		want string
	}{
		{"one", []float32{0}, ""},
		{"longest", make([]float32, MaxDimension), ""},
		{"extremes", []float32{math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32}, ""},
		{"nil", nil, "0 components"},
		{"too long", make([]float32, MaxDimension+1), "65537 components"},
		{"NaN", []float32{1, nan}, "component 1 is NaN"},
		{"infinity", []float32{inf}, "component 0 is -Inf"},
	} {
		err := CheckVector(c.v)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestOpsAndKindsHaveNames(t *testing.T) {
	if got := fmt.Sprint(Upsert, Delete, KindString, KindInt, KindFloat, KindBool, KindList, Kind(9)); got != "upsert delete string int float bool list kind(9)" {
		t.Error(got)
	}
}
