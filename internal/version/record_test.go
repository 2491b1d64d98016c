package version

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func TestTheDocumentedRecordParses(t *testing.T) {
	documented, err := hex.DecodeString(packed(block(t, "record.md", "hex")))
	want := exampleRecord()
	if err != nil || !bytes.Equal(documented, AppendRecord(nil, &want)) {
		t.Fatalf("docs/format/record.md says %x (%v), the record is %x", documented, err, AppendRecord(nil, &want))
	}
	got, err := DecodeRecord("r1", documented)
	if err != nil || !sameRecord(got, want) {
		t.Errorf("documented record: %+v, %v", got, err)
	}
}

func TestRecordsAreReadBackAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genRecord().Draw(t, "record")
		b := AppendRecord([]byte("before"), &r)
		image := bytes.Clone(b[len("before"):])
		for name, decode := range map[string]func(string, []byte) (lockstep.Record, error){"DecodeRecord": DecodeRecord, "DecodeShared": DecodeShared} {
			got, err := decode(r.ID, image)
			if err != nil || !sameRecord(got, r) {
				t.Fatalf("%s: %+v, %v, want %+v", name, got, err, r)
			}
			if again := AppendRecord(nil, &got); !bytes.Equal(again, image) {
				t.Fatalf("%s: encodes to %x, was %x", name, again, image)
			}
		}
	})
}

func TestDecodedRecordsDoNotShareTheBytes(t *testing.T) {
	r := exampleRecord()
	b := AppendRecord(nil, &r)
	got, err := DecodeRecord("r1", b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !sameRecord(got, r) {
		t.Errorf("the record changed with the bytes: %+v", got)
	}
}

// TestDifferentRecordsHaveDifferentBytes is TRAPS 4.9: no field may flow into the next.
func TestDifferentRecordsHaveDifferentBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genRecord().Draw(t, "a"), genRecord().Draw(t, "b")
		if rapid.Bool().Draw(t, "near") { // differs in one thing, or in none
			b = a
			switch rapid.IntRange(0, 3).Draw(t, "change") {
			case 0:
				b.HasDocument, b.Document = !a.HasDocument, ""
			case 1:
				b.Vector.Hash[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
				b.Vector.Dim = a.Vector.Dim | 1
			case 2:
				b.Metadata = a.Metadata.With("a", genValue().Draw(t, "value"))
			}
		}
		b.ID = a.ID
		x, y := AppendRecord(nil, &a), AppendRecord(nil, &b)
		if bytes.Equal(x, y) != sameRecord(a, b) {
			t.Fatalf("%+v and %+v are %x and %x", a, b, x, y)
		}
	})
}

func TestValuesThatLookAlikeAreKeptApart(t *testing.T) {
	values := []lockstep.Value{
		lockstep.String(""), lockstep.String("1"), lockstep.String("\x01"), lockstep.String("a\x00"), lockstep.String("a"),
		lockstep.Int(0), lockstep.Int(1), lockstep.Float(0), lockstep.Float(1), lockstep.Bool(false), lockstep.Bool(true),
		lockstep.Strings(""), lockstep.Strings("1"), lockstep.Strings("", ""), lockstep.Strings("a", "b"), lockstep.Strings("b", "a"), lockstep.Strings("ab"),
		lockstep.List([]lockstep.Value{lockstep.Int(1)}), lockstep.List([]lockstep.Value{lockstep.Float(1)}), lockstep.List([]lockstep.Value{lockstep.Bool(true)}),
	}
	seen := map[string]int{}
	for i, v := range values {
		b := string(AppendRecord(nil, &lockstep.Record{ID: "x", Metadata: lockstep.Metadata{{Key: "k", Value: v}}}))
		if j, ok := seen[b]; ok {
			t.Errorf("%#v and %#v have the same bytes %x", v, values[j], b)
		}
		seen[b] = i
	}
}

func TestMinusZeroHasOneEncoding(t *testing.T) {
	minus := math.Copysign(0, -1)
	a := lockstep.Record{ID: "x", Metadata: lockstep.Metadata{{Key: "k", Value: lockstep.Float(minus)}}}
	b := lockstep.Record{ID: "x", Metadata: lockstep.Metadata{{Key: "k", Value: lockstep.Float(0)}}}
	if !bytes.Equal(AppendRecord(nil, &a), AppendRecord(nil, &b)) {
		t.Error("-0 and 0 are two values")
	}
	if got, want := AppendVector(nil, []float32{float32(minus), 1}), AppendVector(nil, []float32{0, 1}); !bytes.Equal(got, want) {
		t.Errorf("-0 in a vector is %x, 0 is %x", got, want)
	}
}

// field returns an encoded record with the one metadata field k of that kind and bytes.
func field(kind byte, value ...byte) []byte {
	return append([]byte{0, 1, 1, 'k', kind}, value...)
}

func floatBytes(bits uint64) []byte { return binary.LittleEndian.AppendUint64(nil, bits) }

