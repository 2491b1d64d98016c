package base

import (
	"context"
	"fmt"
	"iter"

	"github.com/parquet-go/parquet-go"

	"lockstep/internal/lockstep"
	"lockstep/internal/metajson"
)

// Rows yields the records of one collection in order of id. The strings of rows
// that were stored near each other share memory: clone what is to outlive the
// loop by far. After an error nothing more is yielded. ErrNotFound: the base does
// not know the collection, or was removed meanwhile. ErrCorrupt names the object.
func (b *Base) Rows(ctx context.Context, c lockstep.Collection) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(Row{}, err)
			return
		}
		have, err := b.contents(c)
		if err != nil {
			yield(Row{}, err)
			return
		}
		b.rows(ctx, c, b.ahead(ctx, have.Records), yield)
	}
}

func (b *Base) rows(ctx context.Context, c lockstep.Collection, parts iter.Seq[fetched], yield func(Row, error) bool) {
	d := rowDecoder{collection: c}
	for part := range parts {
		if part.err != nil {
			yield(Row{}, part.err)
			return
		}
		more, err := d.part(ctx, part, yield)
		if err != nil {
			if ctx.Err() == nil {
				err = b.corrupt(part.part, err)
			}
			yield(Row{}, err)
			return
		}
		if !more {
			return
		}
	}
}

// rowDecoder turns record parts into rows, one row group at a time.
type rowDecoder struct {
	collection lockstep.Collection
	schema     *parquet.Schema
	metadata   metajson.Parser
	columns    recordColumnSet
}

// recordColumnSet holds the columns of one row group.
type recordColumnSet struct {
	text     [recordColumns][]string // those that are text
	document []bool                  // which rows have one
	hashes   [][32]byte
	dims     []int64
	versions []int64
}

// part yields the rows of one part. more is false when the loop was left.
func (d *rowDecoder) part(ctx context.Context, part fetched, yield func(Row, error) bool) (more bool, err error) {
	if d.schema == nil {
		d.schema = parquet.SchemaOf(recordRow{})
	}
	var file *parquet.File
	if err := guarded(func() (err error) {
		file, err = openFile(part.body, part.part, d.schema)
		return err
	}); err != nil {
		return false, err
	}
	order := newOrder(part.part)
	for _, g := range file.RowGroups() {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if err := guarded(func() error { return d.columns.read(g) }); err != nil {
			return false, err
		}
		for i := range d.columns.dims {
			row, err := d.row(i)
			if err == nil {
				err = order.next(row.Record.ID)
			}
			if err != nil {
				return false, fmt.Errorf("record %.80q: %w", d.columns.text[columnID][i], err)
			}
			if !yield(row, nil) {
				return false, nil
			}
		}
	}
	return true, order.end()
}

func (s *recordColumnSet) read(g parquet.RowGroup) (err error) {
	s.document = s.document[:0]
	for _, column := range []int{columnID, columnDocument, columnMetadata, columnAuthorMessage, columnAuthorRevision} {
		var present *[]bool
		if column == columnDocument {
			present = &s.document
		}
		clear(s.text[column])
		if s.text[column], err = readStrings(s.text[column][:0], present, g, column); err != nil {
			return err
		}
	}
	if s.hashes, err = readHashes(s.hashes[:0], g, columnVectorHash); err != nil {
		return err
	}
	if s.versions, err = readNumbers(s.versions[:0], g, columnAuthorVersion); err != nil {
		return err
	}
	s.dims, err = readNumbers(s.dims[:0], g, columnVectorDim)
	return err
}

// row assembles row i of the columns and checks that it is one that Add takes.
func (d *rowDecoder) row(i int) (Row, error) {
	s := &d.columns
	m, err := d.metadata.Parse(s.text[columnMetadata][i])
	if err != nil {
		return Row{}, foreign(err)
	}
	if s.dims[i] < 0 || s.dims[i] > lockstep.MaxDimension || s.versions[i] < 0 {
		return Row{}, fmt.Errorf("dimension %d, version %d of its author", s.dims[i], s.versions[i])
	}
	row := Row{
		Collection: d.collection,
		Record: lockstep.Record{
			ID:          s.text[columnID][i],
			Document:    s.text[columnDocument][i],
			HasDocument: s.document[i],
			Metadata:    m,
			Vector:      lockstep.VectorRef{Hash: s.hashes[i], Dim: uint32(s.dims[i])},
		},
		Author: lockstep.Author{
			Version:  uint64(s.versions[i]),
			Message:  s.text[columnAuthorMessage][i],
			Revision: s.text[columnAuthorRevision][i],
		},
	}
	if (row.Record.Vector.Hash == [32]byte{}) != (s.dims[i] == 0) {
		return Row{}, fmt.Errorf("dimension %d with the hash %x", s.dims[i], row.Record.Vector.Hash)
	}
	return row, foreign(row.Record.Check())
}

// foreign takes the class from an error: input that breaks its rules is ErrInvalid,
// and the same in a stored part is ErrCorrupt.
func foreign(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%v", err) //nolint:errorlint // the class is what is dropped
}
