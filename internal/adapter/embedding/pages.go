package embedding

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"lockstep/internal/lockstep"
)

// What a Parquet file may state. Writers make pages of about 1 MiB (duckdb up to
// 100 MB), page headers of some hundred bytes, and footers of a few hundred bytes per
// row group.
const (
	maxFooterBytes     = 4 << 20
	maxPageBytes       = 128 << 20
	maxPageHeaderBytes = 64 << 10
	parquetTail        = 8 // footer length and magic
	parquetMagic       = "PAR1"
)

// Fields of PageHeader (parquet.thrift).
var (
	uncompressedSize = field{outer: 2}
	compressedSize   = field{outer: 3}
	v2DefinitionSize = field{8, 5}
	v2RepetitionSize = field{8, 6}
	v2Compressed     = field{8, 7}
)

// checkTail holds the footer against the file, before the decoder sees it: that one
// allocates whatever the last eight bytes state.
func checkTail(r io.ReaderAt, size int64) error {
	bad := func(what string) error {
		return fmt.Errorf("%w: not a whole Parquet file: %s", lockstep.ErrCorrupt, what)
	}
	var tail [parquetTail]byte
	if size < int64(len(parquetMagic))+parquetTail {
		return bad("too short")
	}
	if _, err := r.ReadAt(tail[:], size-parquetTail); err != nil {
		return bad(err.Error())
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(tail[4:]) != parquetMagic || n > size-parquetTail-int64(len(parquetMagic)) {
		return bad("no footer at its end")
	}
	if n > maxFooterBytes {
		return fmt.Errorf("%w: a footer of %d bytes, at most %d", lockstep.ErrInvalid, n, maxFooterBytes)
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-parquetTail-n); err != nil {
		return bad(err.Error())
	}
	_, _, err := skim(footer)
	return err
}

// checkPages holds every page header against the chunk it is in, for the same
// reason. Chunks are walked as the decoder walks them: from the dictionary, or the
// first data page, for as many bytes as the footer states.
func checkPages(file *parquet.File, r io.ReaderAt, size int64) error {
	for _, g := range file.Metadata().RowGroups {
		if g.NumRows == 0 {
			continue
		}
		for _, c := range g.Columns {
			at := c.MetaData.DataPageOffset
			if d := c.MetaData.DictionaryPageOffset; d != 0 {
				at = d
			}
			end := at + c.MetaData.TotalCompressedSize
			if at < 0 || end < at || end > size {
				return fmt.Errorf("%w: a column chunk from %d to %d of %d bytes", lockstep.ErrCorrupt, at, end, size)
			}
			for at < end {
				n, err := checkPage(r, at, end, c.MetaData.Codec)
				if err != nil {
					return fmt.Errorf("page at offset %d: %w", at, err)
				}
				at += n
			}
		}
	}
	return nil
}

// checkPage checks one page and returns its length, header included.
func checkPage(r io.ReaderAt, at, end int64, codec format.CompressionCodec) (int64, error) {
	head := make([]byte, min(maxPageHeaderBytes, end-at))
	if _, err := r.ReadAt(head, at); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	ints, n, err := skim(head)
	if err != nil {
		return 0, err
	}
	packed, plain := ints[compressedSize], ints[uncompressedSize]
	if packed < 0 || packed > end-at-int64(n) || plain < 0 {
		return 0, fmt.Errorf("%w: it states %d bytes, packed %d", lockstep.ErrCorrupt, plain, packed)
	}
	if plain > maxPageBytes {
		return 0, fmt.Errorf("%w: a page of %d bytes, at most %d", lockstep.ErrInvalid, plain, maxPageBytes)
	}
	if codec == format.Snappy {
		body := io.NewSectionReader(r, at+int64(n), packed)
		if err := checkSnappy(body, ints, plain); err != nil {
			return 0, err
		}
	}
	return int64(n) + packed, nil
}

// checkSnappy compares the length that a Snappy block states at its start, which the
// decoder also allocates. The levels of version 2 pages come before it, as they are.
func checkSnappy(body *io.SectionReader, ints map[field]int64, plain int64) error {
	levels := ints[v2DefinitionSize] + ints[v2RepetitionSize]
	if v, ok := ints[v2Compressed]; ok && v == 0 || levels == plain {
		return nil
	}
	var head [binary.MaxVarintLen64]byte
	k, err := body.ReadAt(head[:], levels)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: levels of %d bytes: %w", lockstep.ErrCorrupt, levels, err)
	}
	if stated, n := binary.Uvarint(head[:k]); n <= 0 || stated > uint64(plain) {
		return fmt.Errorf("%w: a Snappy block of %d bytes in a page of %d", lockstep.ErrCorrupt, stated, plain)
	}
	return nil
}
