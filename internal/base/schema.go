package base

import (
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// recordRow is a row of a records file. The columns and their order are the
// format (docs/format/base.md).
type recordRow struct {
	ID             string   `parquet:"id"`
	Document       *string  `parquet:"document,optional"`
	Metadata       string   `parquet:"metadata"`
	VectorHash     [32]byte `parquet:"vector_hash,optional"` // null when zero: no vector has that hash
	VectorDim      int32    `parquet:"vector_dim,dict"`
	AuthorVersion  int64    `parquet:"author_version,dict"`
	AuthorMessage  string   `parquet:"author_message,dict"`
	AuthorRevision string   `parquet:"author_revision,dict"`
}

// vectorRow is a row of a vectors file.
type vectorRow struct {
	ID     string    `parquet:"id"`
	Vector []float32 `parquet:"vector,list"`
}

// Columns of both files by number, in the order of the fields above.
const (
	columnID = iota
	columnDocument
	columnMetadata
	columnVectorHash
	columnVectorDim
	columnAuthorVersion
	columnAuthorMessage
	columnAuthorRevision
	recordColumns

	columnVector  = 1
	vectorColumns = 2
)

// dictionaryBytes is where a dictionary stops to pay: message ids are often all
// different, and the rest of the row group is then written plain.
const dictionaryBytes = 512 << 10

// writerOptions returns how both files are written. Bounds of wide values would
// repeat them in page headers, column index and footer (TRAPS 3.4, 4.12).
func writerOptions() []parquet.WriterOption {
	return []parquet.WriterOption{
		// Concurrency 1: a base is built beside work that matters more.
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}),
		parquet.CreatedBy("lockstep base", "1", ""),
		parquet.DictionaryMaxBytes(dictionaryBytes),
		parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending("id"))),
		parquet.SkipPageBounds("document"),
		parquet.SkipPageStatistics("document"),
		parquet.SkipPageBounds("metadata"),
		parquet.SkipPageStatistics("metadata"),
		parquet.SkipPageBounds("vector_hash"),
		parquet.SkipPageStatistics("vector_hash"),
		parquet.SkipPageBounds("vector", "list", "element"),
		parquet.SkipPageStatistics("vector", "list", "element"),
	}
}
