package chromadir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

// pickles returns every pickle of the fixtures, by name.
func pickles(tb testing.TB) map[string][]byte {
	tb.Helper()
	out := map[string][]byte{}
	add := func(path string) {
		body, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		out[path] = body
	}
	crafted, err := filepath.Glob("testdata/*.pickle")
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range []string{"hnsw-0.6.3", "hnsw-1.5.9"} {
		found, err := filepath.Glob(filepath.Join(unpack(tb, name), "*", idMapFile))
		if err != nil {
			tb.Fatal(err)
		}
		crafted = append(crafted, found...)
	}
	for _, path := range crafted {
		add(path)
	}
	if len(out) < 10 {
		tb.Fatalf("only %d seeds", len(out))
	}
	return out
}

func parsePickle(body []byte) (*idMap, error) {
	return readIDMap(bytes.NewReader(body), idMapFile, int64(len(body)))
}

func TestPersistentDataOfEveryProtocolIsRead(t *testing.T) {
	for _, p := range []string{"2", "3", "4", "5"} {
		body, err := os.ReadFile("testdata/persistent-data-" + p + ".pickle")
		if err != nil {
			t.Fatal(err)
		}
		m, err := parsePickle(body)
		if err != nil {
			t.Fatalf("protocol %s: %v", p, err)
		}
		want := map[string]uint64{"a": 1, "bb": 2, "é": 70000}
		if diff := cmp.Diff(want, m.labels); diff != "" || m.dim != 4 || !m.hasSeq || m.maxSeq != 1<<40+5 {
			t.Errorf("protocol %s: dim %d, watermark %d, labels -want +got\n%s", p, m.dim, m.maxSeq, diff)
		}
	}
}

// Chroma was killed while it rewrote the map: it was cut at 65,526 bytes (CHROMA 5.8).
func TestAPickleCutAnywhereIsCorrupt(t *testing.T) {
	for name, body := range pickles(t) {
		for n := range body {
			if _, err := parsePickle(body[:n]); !errors.Is(err, lockstep.ErrCorrupt) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
		if _, err := parsePickle(append(body, '.')); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s with a byte too many: %v", name, err)
		}
	}
}

func TestPicklesThatLieAreCorrupt(t *testing.T) {
	const head = "\x80\x03"
	dictOf := func(items string) string { return head + "}(" + items + "u." }
	for name, text := range map[string]string{
		"code to run":           "\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.",
		"another class":         "\x80\x02cos\nsystem\n)\x81}b.",
		"a text of 4 GiB":       head + "X\xff\xff\xff\xffab.",
		"a text of 16 EiB":      head + "\x8d\xff\xff\xff\xff\xff\xff\xff\xffab.",
		"a frame of 16 EiB":     head + "\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
		"deep marks":            head + strings.Repeat("(", 100) + ".",
		"memo from nowhere":     head + "h\x05.",
		"memo far ahead":        head + "}r\xff\xff\xff\x7f.",
		"items without a dict":  head + "(NNu.",
		"an odd item":           head + "}(Nu.",
		"below the mark":        head + "}N(s.",
		"nothing":               head + ".",
		"two values":            head + "NN.",
		"no maps":               dictOf("X\x01\x00\x00\x00aN"),
		"an integer of 9 bytes": head + "\x8a\x09123456789.",
		"protocol 0":            "(dp0\n.",
		"twice the id": dictOf("X\x0b\x00\x00\x00id_to_label}(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00aK\x02u" +
			"X\x0b\x00\x00\x00label_to_id}(K\x01X\x01\x00\x00\x00au"),
		"one way only":        dictOf("X\x0b\x00\x00\x00id_to_label}(X\x01\x00\x00\x00aK\x01uX\x0b\x00\x00\x00label_to_id}"),
		"an unhashable label": dictOf("X\x0b\x00\x00\x00id_to_label}(X\x01\x00\x00\x00a}uX\x0b\x00\x00\x00label_to_id}"),
	} {
		if _, err := parsePickle([]byte(text)); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
}

func FuzzPickle(f *testing.F) {
	for _, body := range pickles(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parsePickle(body)
		if err != nil && !errors.Is(err, lockstep.ErrCorrupt) {
			t.Fatalf("an error of no class: %v", err)
		}
		if err == nil && len(m.labels)*6 > len(body) {
			t.Fatalf("%d ids out of %d bytes", len(m.labels), len(body))
		}
	})
}

// FuzzGraph changes the header and the first slots of a real segment.
func FuzzGraph(f *testing.F) {
	dir := unpack(f, "hnsw-1.5.9")
	folder := segment(f, dir, "words")
	header, err := os.ReadFile(filepath.Join(dir, folder, headerFile))
	if err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, folder, dataFile))
	if err != nil {
		f.Fatal(err)
	}
	if len(header) != headerBytes || len(data) < 1000 {
		f.Fatal("no seeds")
	}
	f.Add(header, data[:40*160])
	small := append([]byte(nil), header...)
	binary.LittleEndian.PutUint64(small[20:], 2)
	f.Add(small, data[:2*160])
	f.Fuzz(func(t *testing.T, header, data []byte) {
		at := t.TempDir()
		for file, body := range map[string][]byte{headerFile: header, dataFile: data, lengthFile: data} {
			if err := os.WriteFile(filepath.Join(at, file), body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		root, err := os.OpenRoot(at)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		g, err := openGraph(root, ".", spaceCosine)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) {
				t.Fatalf("an error of no class: %v", err)
			}
			return
		}
		defer g.Close()
		for label := range g.slots {
			v, _, err := g.Vector(label)
			if err == nil && len(v) != g.dim || err != nil && !errors.Is(err, lockstep.ErrCorrupt) {
				t.Fatalf("label %d: %d components, %v", label, len(v), err)
			}
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	seeds := []string{
		`{}`, `{"a":1,"b":1.0,"c":"x","d":true,"e":null,"f":[1,2],"g":[]}`, `{"a":1e3}`, `{"a":{"b":1}}`,
		`{"a":[[1]]}`, `{"a":1,"a":2}`, `{"a":9223372036854775808}`, `{"a":1e999}`, `[]`, `{"a":1}x`, `{"a":[null]}`, `{"a":`,
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseMetadata(text)
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) {
				t.Fatalf("an error of no class: %v", err)
			}
			return
		}
		for i := 1; i < len(m); i++ {
			if m[i-1].Key >= m[i].Key {
				t.Fatalf("%q before %q", m[i-1].Key, m[i].Key)
			}
		}
	})
}

func TestMetadataKeepsIntegersAndFloatsApart(t *testing.T) {
	got, err := ParseMetadata([]byte(`{"f":1.0,"i":1,"big":9007199254740993,"e":1e2,"n":null,"l":["a"],"empty":[]}`))
	want := lockstep.Metadata{
		{Key: "big", Value: lockstep.Int(9007199254740993)},
		{Key: "e", Value: lockstep.Float(100)},
		{Key: "empty", Value: lockstep.List(nil)},
		{Key: "f", Value: lockstep.Float(1)},
		{Key: "i", Value: lockstep.Int(1)},
		{Key: "l", Value: lockstep.Strings("a")},
		{Key: "n"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v -want +got\n%s", err, diff)
	}
	for _, bad := range []string{`{"a":{"b":1}}`, `{"a":[[1]]}`, `{"a":1,"a":2}`, `{"a":9223372036854775808}`, `{"a":1e999}`, `[]`, `null`, `{"a":1}{}`, `{"a":[null]}`, `{"a":`, ``} {
		if _, err := ParseMetadata([]byte(bad)); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", bad, err)
		}
	}
}
