package version

import (
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zeebo/blake3"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

// lanes is the digest written anew from docs/format/digest.md, as slowly as it reads.
type lanes [1024]uint16

func (l *lanes) add(id string, record []byte, sign int) {
	var in []byte
	in = append(in, "lockstep/record/1"...)
	in = append(in, 0)
	in = binary.AppendUvarint(in, uint64(len(id)))
	in = append(in, id...)
	in = append(in, record...)
	h := blake3.New()
	if _, err := h.Write(in); err != nil {
		panic(err)
	}
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		panic(err)
	}
	counter, out := make([]byte, 16), make([]byte, 0, 2048)
	for i := range 128 { // CTR mode by hand: the counter is a big-endian number
		binary.BigEndian.PutUint64(counter[8:], uint64(i))
		var b [16]byte
		block.Encrypt(b[:], counter)
		out = append(out, b[:]...)
	}
	for i := range l {
		x := binary.LittleEndian.Uint16(out[2*i:])
		if sign < 0 {
			x = -x
		}
		l[i] += x
	}
}

func (l *lanes) bytes() []byte {
	var out []byte
	for _, x := range l {
		out = binary.LittleEndian.AppendUint16(out, x)
	}
	return out
}

func (l *lanes) digest() string {
	h := blake3.Sum256(l.bytes())
	return hex.EncodeToString(h[:])
}

type counted struct {
	id     string
	record []byte
}

func genCounted() *rapid.Generator[[]counted] {
	return rapid.Custom(func(t *rapid.T) []counted {
		var out []counted
		for range rapid.IntRange(1, 8).Draw(t, "records") {
			r := genRecord().Draw(t, "record")
			out = append(out, counted{r.ID, AppendRecord(nil, &r)})
		}
		return out
	})
}

func sumOf(records []counted) Sum {
	var s Sum
	var h Hasher
	for _, r := range records {
		h.Add(&s, r.id, r.record)
	}
	return s
}

func TestTheDigestIsWhatItsPageSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := genCounted().Draw(t, "set")
		var slow lanes
		for _, r := range records {
			slow.add(r.id, r.record, 1)
		}
		s := sumOf(records)
		if string(s.Bytes()) != string(slow.bytes()) || s.Digest() != slow.digest() {
			t.Fatalf("digest %s, by its description %s", s.Digest(), slow.digest())
		}
		var h Hasher
		gone := rapid.SampledFrom(records).Draw(t, "removed")
		h.Sub(&s, gone.id, gone.record)
		slow.add(gone.id, gone.record, -1)
		if s.Digest() != slow.digest() {
			t.Fatalf("digest %s after a removal, by its description %s", s.Digest(), slow.digest())
		}
	})
}

func TestLanesAddAndSubtractOneByOne(t *testing.T) {
	word := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, ^uint64(0), laneHigh, laneLow, 0x0001000100010001, 0x7fff80000001ffff}))
	rapid.Check(t, func(t *rapid.T) {
		x, y := word.Draw(t, "x"), word.Draw(t, "y")
		a, b := Sum{0: x, sumWords - 1: y}, Sum{0: y, sumWords - 1: x}
		plus, minus := a, a
		plus.Add(&b)
		minus.Sub(&b)
		naive := func(x, y uint64, f func(x, y uint16) uint16) (out uint64) {
			for lane := range 4 {
				out |= uint64(f(uint16(x>>(16*lane)), uint16(y>>(16*lane)))) << (16 * lane)
			}
			return out
		}
		add := func(x, y uint16) uint16 { return x + y }
		sub := func(x, y uint16) uint16 { return x - y }
		if want := (Sum{0: naive(x, y, add), sumWords - 1: naive(y, x, add)}); plus != want {
			t.Fatalf("%#x + %#x = %#x, want %#x", x, y, plus[0], want[0])
		}
		if want := (Sum{0: naive(x, y, sub), sumWords - 1: naive(y, x, sub)}); minus != want {
			t.Fatalf("%#x - %#x = %#x, want %#x", x, y, minus[0], want[0])
		}
		if plus.Sub(&b); plus != a {
			t.Fatalf("adding and subtracting %#x made %#x of %#x", y, plus[0], x)
		}
	})
}

func TestTheOrderOfRecordsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := genCounted().Draw(t, "set")
		s := sumOf(records)
		if p := sumOf(rapid.Permutation(records).Draw(t, "permutation")); p != s {
			t.Fatal("another order has another sum")
		}
		cut := rapid.IntRange(0, len(records)).Draw(t, "cut")
		a, b := sumOf(records[:cut]), sumOf(records[cut:])
		if a.Add(&b); a != s {
			t.Fatal("the sums of two parts do not add up")
		}
		var h Hasher
		for _, r := range rapid.Permutation(records).Draw(t, "removed") {
			h.Sub(&s, r.id, r.record)
		}
		if s != (Sum{}) || s.Digest() != EmptyDigest() {
			t.Fatal("removing everything does not leave the empty set")
		}
	})
}

