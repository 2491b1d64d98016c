package embedding

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"lockstep/internal/lockstep"
)

// pageHeader is a page header as writers encode it.
func pageHeader(tb testing.TB, h format.PageHeader) []byte {
	tb.Helper()
	raw, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func TestSkimFindsWhatAPageHeaderStates(t *testing.T) {
	raw := pageHeader(t, format.PageHeader{Type: format.DataPage, UncompressedPageSize: 1 << 30, CompressedPageSize: 77})
	ints, n, err := skim(append(bytes.Clone(raw), "what follows"...))
	if err != nil || n != len(raw) || ints[uncompressedSize] != 1<<30 || ints[compressedSize] != 77 {
		t.Errorf("%v, %d of %d bytes, %v", ints, n, len(raw), err)
	}
}

func TestNoLengthInAThriftStructIsBelieved(t *testing.T) {
	for name, raw := range map[string][]byte{
		"empty":               {},
		"text of 2 GiB":       {0x18, 0xff, 0xff, 0xff, 0xff, 0x07, 'a', 0},
		"list of 2^31":        {0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0},
		"list of nothing":     {0x19, 0xe0, 0},
		"torn number":         {0x15, 0x80},
		"no stop":             {0x15, 0x02},
		"unknown type":        {0x1b, 0x00, 0x00},
		"structs in structs":  bytes.Repeat([]byte{0x1c}, 100),
		"lists in lists":      bytes.Repeat([]byte{0x19}, 100),
		"long form and short": {0x05, 0x80},
	} {
		if _, _, err := skim(raw); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
}

// The decoder would allocate what the last eight bytes state.
func TestNoFooterLengthIsBelieved(t *testing.T) {
	whole := file(t, "testdata/pyarrow-item.parquet")
	read := func(body []byte) error {
		_, err := New(Dir(t.TempDir()), Options{}).readParquet(t.Context(), bytes.NewReader(body), int64(len(body)))
		return err
	}
	if err := read(whole); err != nil {
		t.Fatal(err)
	}
	footer := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(footer[len(footer)-8:], 1<<32-1)
	if err := read(footer); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("footer of 4 GiB: %v", err)
	}
}

func TestNoSizeOfAPageIsBelieved(t *testing.T) {
	snappy := func(stated uint64) []byte { return binary.AppendUvarint(nil, stated) }
	for name, tt := range map[string]struct {
		header format.PageHeader
		body   []byte
		want   error
	}{
		"whole":                   {format.PageHeader{UncompressedPageSize: 9, CompressedPageSize: 1}, snappy(9), nil},
		"of 2 GiB":                {format.PageHeader{UncompressedPageSize: 1<<31 - 1, CompressedPageSize: 1}, snappy(9), lockstep.ErrInvalid},
		"of less than nothing":    {format.PageHeader{UncompressedPageSize: -1, CompressedPageSize: 1}, snappy(9), lockstep.ErrCorrupt},
		"packed beyond its chunk": {format.PageHeader{UncompressedPageSize: 9, CompressedPageSize: 100}, snappy(9), lockstep.ErrCorrupt},
		"a block of 4 GiB":        {format.PageHeader{UncompressedPageSize: 9, CompressedPageSize: 5}, snappy(1<<32 - 1), lockstep.ErrCorrupt},
		"no block":                {format.PageHeader{UncompressedPageSize: 9}, nil, lockstep.ErrCorrupt},
	} {
		raw := append(pageHeader(t, tt.header), tt.body...)
		n, err := checkPage(bytes.NewReader(raw), 0, int64(len(raw)), format.Snappy)
		if !errors.Is(err, tt.want) || err == nil && n != int64(len(raw)) {
			t.Errorf("%s: %d bytes, %v; want %v", name, n, err, tt.want)
		}
	}
}

func FuzzSkim(f *testing.F) {
	seeds := [][]byte{
		pageHeader(f, format.PageHeader{Type: format.DataPage, UncompressedPageSize: 9, CompressedPageSize: 7}),
		{0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0},
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		_, n, err := skim(in)
		if err == nil && (n < 1 || n > len(in)) || err != nil && !errors.Is(err, lockstep.ErrCorrupt) {
			t.Fatalf("%d of %d bytes, %v", n, len(in), err)
		}
	})
}
