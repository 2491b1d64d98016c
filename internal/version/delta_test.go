package version

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

// exampleDelta is the delta of docs/format/delta.md.
func exampleDelta() *Delta {
	image := func(document string) []byte {
		return AppendRecord(nil, &lockstep.Record{HasDocument: true, Document: document})
	}
	return &Delta{
		Messages:  []Archived{{ID: "e1", Group: "G1", Source: "http", Outcome: lockstep.Applied, Revision: "receipts@1", Body: []byte("{}")}},
		Mutations: []Mutation{{Collection: "lines", ID: "r1", Revision: "receipts@1", Before: image("hé"), After: image("ho")}},
	}
}

func documentedDelta(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(packed(block(t, "delta.md", "hex")))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheDocumentedDeltaParses(t *testing.T) {
	d, err := DecodeDelta(documentedDelta(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(exampleDelta(), d); diff != "" {
		t.Errorf("documented delta (-want +got):\n%s", diff)
	}
}

func TestDeltasAreReadBackAsWritten(t *testing.T) {
	f := newFramer(t)
	rapid.Check(t, func(t *rapid.T) {
		d := genDelta().Draw(t, "delta")
		b, err := f.EncodeDelta(d)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeDelta(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Fatalf("read back (-want +got):\n%s", diff)
		}
		clear(b)
		if diff := cmp.Diff(d, got); diff != "" {
			t.Fatalf("the delta changed with the bytes it was read from:\n%s", diff)
		}
	})
}

// largeDelta has several frames of messages and of mutations, the revision changing
// now and then, also at frame boundaries.
func largeDelta() *Delta {
	d := &Delta{}
	for i := range 12 {
		d.Messages = append(d.Messages, Archived{ID: fmt.Sprint("e", i), Group: "g", Source: "s", Outcome: lockstep.Applied, Body: bigRecord(900<<10, i)})
	}
	for i := range 40 {
		d.Mutations = append(d.Mutations, Mutation{Collection: "lines", ID: fmt.Sprint("r", i), Cause: i % 12, Revision: fmt.Sprint("receipts@", i/7), After: bigRecord(300<<10, i)})
	}
	return d
}

func frames(t testing.TB, delta []byte) (kinds string) {
	t.Helper()
	dec, err := newFrameDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	for b := delta[len(deltaMagic):]; len(b) > 0; {
		var fr frame
		if fr, b, err = nextFrame(dec, b); err != nil {
			t.Fatal(err)
		}
		kinds += string(fr.kind)
		if len(fr.plain) > FrameBytes+1<<20 {
			t.Errorf("a frame of %d bytes", len(fr.plain))
		}
	}
	return kinds
}

func TestALargeDeltaHasManyFrames(t *testing.T) {
	d := largeDelta()
	b, err := newFramer(t).EncodeDelta(d)
	if err != nil {
		t.Fatal(err)
	}
	if kinds := frames(t, b); kinds != "MMMUUU" {
		t.Errorf("frames %s", kinds)
	}
	got, err := DecodeDelta(b)
	if err != nil || !reflect.DeepEqual(d, got) {
		t.Errorf("a delta of %d bytes is not read back as written (%v)", len(b), err)
	}
}

// TestPartsOfSeveralFramersAreOneDelta assembles a delta as the compactor does.
func TestPartsOfSeveralFramersAreOneDelta(t *testing.T) {
	framers := []*Framer{newFramer(t), newFramer(t), newFramer(t)}
	rapid.Check(t, func(t *rapid.T) {
		d := genDelta().Draw(t, "delta")
		out, err := framers[0].AppendMessages(DeltaHeader(), d.Messages)
		if err != nil {
			t.Fatal(err)
		}
		rest := d.Mutations
		for i, f := range framers {
			n := len(rest)
			if i < len(framers)-1 {
				n = rapid.IntRange(0, n).Draw(t, "part")
			}
			part, err := f.AppendMutations(nil, rest[:n])
			if err != nil {
				t.Fatal(err)
			}
			out, rest = append(out, part...), rest[n:]
		}
		got, err := DecodeDelta(out)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Fatalf("read back (-want +got):\n%s", diff)
		}
	})
}

func TestAnEmptyDeltaIsItsMagic(t *testing.T) {
	b, err := newFramer(t).EncodeDelta(&Delta{})
	if err != nil || !bytes.Equal(b, DeltaHeader()) {
		t.Errorf("%x, %v", b, err)
	}
	if d, err := DecodeDelta(b); err != nil || !cmp.Equal(d, &Delta{}) {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestDamageIsFound changes every bit of a small delta, and cuts it everywhere.
func TestDamageIsFound(t *testing.T) {
	whole, err := newFramer(t).EncodeDelta(exampleDelta())
	if err != nil {
		t.Fatal(err)
	}
	refused := func(b []byte, what string, at int) {
		t.Helper()
		if _, err := DecodeDelta(b); !errors.Is(err, ErrDeltaEncoding) || !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s %d: %v, want ErrDeltaEncoding", what, at, err)
		}
	}
	for at := range whole {
		for _, change := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xff, frameText ^ frameMuts} {
			b := bytes.Clone(whole)
			b[at] ^= change
			refused(b, fmt.Sprintf("change %#x of byte", change), at)
		}
		refused(append(bytes.Clone(whole[:at]), whole[at+1:]...), "without byte", at)
	}
	second := len(deltaMagic) + frameHeader + int(whole[len(deltaMagic)+5])
	for n := range whole {
		if n != len(deltaMagic) && n != second { // where a frame ends, only the hash can tell
			refused(whole[:n], "cut at", n)
		}
	}
	refused(append(bytes.Clone(whole), 0), "surplus byte at", len(whole))
}

func TestDecodeDeltaRefusesWhatWouldNotBeWritten(t *testing.T) {
	f := newFramer(t)
	image := []byte{0, 0}
	encoded := func(m Mutation, revision string) []byte { return appendMutation(nil, &m, revision) }
	good := Mutation{Collection: "c", ID: "x", Cause: -1, After: image}
	flagged := func(flags byte) []byte {
		b := encoded(good, "")
		b[0] = flags
		return b
	}
	image20 := []byte("abcdefghijklmnopqrst")
	// patch is a mutation whose image before is the first n letters; with mutPatch the
	// image after is a patch, else it is the middle.
	patch := func(flags byte, n int, prefix, suffix uint64, middle ...byte) []byte {
		b := []byte{flags | mutSameRevision, 1, 'c', 1, 'x', 0, 0, 0, 0}
		b = appendBytes(b, image20[:n])
		if flags&mutPatch != 0 {
			b = binary.AppendUvarint(binary.AppendUvarint(b, prefix), suffix)
		}
		return appendBytes(b, middle)
	}
	if d, err := DecodeDelta(must(f.append(DeltaHeader(), frameMuts, patch(mutBefore|mutAfter|mutPatch, 20, 10, 9, 'm')))); err != nil || string(d.Mutations[0].After) != "abcdefghijmlmnopqrst" {
		t.Fatalf("the patch that the others are made of: %+v, %v", d, err)
	}
	for name, c := range map[string]struct {
		kind  byte
		plain []byte
	}{
		"unknown kind":                  {'X', []byte("?")},
		"unknown flag":                  {frameMuts, flagged(mutAfter | mutSameRevision | 32)},
		"no image":                      {frameMuts, []byte{mutSameRevision, 1, 'c', 1, 'x', 0}},
		"cause without message":         {frameMuts, encoded(Mutation{Collection: "c", ID: "x", Cause: 0, After: image}, "")},
		"cause of 2^63":                 {frameMuts, append([]byte{mutAfter | mutSameRevision, 1, 'c', 1, 'x'}, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 2, 0, 0)},
		"same revision written out":     {frameMuts, []byte{mutAfter, 1, 'c', 1, 'x', 0, 0, 2, 0, 0}},
		"patch without an image before": {frameMuts, []byte{mutAfter | mutPatch | mutSameRevision, 1, 'c', 1, 'x', 0, 0, 0, 0}},
		"patch without an image after":  {frameMuts, patch(mutBefore|mutPatch, 20, 20, 0)},
		"patch beyond the beginning":    {frameMuts, patch(mutBefore|mutAfter|mutPatch, 20, 21, 0)},
		"patch beyond the end":          {frameMuts, patch(mutBefore|mutAfter|mutPatch, 20, 10, 11)},
		"patch of overflowing lengths":  {frameMuts, patch(mutBefore|mutAfter|mutPatch, 20, 20, ^uint64(3))},
		"patch with too little":         {frameMuts, patch(mutBefore|mutAfter|mutPatch, 20, 10, 5, 'm')},
		"patch with a longer beginning": {frameMuts, patch(mutBefore|mutAfter|mutPatch, 20, 10, 9, 'a'+10, 'm')},
		"patch with a longer end":       {frameMuts, patch(mutBefore|mutAfter|mutPatch, 20, 10, 9, 'm', 'a'+10)},
		"patch that is not one":         {frameMuts, patch(mutBefore|mutAfter, 20, 0, 0, image20...)},
		"vector of 3 bytes":             {frameMuts, encoded(Mutation{Collection: "c", ID: "x", Cause: -1, After: image, VectorAfter: []byte{1, 2, 3}}, "")},
		"vector before of 5 bytes":      {frameMuts, encoded(Mutation{Collection: "c", ID: "x", Cause: -1, After: image, VectorBefore: []byte{1, 2, 3, 4, 5}}, "")},
		"length not minimal":            {frameMuts, []byte{mutAfter | mutSameRevision, 0x81, 0, 'c', 1, 'x', 0, 2, 0, 0}},
		"mutation cut short":            {frameMuts, encoded(good, "")[:8]},
		"second mutation cut short":     {frameMuts, append(encoded(good, ""), mutAfter)},
		"message cut short":             {frameText, []byte{1, 'a', 1, 'b'}},
		"message length beyond the end": {frameText, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'a'}},
	} {
		b, err := f.append(DeltaHeader(), c.kind, c.plain)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := DecodeDelta(b); !errors.Is(err, ErrDeltaEncoding) {
			t.Errorf("%s: %+v, %v, want ErrDeltaEncoding", name, d, err)
		}
	}
	for name, b := range map[string][]byte{"nothing": nil, "half a magic": []byte("LS"), "another magic": []byte("LSD2"), "JSON": []byte("{}")} {
		if _, err := DecodeDelta(b); !errors.Is(err, ErrDeltaEncoding) {
			t.Errorf("%s: %v, want ErrDeltaEncoding", name, err)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// TestImagesAreWrittenAsPatches: two images of any likeness, and one edit of a large one
// must cost the edit.
func TestImagesAreWrittenAsPatches(t *testing.T) {
	letters := rapid.SliceOfN(rapid.SampledFrom([]byte("ab")), 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		start, before, after, end := letters.Draw(t, "start"), letters.Draw(t, "before"), letters.Draw(t, "after"), letters.Draw(t, "end")
		m := Mutation{Collection: "c", ID: "x", Cause: -1, Before: slices.Concat([]byte{0}, start, before, end), After: slices.Concat([]byte{0}, start, after, end)}
		r := reader{b: appendMutation(nil, &m, "")}
		if got := r.mutation(""); r.bad || len(r.b) > 0 || !bytes.Equal(got.Before, m.Before) || !bytes.Equal(got.After, m.After) {
			t.Fatalf("%q to %q is read back as %q to %q, bad %t", m.Before, m.After, got.Before, got.After, r.bad)
		}
		prefix, suffix := commonEnds(m.Before, m.After)
		naive, shorter := 0, min(len(m.Before), len(m.After))
		for naive < shorter && m.Before[naive] == m.After[naive] {
			naive++
		}
		if prefix != naive {
			t.Fatalf("%q and %q have %d in common at the beginning, not %d", m.Before, m.After, naive, prefix)
		}
		naive = 0
		for naive < shorter-prefix && m.Before[len(m.Before)-1-naive] == m.After[len(m.After)-1-naive] {
			naive++
		}
		if suffix != naive {
			t.Fatalf("%q and %q have %d in common at the end, not %d", m.Before, m.After, naive, suffix)
		}
	})
	m := Mutation{Collection: "c", ID: "x", Cause: -1, Before: bigRecord(4000, 1)}
	m.After = append(bytes.Clone(m.Before[:2000]), append([]byte("edit"), m.Before[2001:]...)...)
	if n := len(appendMutation(nil, &m, "")) - len(m.Before); n > 40 {
		t.Errorf("an edit of 4 bytes costs %d", n)
	}
}

func TestWhoWritesAfter(t *testing.T) {
	d := exampleDelta()
	d.Mutations = append(d.Mutations, Mutation{Collection: "lines", ID: "r2", Cause: -1, Revision: "receipts@2", After: []byte{0, 0}})
	for i, want := range []lockstep.Author{{Version: 7, Message: "e1", Revision: "receipts@1"}, {Version: 7, Revision: "receipts@2"}} {
		if got := d.AuthorAfter(i, 7); got != want {
			t.Errorf("mutation %d: %+v, want %+v", i, got, want)
		}
	}
}

func FuzzDecodeDelta(f *testing.F) {
	framer := newFramer(f)
	var seeds [][]byte
	for _, d := range []*Delta{exampleDelta(), {}, {Messages: exampleDelta().Messages}, {Mutations: []Mutation{{Collection: "c", Cause: -1, After: []byte{0, 0}, VectorAfter: []byte{0, 0, 0, 0}}}}} {
		b, err := framer.EncodeDelta(d)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, b)
	}
	seeds = append(seeds, documentedDelta(f), []byte("LSD1"), []byte("LSD2"))
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDelta(b)
		if err != nil {
			if !errors.Is(err, ErrDeltaEncoding) {
				t.Errorf("error %v has another class", err)
			}
			return
		}
		again, err := framer.EncodeDelta(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeDelta(again); err != nil || !cmp.Equal(d, got) {
			t.Errorf("decoded, encoded and decoded: %v\n%s", err, cmp.Diff(d, got))
		}
	})
}

// FuzzDecodeFrames fuzzes what is inside of frames, which checksums and compression
// keep from FuzzDecodeDelta; here the bytes are one to one.
func FuzzDecodeFrames(f *testing.F) {
	framer := newFramer(f)
	m := exampleDelta()
	one := appendMutation(nil, &m.Mutations[0], "")
	seeds := [][2][]byte{
		{[]byte("\x02e1\x02G1\x04http\x07applied\x00\x02{}"), one},
		{nil, appendMutation(one, &Mutation{Collection: "c", ID: "x", Cause: -1, Revision: "receipts@1", After: []byte{}, VectorBefore: []byte{}, VectorAfter: []byte("1234")}, "receipts@1")},
		{[]byte{0}, []byte{1}},
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, text, muts []byte) {
		b := DeltaHeader()
		for kind, plain := range map[byte][]byte{frameText: text, frameMuts: muts} {
			var err error
			if b, err = framer.append(b, kind, plain); err != nil {
				t.Fatal(err)
			}
		}
		d, err := DecodeDelta(b)
		if err != nil {
			if !errors.Is(err, ErrDeltaEncoding) {
				t.Errorf("error %v has another class", err)
			}
			return
		}
		var gotText, gotMuts []byte
		for _, m := range d.Messages {
			for _, s := range []string{m.ID, m.Group, m.Source, string(m.Outcome), m.Reason, string(m.Body)} {
				gotText = appendString(gotText, s)
			}
		}
		revision := ""
		for i := range d.Mutations {
			gotMuts = appendMutation(gotMuts, &d.Mutations[i], revision)
			revision = d.Mutations[i].Revision
		}
		if !bytes.Equal(gotText, text) || !bytes.Equal(gotMuts, muts) {
			t.Errorf("parsed %x and %x, encodes to %x and %x", text, muts, gotText, gotMuts)
		}
	})
}

func BenchmarkEncodeDelta(b *testing.B) {
	r := benchmarkRecord()
	d := &Delta{Messages: exampleDelta().Messages}
	for i := range 1000 {
		before := AppendRecord(nil, &r)
		r.Metadata = r.Metadata.With("merchant_name", lockstep.String(fmt.Sprint("merchant ", i)))
		d.Mutations = append(d.Mutations, Mutation{Collection: "words", ID: fmt.Sprintf("%s#%05d", r.ID, i), Revision: "receipts@1", Before: before, After: AppendRecord(nil, &r)})
	}
	f := newFramer(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.EncodeDelta(d); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(d.Mutations))/b.Elapsed().Seconds(), "mutations/s")
}
