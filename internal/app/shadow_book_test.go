package app

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/shadow"
)

// exampleRecord is the example of docs/format/shadow.md.
func exampleRecord() *ShadowRecord {
	seen := newComparison()
	seen.tally.Add(shadow.Pair{Unit: "42/a", Twice: true}, nil)
	seen.tally.Add(shadow.Pair{Unit: "42/b", Twice: true}, nil)
	seen.tally.Add(shadow.Pair{Unit: "43/c", Twice: true, Differences: []shadow.Difference{{
		Class: "lines/metadata.merchant_name/value", Collection: "lines", ID: "IMAGE#1", Field: "metadata.merchant_name",
		Stable: lockstep.String("Caffè"), Candidate: lockstep.String("Caffe"),
	}}}, nil)
	seen.narrow.Merge(&seen.tally)
	empty := &ShadowRecord{Format: shadowFormat, Stable: "receipts@1+111111111111", Candidate: "receipts@2+222222222222"}
	step := &ShadowStep{Release: "dev-1", Attempt: 1, Step: 1}
	r := empty.after(seen, 43, step.plus(3, map[lockstep.Event]uint64{lockstep.Modify: 2, lockstep.Insert: 1}))
	r.At = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	return r
}

func documented(t *testing.T) [][]byte {
	t.Helper()
	page, err := os.ReadFile("../../docs/format/shadow.md")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)\n```").FindAllSubmatch(page, -1) {
		out = append(out, m[1])
	}
	if len(out) != 2 {
		t.Fatalf("docs/format/shadow.md has %d examples", len(out))
	}
	return out
}

func TestTheDocumentedComparisonIsWhatIsStored(t *testing.T) {
	examples := documented(t)
	want, err := json.Marshal(exampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(examples[0])); diff != "" {
		t.Errorf("stored (-), documented (+):\n%s", diff)
	}
	r, err := DecodeShadowRecord(examples[0])
	if err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(r); err != nil || string(again) != string(examples[0]) {
		t.Errorf("it reads back as %s, %v", again, err)
	}
	a, err := decodeAccepted(examples[1])
	if err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(a); err != nil || string(again) != string(examples[1]) {
		t.Errorf("it reads back as %s, %v", again, err)
	}
}

func TestAStoredComparisonIsReadStrictly(t *testing.T) {
	whole := string(documented(t)[0])
	for name, tc := range map[string]struct {
		body string
		want error
	}{
		"another format": {`{"format":2}`, lockstep.ErrRefused},
		"cut short":      {whole[:len(whole)-2], lockstep.ErrCorrupt},
		"surplus":        {whole + "{}", lockstep.ErrCorrupt},
		"unknown field":  {`{"colour":"red",` + whole[1:], lockstep.ErrCorrupt},
		"of nothing":     {`{"format":1,"stable":"","candidate":"","through":1,"at":"2026-05-04T03:02:01Z","tally":{"format":1},"narrow":{"format":1}}`, lockstep.ErrCorrupt},
	} {
		if _, err := DecodeShadowRecord([]byte(tc.body)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeShadowRecord(f *testing.F) {
	whole, err := json.Marshal(exampleRecord())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := DecodeShadowRecord(body)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) && !errors.Is(err, lockstep.ErrRefused) {
				t.Fatal(err)
			}
			return
		}
		once, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeShadowRecord(once)
		if err != nil {
			t.Fatalf("what it read it does not read again: %v", err)
		}
		if twice, err := json.Marshal(again); err != nil || string(twice) != string(once) {
			t.Fatalf("%s, then %s, %v", once, twice, err)
		}
	})
}

func TestOfTwoThatContinueOneRecordOneWins(t *testing.T) {
	var store blob.Mem
	book := newShadowBook(&store, time.Now, "receipts@1+111111111111", "receipts@2+222222222222")
	prev, r, err := book.head(t.Context())
	if err != nil || r.Through != 0 || prev.N != 0 {
		t.Fatalf("%+v, %+v, %v", prev, r, err)
	}
	if _, err := book.append(t.Context(), prev, exampleRecord()); err != nil {
		t.Fatal(err)
	}
	if _, err := book.append(t.Context(), prev, exampleRecord()); !errors.Is(err, ledger.ErrHeadMoved) {
		t.Errorf("the second: %v", err)
	}
	if _, r, err := book.head(t.Context()); err != nil || r.Through != 43 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTheComparisonOfTheLatestReleaseIsInUseAndNoOther(t *testing.T) {
	x := newStill(t, newVariant("good", nil))
	x.created()
	if in, err := x.app.ComparisonsInUse(t.Context()); err != nil || len(in) != 0 {
		t.Errorf("before a release %q, %v", in, err)
	}
	s := x.start("receipts@good")
	book := newShadowBook(x.app.Blobs, time.Now, s.Stable.Revision, s.Release.Candidate)
	if _, err := book.append(t.Context(), ledger.Entry{}, exampleRecord()); err != nil {
		t.Fatal(err)
	}
	in, err := x.app.ComparisonsInUse(t.Context())
	if err != nil || len(in) != 1 {
		t.Fatalf("%q, %v", in, err)
	}
	for m, err := range x.app.Blobs.List(t.Context(), shadowPrefix+"/", "") {
		if err != nil || !strings.HasPrefix(m.Key, in[0]+"/") {
			t.Errorf("%s is not below %q, %v", m.Key, in, err)
		}
	}
}
