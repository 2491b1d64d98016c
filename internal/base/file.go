package base

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/parquet-go/parquet-go"
)

// openFile opens a part whose hash is the manifest's and checks that it has the
// columns and the number of rows it must have. The Parquet reader takes many more
// lengths from a file at their word than can be checked from outside; that is why
// nothing is opened before its hash was compared.
func openFile(body []byte, p Part, want *parquet.Schema) (*parquet.File, error) {
	if _, _, err := footerOf(body); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	if !parquet.EqualNodes(f.Schema(), want) {
		return nil, fmt.Errorf("columns are %s", f.Schema())
	}
	var rows, raw int64
	for _, g := range f.Metadata().RowGroups {
		if g.NumRows < 1 || g.TotalByteSize < 0 || len(g.Columns) != len(want.Columns()) {
			return nil, fmt.Errorf("a row group of %d rows, %d bytes and %d columns", g.NumRows, g.TotalByteSize, len(g.Columns))
		}
		rows, raw = rows+g.NumRows, raw+g.TotalByteSize
		if rows > p.Rows || raw > maxPartBytes {
			break
		}
	}
	if rows != p.Rows || raw > maxPartBytes {
		return nil, fmt.Errorf("%d rows and %d bytes, the manifest says %d rows", rows, raw, p.Rows)
	}
	return f, nil
}

// errPanic says that the Parquet reader gave up in its own way.
var errPanic = errors.New("the Parquet reader panicked")

// guarded runs decode and turns a panic of the Parquet reader, which trusts the
// counts and offsets of a file, into an error. A part with the right hash and the
// wrong content can only be made on purpose, and must not stop a compactor either.
func guarded(decode func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return decode()
}

// pages yields the data pages of one column of a row group. A page is valid until
// the next one.
func pages(g parquet.RowGroup, column int) iter.Seq2[parquet.Page, error] {
	return func(yield func(parquet.Page, error) bool) {
		from := g.ColumnChunks()[column].Pages()
		defer func() { _ = from.Close() }() // it holds memory only
		var values int64
		for values < maxPartBytes {
			page, err := from.ReadPage()
			if err != nil {
				if !isEnd(err) {
					yield(nil, err)
				}
				return
			}
			values += page.NumValues() + 1
			ok := yield(page, nil)
			parquet.Release(page)
			if !ok {
				return
			}
		}
		yield(nil, fmt.Errorf("more than %d values in a column", maxPartBytes))
	}
}
