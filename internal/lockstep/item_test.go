package lockstep

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSequenceCompare(t *testing.T) {
	// In order; those in one row are equal.
	rows := [][]Sequence{
		{""},
		{"0", "00", "0000000000"},
		{"1", "01"},
		{"2"},
		{"9", "009"},
		{"10"},
		{"18446744073709551615"},
		{"18446744073709551616", "0018446744073709551616"},
		{"49590338271490256608559692538361571095921575989136588802"},
		{"49590338271490256608559692538361571095921575989136588898"},
		{Sequence("1" + strings.Repeat("0", 100))},
	}
	for i, as := range rows {
		for j, bs := range rows {
			for _, a := range as {
				for _, b := range bs {
					want := 0
					if i < j {
						want = -1
					} else if i > j {
						want = 1
					}
					if got := a.Compare(b); got != want {
						t.Errorf("%q compared with %q: %d, want %d", a, b, got, want)
					}
				}
			}
		}
	}
}

func TestSequenceComparesAsAnInteger(t *testing.T) {
	digits := rapid.StringMatching(`0{0,3}[0-9]{1,40}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := digits.Draw(t, "a"), digits.Draw(t, "b")
		x, _ := new(big.Int).SetString(a, 10)
		y, _ := new(big.Int).SetString(b, 10)
		if got, want := Sequence(a).Compare(Sequence(b)), x.Cmp(y); got != want {
			t.Fatalf("%q compared with %q: %d, want %d", a, b, got, want)
		}
	})
}

func TestSequenceValid(t *testing.T) {
	for s, want := range map[Sequence]bool{"0": true, "00012": true, Sequence(strings.Repeat("9", 200)): true, "": false, "-1": false, "+1": false, "1.0": false, "1e3": false, " 1": false, "١": false} {
		if s.Valid() != want {
			t.Errorf("%q valid: %t", s, s.Valid())
		}
	}
}

func TestItemKeyIsEscapedAndReadBack(t *testing.T) {
	for _, c := range []struct {
		key ItemKey
		id  string
	}{
		{ItemKey{"IMAGE#1", "RECEIPT#00001"}, "IMAGE#1|RECEIPT#00001"},
		{ItemKey{"a", ""}, "a|"},
		{ItemKey{"", "s"}, "|s"},
		{ItemKey{"a|b", "c|d%"}, "a%7Cb|c|d%"},
		{ItemKey{"100%", "x"}, "100%25|x"},
		{ItemKey{"%7C|%25", "x"}, "%257C%7C%2525|x"},
	} {
		if got := c.key.RecordID(); got != c.id {
			t.Errorf("%+v is %q, want %q", c.key, got, c.id)
		}
		if got, ok := ParseItemKey(c.id); !ok || got != c.key {
			t.Errorf("%q is %+v, %t, want %+v", c.id, got, ok, c.key)
		}
	}
	if _, ok := ParseItemKey("no separator"); ok {
		t.Error("an id without separator was taken for a key")
	}
}

func TestDifferentItemKeysHaveDifferentRecordIDs(t *testing.T) {
	part := rapid.StringOf(rapid.SampledFrom([]rune("ab|%257Cé\x00")))
	rapid.Check(t, func(t *rapid.T) {
		a, b := ItemKey{part.Draw(t, "pk"), part.Draw(t, "sk")}, ItemKey{part.Draw(t, "pk2"), part.Draw(t, "sk2")}
		if back, ok := ParseItemKey(a.RecordID()); !ok || back != a {
			t.Fatalf("%+v is read back as %+v", a, back)
		}
		if (a == b) != (a.RecordID() == b.RecordID()) {
			t.Fatalf("%+v and %+v are %q and %q", a, b, a.RecordID(), b.RecordID())
		}
		whole := ItemKey{Partition: a.Partition}.RecordID()
		if inside := strings.HasPrefix(b.RecordID(), whole); inside != (a.Partition == b.Partition) {
			t.Fatalf("%q begins with %q: %t", b.RecordID(), whole, inside)
		}
	})
}

func TestItemNamesAndStrings(t *testing.T) {
	it := Item{"b": {Type: AttrS, Text: "x"}, "a": {Type: AttrN, Text: "1"}, "c": {Type: AttrNull}}
	if got := it.Names(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("names %q", got)
	}
	if got := []string{it.Str("a"), it.Str("b"), it.Str("c"), it.Str("d")}; !slices.Equal(got, []string{"", "x", "", ""}) {
		t.Errorf("strings %q", got)
	}
}

func TestOutcomesAreDistinct(t *testing.T) {
	all := Outcomes()
	slices.Sort(all)
	if len(slices.Compact(all)) != 9 {
		t.Errorf("outcomes %q", Outcomes())
	}
}
