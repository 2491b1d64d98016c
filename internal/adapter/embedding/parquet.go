package embedding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/parquet-go/parquet-go"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// parquetBatch is how many rows are decoded at a time.
const parquetBatch = 64

// parquet imports a Parquet file. It is copied to a private folder first, because
// its index is at its end.
func (im *Importer) parquet(ctx context.Context, body io.Reader) ([]handler.Embedding, error) {
	return im.inPrivate(func(_ string, root *os.Root) (out []handler.Embedding, err error) {
		const name = "delta.parquet"
		size, err := write(root, name, body)
		if err != nil {
			return nil, err
		}
		f, err := root.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		return im.readParquet(ctx, f, size)
	})
}

// readParquet reads a Parquet file. The decoder trusts its input more than we do,
// and panics on some that is damaged: here that is an error like any other.
func (im *Importer) readParquet(ctx context.Context, r io.ReaderAt, size int64) (out []handler.Embedding, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("%w: not a whole Parquet file: %v", lockstep.ErrCorrupt, p)
		}
	}()
	if err := checkTail(r, size); err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("%w: not a whole Parquet file: %w", lockstep.ErrCorrupt, err)
	}
	if err := errors.Join(im.checkFooter(file), checkPages(file, r, size)); err != nil {
		return nil, err
	}
	cols, err := findColumns(file.Root())
	if err != nil {
		return nil, err
	}
	for _, g := range file.RowGroups() {
		if g.NumRows() == 0 { // pyarrow writes one for an empty table
			continue
		}
		if out, err = im.readGroup(ctx, g, cols, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkFooter holds what the file says about itself against the limits, before
// anything is decoded.
func (im *Importer) checkFooter(file *parquet.File) error {
	bytes := int64(0)
	for _, g := range file.Metadata().RowGroups {
		for _, c := range g.Columns {
			n := c.MetaData.TotalUncompressedSize
			if n < 0 || n > im.opts.MaxTotalBytes-bytes {
				return fmt.Errorf("%w: it unpacks to more than %d bytes", lockstep.ErrInvalid, im.opts.MaxTotalBytes)
			}
			bytes += n
		}
	}
	if n := file.NumRows(); n < 0 || n > int64(im.opts.MaxEmbeddings) {
		return fmt.Errorf("%w: %d rows, at most %d embeddings", lockstep.ErrInvalid, n, im.opts.MaxEmbeddings)
	}
	return nil
}

// columns are the leaves that hold the parts of an embedding; -1 where there is none.
type columns struct{ id, document, metadata, vector int }

// findColumns finds the columns by name. The vector is the only leaf below its
// column, repeated once: so it does not matter whether the writer called the parts
// list/element (pyarrow, duckdb), list/item (old pyarrow) or array (Spark).
func findColumns(root *parquet.Column) (columns, error) {
	cols := columns{-1, -1, -1, -1}
	for _, c := range root.Columns() {
		leaf, levels := c, 0
		for !leaf.Leaf() && len(leaf.Columns()) == 1 {
			leaf = leaf.Columns()[0]
		}
		if leaf.Leaf() {
			levels = leaf.MaxRepetitionLevel()
		}
		at, repeated, kinds := &cols.id, 0, []parquet.Kind{parquet.ByteArray}
		switch c.Name() {
		case "id":
		case "document":
			at = &cols.document
		case "metadata":
			at = &cols.metadata
		case "embedding", "vector":
			at, repeated, kinds = &cols.vector, 1, []parquet.Kind{parquet.Float, parquet.Double}
		default:
			return cols, lockstep.Hint(fmt.Errorf("column %q: %w: unknown; known are id, document, embedding or vector, metadata", c.Name(), lockstep.ErrInvalid),
				"with pandas, write the file with index=False")
		}
		if !leaf.Leaf() || levels != repeated || !slices.Contains(kinds, leaf.Type().Kind()) {
			return cols, fmt.Errorf("column %q: %w: want strings, and for the vector one list of float or double", c.Name(), lockstep.ErrInvalid)
		}
		if *at >= 0 {
			return cols, fmt.Errorf("column %q: %w: a second column for the same", c.Name(), lockstep.ErrInvalid)
		}
		*at = leaf.Index()
	}
	if cols.id < 0 || cols.vector < 0 {
		return cols, fmt.Errorf("%w: want a column id and a column embedding or vector", lockstep.ErrInvalid)
	}
	return cols, nil
}

func (im *Importer) readGroup(ctx context.Context, g parquet.RowGroup, cols columns, out []handler.Embedding) (_ []handler.Embedding, err error) {
	rows := g.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, parquetBatch)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			if len(out) == im.opts.MaxEmbeddings {
				return nil, fmt.Errorf("%w: more than %d embeddings", lockstep.ErrInvalid, im.opts.MaxEmbeddings)
			}
			e, err := cols.embedding(row)
			if err != nil {
				return nil, fmt.Errorf("row %d: %w", len(out)+1, err)
			}
			out = append(out, e)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("row %d: %w: %w", len(out)+1, lockstep.ErrCorrupt, err)
		}
		if n == 0 {
			return nil, fmt.Errorf("row %d: %w: the decoder stopped", len(out)+1, lockstep.ErrCorrupt)
		}
	}
}

// embedding takes one row over.
func (c columns) embedding(row parquet.Row) (e handler.Embedding, err error) {
	row.Range(func(column int, values []parquet.Value) bool {
		null := len(values) == 1 && values[0].IsNull()
		switch {
		case column == c.vector:
			e.Vector, err = floats(values)
		case null:
		case column == c.id:
			e.ID = string(values[0].ByteArray())
		case column == c.document:
			e.Document, e.HasDocument = string(values[0].ByteArray()), true
		case column == c.metadata:
			text := values[0].ByteArray()
			if err = checkText(text); err == nil {
				e.Metadata, err = parseFields(text)
			}
			if err != nil {
				err = fmt.Errorf("column metadata: %w", err)
			}
		}
		return err == nil
	})
	if err == nil {
		err = check(e)
	}
	return e, err
}

// floats takes the components over. A null or empty list has none, which check
// refuses; a null among components would otherwise become 0.
func floats(values []parquet.Value) ([]float32, error) {
	if len(values) == 1 && values[0].IsNull() {
		return nil, nil
	}
	v := make([]float32, len(values))
	for i, x := range values {
		switch {
		case x.Kind() == parquet.Float:
			v[i] = x.Float()
		case x.Kind() == parquet.Double:
			v[i] = float32(x.Double())
		default:
			return nil, fmt.Errorf("%w: component %d of the vector is null", lockstep.ErrInvalid, i)
		}
	}
	return v, nil
}
