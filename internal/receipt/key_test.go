package receipt

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

var sortKeys = map[string]*sortKey{
	"RECEIPT#00001":                               {receipt: "RECEIPT#00001"},
	"RECEIPT#00001#PLACE":                         {receipt: "RECEIPT#00001", rest: "PLACE"},
	"RECEIPT#123456#SECTION#SUMMARY":              {receipt: "RECEIPT#123456", rest: "SECTION#SUMMARY"},
	"RECEIPT#00001#LINE#00002":                    {receipt: "RECEIPT#00001", line: "RECEIPT#00001#LINE#00002"},
	"RECEIPT#00001#LINE#00002#WORD#0":             {receipt: "RECEIPT#00001", line: "RECEIPT#00001#LINE#00002", word: "RECEIPT#00001#LINE#00002#WORD#0"},
	"RECEIPT#00001#LINE#00002#WORD#3#LABEL#tax#A": {receipt: "RECEIPT#00001", line: "RECEIPT#00001#LINE#00002", word: "RECEIPT#00001#LINE#00002#WORD#3", rest: "LABEL#tax#A"},
	"RECEIPT#00001#LINE#x":                        {receipt: "RECEIPT#00001", rest: "LINE#x"},
	"RECEIPT#00001#LINE#2x":                       {receipt: "RECEIPT#00001", rest: "LINE#2x"},
	"":                                            nil,
	"RECEIPT#":                                    nil,
	"RECEIPT#1x":                                  nil,
	"LINE#00001":                                  nil,
	"XRECEIPT#00001":                              nil,
}

func TestParseSort(t *testing.T) {
	for s, want := range sortKeys {
		k, ok := parseSort(s)
		if ok != (want != nil) {
			t.Errorf("%q: ok is %v", s, ok)
		}
		if want != nil {
			if diff := cmp.Diff(*want, k, cmp.AllowUnexported(sortKey{})); diff != "" {
				t.Errorf("%q:\n%s", s, diff)
			}
		}
	}
}

func FuzzParseSort(f *testing.F) {
	if len(sortKeys) == 0 {
		f.Fatal("no seeds")
	}
	for s := range sortKeys {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, ok := parseSort(s)
		if !ok {
			if k != (sortKey{}) {
				t.Fatalf("%q is refused and yields %+v", s, k)
			}
			return
		}
		lowest := k.receipt
		for _, part := range []string{k.line, k.word} {
			if part != "" {
				if !strings.HasPrefix(part, lowest+"#") {
					t.Fatalf("%q: %q is not below %q", s, part, lowest)
				}
				lowest = part
			}
		}
		if k.word != "" && k.line == "" {
			t.Fatalf("%q: a word without a line", s)
		}
		if s != lowest && s != lowest+"#"+k.rest {
			t.Fatalf("%q is not %q and %q", s, lowest, k.rest)
		}
	})
}

func TestParseRecordKeepsCollectionsApart(t *testing.T) {
	for _, tt := range []struct {
		c  lockstep.Collection
		id string
		ok bool
	}{
		{Lines, lineID, true},
		{Words, wordID, true},
		{Words, lineID, false},
		{Lines, wordID, false},
		{Lines, scenePK + "#RECEIPT#00002", false},
		{Words, wordID + "#LABEL#TAX", false},
		{Lines, scenePK + lineSK, false},
		{Lines, "IMAGE#x#" + lineSK, false},
		{Lines, scenePK, false},
		{Lines, "", false},
	} {
		if _, ok := parseRecord(tt.c, scenePK, tt.id); ok != tt.ok {
			t.Errorf("%s %q: %v", tt.c, tt.id, ok)
		}
	}
}
