package state

import (
	"bytes"
	"errors"
	"testing"

	"lockstep/internal/lockstep"
)

func TestRowsAreReadBackAsWritten(t *testing.T) {
	for _, a := range []lockstep.Author{{}, {Version: 1 << 63, Message: "m", Revision: "r@1"}, {Message: "\x00\x05"}} {
		for _, record := range []string{"", "\x00\x00", "abc"} {
			row, err := parseRow([]byte("rlines\x00id"), 7, appendRow(nil, &a, []byte(record)))
			if err != nil || row.Author() != a || string(row.Record) != record || string(row.ID) != "id" {
				t.Errorf("%+v %q: read back %+v, %+v, %v", a, record, row, row.Author(), err)
			}
			for _, like := range []lockstep.Author{{}, a, {Version: 3, Message: "other", Revision: "other"}} {
				if got := row.AuthorLike(like); got != a {
					t.Errorf("like %+v: %+v, want %+v", like, got, a)
				}
			}
		}
	}
}

func TestAPrefixEndsWhereTheNextBegins(t *testing.T) {
	for in, want := range map[string]string{"a": "b", "a\xff": "b", "a\xff\xff": "b", "ab\x00": "ab\x01", "\xff": "", "": ""} {
		if got := prefixEnd([]byte(in)); string(got) != want || (got == nil) != (want == "") {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	seeds := [][]byte{appendRow(nil, &lockstep.Author{Version: 7, Message: "m", Revision: "r"}, []byte{0, 0}), {}, {0, 0, 0}, {1, 0xff}}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		row, err := parseRow([]byte("r\x00x"), 2, b)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) {
				t.Errorf("error %v has another class", err)
			}
			return
		}
		a := row.Author()
		again, err := parseRow([]byte("r\x00x"), 2, appendRow(nil, &a, row.Record))
		if err != nil || again.Author() != a || !bytes.Equal(again.Record, row.Record) {
			t.Errorf("%x is read as %+v, then as %+v, %v", b, row, again, err)
		}
	})
}