func TestDecodeRecordRefusesWhatWouldNotBeWritten(t *testing.T) {
	hash := strings.Repeat("\x00", 32)
	for name, b := range map[string][]byte{
		"nothing":                      nil,
		"flags only":                   {0},
		"unknown flag":                 {4, 0},
		"surplus byte":                 {0, 0, 0},
		"document cut short":           {1, 5, 'a'},
		"document length not minimal":  {1, 0x81, 0, 'a', 0},
		"dimension 0":                  append(append([]byte{2, 0}, hash...), 0),
		"dimension beyond the limit":   append(append([]byte{2, 0x81, 0x80, 0x04}, hash...), 0),
		"vector hash cut short":        {2, 1, 1, 2, 3, 0},
		"length of 2^64":               append([]byte{1}, bytes.Repeat([]byte{0xff}, 10)...),
		"varint of 11 bytes":           append([]byte{1}, append(bytes.Repeat([]byte{0x80}, 10), 1)...),
		"-0":                           field(3, floatBytes(1<<63)...),
		"NaN":                          field(3, floatBytes(math.Float64bits(math.NaN()))...),
		"signalling NaN":               field(3, floatBytes(0x7ff0000000000001)...),
		"infinity":                     field(3, floatBytes(math.Float64bits(math.Inf(1)))...),
		"-infinity":                    field(3, floatBytes(math.Float64bits(math.Inf(-1)))...),
		"-0 in a list":                 field(5, append([]byte{3, 1}, floatBytes(1<<63)...)...),
		"int cut short":                field(2, 1, 2, 3),
		"bool 2":                       field(4, 2),
		"kind 0":                       field(0),
		"kind 6":                       field(6, 0),
		"empty list":                   field(5, 1, 0),
		"list in a list":               field(5, 5, 1, 1, 1, 0),
		"list of unknown kind":         field(5, 9, 1, 0),
		"list cut short":               field(5, 1, 2, 0),
		"keys out of order":            {0, 2, 1, 'b', 4, 1, 1, 'a', 4, 1},
		"key twice":                    {0, 2, 1, 'a', 4, 1, 1, 'a', 4, 1},
		"fewer fields than counted":    {0, 2, 1, 'a', 4, 1},
		"more fields than counted":     {0, 1, 1, 'a', 4, 1, 1, 'b', 4, 1},
		"field count beyond the bytes": {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 'a', 4},
		"list count beyond the bytes":  field(5, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1),
	} {
		if r, err := DecodeRecord("x", b); !errors.Is(err, ErrRecordEncoding) || !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %+v, %v, want ErrRecordEncoding", name, r, err)
		}
	}
}

// TestNoPrefixOfARecordIsARecord also wants every one refused without a panic.
func TestNoPrefixOfARecordIsARecord(t *testing.T) {
	r := exampleRecord()
	b := AppendRecord(nil, &r)
	for n := range b {
		if _, err := DecodeRecord("r1", b[:n]); !errors.Is(err, ErrRecordEncoding) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
}

func TestACountIsNotAnAllocation(t *testing.T) {
	for name, b := range map[string][]byte{
		"fields": {0, 0xff, 0xff, 0xff, 0x7f, 1, 'a', 4, 0},
		"list":   field(5, 4, 0xff, 0xff, 0xff, 0x7f, 1),
		"text":   {1, 0xff, 0xff, 0xff, 0x7f, 1},
	} {
		used := allocated(func() {
			if _, err := DecodeRecord("x", b); err == nil {
				t.Errorf("%s: accepted", name)
			}
		})
		if used > 64<<10 {
			t.Errorf("%s: %d bytes allocated for an input of %d", name, used, len(b))
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := exampleRecord()
	seeds := [][]byte{
		AppendRecord(nil, &r), AppendRecord(nil, &lockstep.Record{}), field(3, floatBytes(1<<63)...), field(5, 4, 2, 1, 0),
		{0, 2, 1, 'a', 4, 1, 1, 'b', 4, 1},
		{1, 0x81, 0, 'a', 0},
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRecord("x", b)
		if err != nil {
			if !errors.Is(err, ErrRecordEncoding) {
				t.Errorf("error %v has another class", err)
			}
			return
		}
		if again := AppendRecord(nil, &r); !bytes.Equal(again, b) {
			t.Errorf("parsed %x, encodes to %x", b, again)
		}
	})
}

func benchmarkRecord() lockstep.Record {
	m := map[string]lockstep.Value{}
	for k := range strings.FieldsSeq("x y width height angle confidence top left right bottom") {
		m[k] = lockstep.Float(float64(len(k)) / 7)
	}
	for k := range strings.FieldsSeq("image_id receipt_id merchant_name text source") {
		m[k] = lockstep.String("value of " + k)
	}
	m["labels"] = lockstep.Strings("TOTAL", "LINE_TOTAL")
	return lockstep.Record{ID: "IMAGE#1#RECEIPT#00001#LINE#00001#WORD#00001", HasDocument: true, Document: "a word", Metadata: lockstep.MetadataOf(m), Vector: lockstep.VectorRef{Dim: 1536}}
}

func BenchmarkAppendRecord(b *testing.B) {
	r := benchmarkRecord()
	buf := AppendRecord(nil, &r)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendRecord(buf[:0], &r)
	}
}

func BenchmarkDecodeRecord(b *testing.B) {
	r := benchmarkRecord()
	image := AppendRecord(nil, &r)
	b.SetBytes(int64(len(image)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeRecord(r.ID, image); err != nil {
			b.Fatal(err)
		}
	}
}
