package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

var (
	exampleAt    = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	examplePutID = [putIDBytes]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
)

func example() []byte { return encode(1, [32]byte{}, examplePutID, exampleAt, []byte("hello")) }

func TestTheDocumentedEntryParses(t *testing.T) {
	page, err := os.ReadFile("../../docs/format/ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		m := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```").FindSubmatch(page)
		if m == nil {
			t.Fatalf("docs/format/ledger.md has no %s example", kind)
		}
		return strings.Join(strings.Fields(string(m[1])), "")
	}
	object, err := hex.DecodeString(block("hex"))
	if err != nil {
		t.Fatalf("documented example: %v; the entry is %x, its hash %x", err, example(), seal(example()).Hash)
	}
	got, err := Decode(object)
	if err != nil {
		t.Fatal(err)
	}
	want := Entry{N: 1, Hash: got.Hash, PutID: "000102030405060708090a0b0c0d0e0f", At: exampleAt, Body: []byte("hello")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documented entry (-want +got):\n%s", diff)
	}
	if hash := hex.EncodeToString(got.Hash[:]); hash != block("hash") {
		t.Errorf("documented hash %s, want %s", block("hash"), hash)
	}
	if low, err := decodeLow([]byte(block("json"))); err != nil || low != 42 {
		t.Errorf("documented low object: %d, %v", low, err)
	}
}

func TestDecodeRefusesWhatIsNotAnEntry(t *testing.T) {
	change := func(at int, b byte) []byte {
		o := example()
		o[at] ^= b
		return o
	}
	resum := func(o []byte) []byte {
		end := len(o) - crcBytes
		binary.BigEndian.PutUint32(o[end:], crc32.Checksum(o[:end], castagnoli()))
		return o
	}
	for _, c := range []struct {
		name   string
		object []byte
		want   error
	}{
		{"empty", nil, lockstep.ErrCorrupt},
		{"cut", example()[:len(example())-1], lockstep.ErrCorrupt},
		{"longer", append(example(), 0), lockstep.ErrCorrupt},
		{"other magic", change(0, 1), lockstep.ErrCorrupt},
		{"newer version", change(3, '1'^'2'), lockstep.ErrRefused},
		{"bit flip in the body", change(bodyAt, 1), lockstep.ErrCorrupt},
		{"bit flip in the checksum", change(len(example())-1, 1), lockstep.ErrCorrupt},
		{"length beyond the object", resum(change(lengthAt, 0xff)), lockstep.ErrCorrupt},
		{"number 0", resum(change(numberAt+7, 1)), lockstep.ErrCorrupt},
	} {
		if _, err := Decode(c.object); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	seeds := [][]byte{
		example(),
		encode(1<<63, [32]byte{1, 2, 3}, examplePutID, time.Unix(-1, 5), nil),
		example()[:80],
		[]byte("LSL2"),
		{},
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		e, err := Decode(object)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) && !errors.Is(err, lockstep.ErrRefused) {
				t.Errorf("error %v has no class", err)
			}
			return
		}
		putID, err := hex.DecodeString(e.PutID)
		if err != nil {
			t.Fatal(err)
		}
		if again := encode(e.N, e.Prev, [putIDBytes]byte(putID), e.At, e.Body); !bytes.Equal(again, object) {
			t.Errorf("parsed %x, encodes to %x", object, again)
		}
	})
}
