package base

import (
	"bytes"
	"fmt"

	"github.com/parquet-go/parquet-go"
)

// batchRows is how many rows go to the Parquet writer in one call.
const batchRows = 256

// partWriter gathers the rows of one Parquet file at a time, in memory: an object
// is created in one piece.
type partWriter[T any] struct {
	writer  *parquet.GenericWriter[T]
	out     *bytes.Buffer
	pending []T

	partBytes int // about where the caller ends a part
	raw       int // bytes of the rows of this part, uncompressed
	group     int // bytes of the rows of this row group
	part      Part
}

func newPartWriter[T any](partBytes int) *partWriter[T] {
	out := &bytes.Buffer{}
	return &partWriter[T]{
		writer:    parquet.NewGenericWriter[T](out, writerOptions()...),
		out:       out,
		partBytes: partBytes,
		pending:   make([]T, 0, batchRows),
	}
}

// add appends a row of the given raw size and ends the row group when it is full.
func (w *partWriter[T]) add(id string, row T, size, groupBytes int) error {
	if w.part.Rows == 0 {
		w.part.First = id
	}
	w.part.Last = id
	w.part.Rows++
	w.raw += size
	w.group += size
	w.pending = append(w.pending, row)
	if w.group >= groupBytes {
		if err := w.flush(); err != nil {
			return err
		}
		w.group = 0
		return w.endGroup()
	}
	if len(w.pending) == batchRows {
		return w.flush()
	}
	return nil
}

// endGroup writes the row group. A part that does not compress gets its whole
// memory at once: doubled step by step, it would end with twice what it needs.
func (w *partWriter[T]) endGroup() error {
	if err := w.writer.Flush(); err != nil {
		return err
	}
	if n := w.out.Len(); n > w.partBytes/8 && w.out.Cap() < w.partBytes {
		w.out.Grow(w.partBytes + w.partBytes/16 - n)
	}
	return nil
}

// flush hands the pending rows over, so that what they point to may change.
func (w *partWriter[T]) flush() error {
	if len(w.pending) == 0 {
		return nil
	}
	_, err := w.writer.Write(w.pending)
	clear(w.pending)
	w.pending = w.pending[:0]
	return err
}

// finish returns the file and its description, but for its name and hash. The
// bytes are valid until reset.
func (w *partWriter[T]) finish() (Part, []byte, error) {
	if err := w.flush(); err != nil {
		return Part{}, nil, err
	}
	if err := w.writer.Close(); err != nil {
		return Part{}, nil, err
	}
	file, err := withoutPageIndex(w.out.Bytes())
	if err != nil {
		return Part{}, nil, err
	}
	w.part.Size = int64(len(file))
	if w.part.Size > maxPartBytes || w.part.Rows > maxPartRows {
		return Part{}, nil, fmt.Errorf("a part of %d bytes and %d rows", w.part.Size, w.part.Rows)
	}
	return w.part, file, nil
}

// reset begins the next part in the same memory.
func (w *partWriter[T]) reset() {
	w.out.Reset()
	w.writer.Reset(w.out)
	w.raw, w.group, w.part = 0, 0, Part{}
}