// TestTheIDIsPartOfTheElement is TRAPS T11: the same content under another id is
// another record, and where the id ends is not a matter of taste.
func TestTheIDIsPartOfTheElement(t *testing.T) {
	var h Hasher
	seen := map[Sum]string{}
	for _, r := range []counted{{"a", []byte{0, 0}}, {"b", []byte{0, 0}}, {"", []byte{0, 0}}, {"a\x00", []byte{0}}, {"a\x00\x00", nil}, {"", []byte{1, 'a', 0, 0}}} {
		var s Sum
		h.Add(&s, r.id, r.record)
		if other, ok := seen[s]; ok {
			t.Errorf("%q %x has the element of %s", r.id, r.record, other)
		}
		seen[s] = fmt.Sprintf("%q %x", r.id, r.record)
	}
	// A multiset hash takes away what was never there; only the state prevents that.
	var s Sum
	h.Sub(&s, "absent", nil)
	if h.Add(&s, "absent", nil); s != (Sum{}) {
		t.Error("subtracting and adding is not nothing")
	}
}

// goldenSet is the set of docs/format/digest.md: records r0, r1, … each with the
// document "document <i>" and the metadata i.
func goldenSet(n int) []counted {
	var out []counted
	for i := range n {
		r := lockstep.Record{ID: fmt.Sprint("r", i), HasDocument: true, Document: fmt.Sprint("document ", i), Metadata: lockstep.Metadata{{Key: "i", Value: lockstep.Int(int64(i))}}}
		out = append(out, counted{r.ID, AppendRecord(nil, &r)})
	}
	return out
}

func TestTheDocumentedDigests(t *testing.T) {
	var want strings.Builder
	for _, n := range []int{0, 1, 2, 100} {
		s := sumOf(goldenSet(n))
		fmt.Fprintf(&want, "%d %s\n", n, s.Digest())
	}
	if got := block(t, "digest.md", "digests"); got != want.String() {
		t.Errorf("docs/format/digest.md says\n%s\nthe digests are\n%s", got, want.String())
	}
	one := sumOf(goldenSet(1))
	if got := packed(block(t, "digest.md", "hex")); got != hex.EncodeToString(one.Bytes()[:32]) {
		t.Errorf("the first 16 lanes of one record are %x, documented as %s", one.Bytes()[:32], got)
	}
}

func TestSumsAreReadBackAsWritten(t *testing.T) {
	s := sumOf(goldenSet(3))
	b := s.Bytes()
	if got, err := SumOf(b); err != nil || got != s || len(b) != SumSize {
		t.Errorf("read back with error %v, equal %t", err, got == s)
	}
	for _, n := range []int{0, SumSize - 1, SumSize + 1} {
		if _, err := SumOf(make([]byte, n)); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestTheDeltaOfTwoStatesIsTheDifferenceOfTheirSums ties Delta.Sums to the records.
func TestTheDeltaOfTwoStatesIsTheDifferenceOfTheirSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genDelta().Draw(t, "delta")
		want := map[lockstep.Collection]*lanes{}
		records := map[lockstep.Collection]int64{}
		for _, m := range d.Mutations {
			if want[m.Collection] == nil {
				want[m.Collection] = &lanes{}
			}
			if m.Before != nil {
				want[m.Collection].add(m.ID, m.Before, -1)
				records[m.Collection]--
			}
			if m.After != nil {
				want[m.Collection].add(m.ID, m.After, 1)
				records[m.Collection]++
			}
		}
		got := d.Sums(&Hasher{})
		if len(got) != len(want) {
			t.Fatalf("%d collections, want %d", len(got), len(want))
		}
		for c, tally := range got {
			if tally.Sum.Digest() != want[c].digest() || tally.Records != records[c] {
				t.Fatalf("%s: %d records, want %d", c, tally.Records, records[c])
			}
			back := *tally
			if back.Sub(tally); back != (Tally{}) {
				t.Fatalf("%s: a tally less itself is %d records", c, back.Records)
			}
			if back.Add(tally); back != *tally {
				t.Fatalf("%s: nothing and a tally is %d records", c, back.Records)
			}
		}
	})
}

func TestTheIndexDigestLeavesOutWhatWentWrong(t *testing.T) {
	a, b := EmptyDigest(), strings.Repeat("b", 64)
	base := map[lockstep.Collection]string{"lines": b, lockstep.Table: b}
	same := map[lockstep.Collection]string{"lines": b, lockstep.Table: b, lockstep.Parked: b, lockstep.Malformed: b, "words": a}
	if IndexDigest(base) != IndexDigest(same) {
		t.Error("parked, malformed or empty collections count")
	}
	for _, other := range []map[lockstep.Collection]string{{}, {"lines": b}, {"words": b, lockstep.Table: b}, {"lines": b, lockstep.Table: strings.Repeat("c", 64)}} {
		if IndexDigest(base) == IndexDigest(other) {
			t.Errorf("%v has the same digest", other)
		}
	}
}

func TestVectorsAreNamedByContent(t *testing.T) {
	v := []float32{1, -2.5, 0}
	b := AppendVector(nil, v)
	if got := VectorOf(b); len(got) != 3 || got[1] != -2.5 {
		t.Errorf("read back %v", got)
	}
	ref := RefOf(b)
	if ref.Dim != 3 || ref.Hash != blake3.Sum256(b) || ref == RefOf(AppendVector(nil, []float32{1, -2.5})) {
		t.Errorf("reference %+v", ref)
	}
	if RefOf(nil) != (lockstep.VectorRef{}) {
		t.Error("no bytes name a vector")
	}
}

func BenchmarkHasherElement(b *testing.B) {
	r := benchmarkRecord()
	image := AppendRecord(nil, &r)
	var h Hasher
	var s Sum
	b.ReportAllocs()
	for b.Loop() {
		h.Add(&s, r.ID, image)
	}
}
