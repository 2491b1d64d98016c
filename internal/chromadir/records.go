package chromadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"lockstep/internal/lockstep"
)

// Record is one record as Chroma's get would answer it.
type Record struct {
	ID          string
	Document    string // meaningful when HasDocument
	URI         string // "" when there is none
	Metadata    lockstep.Metadata
	Vector      []float32
	HasDocument bool
}

// Records yields the records of one collection: the stored ones in the order in
// which they were first added, then those that only the queue knows. It holds a
// page of records at a time, and the ids of the HNSW files and of unindexed queue
// entries.
//
// Errors end the sequence: ErrNotFound when there is no such collection,
// ErrInvalid when its name is not unique or the queue holds what is not known,
// ErrCorrupt with file and place for torn or contradictory files, ErrConflict when
// the directory changed meanwhile.
func (d *Dir) Records(ctx context.Context, name string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := d.records(ctx, name, func(r Record) bool { return yield(r, nil) }); err != nil {
			yield(Record{}, fmt.Errorf("read collection %q of %s: %w", name, d.path, err))
		}
	}
}

// records calls yield for every record until it answers false.
func (d *Dir) records(ctx context.Context, name string, yield func(Record) bool) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := d.collection(name)
	if err != nil {
		return err
	}
	src, err := d.source(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	more, err := src.stored(ctx, yield)
	if err == nil && more {
		more, err = src.queued(ctx, yield)
	}
	if err == nil && !more {
		return nil // the caller has enough
	}
	// A writer explains what looks like damage, so it is asked about first.
	if changed := d.unchanged(); changed != nil {
		return changed
	}
	return err
}

// source is everything that says what one collection holds.
type source struct {
	dir     *Dir
	c       Collection
	rows    map[string]*pendingRow   // ids with entries the metadata segment has not seen
	vectors map[string]pendingVector // ids with entries the vector segment has not seen
	labels  map[string]uint64
	graph   *graph // nil: nothing was persisted
}

func (d *Dir) source(ctx context.Context, c Collection) (*source, error) {
	s := &source{dir: d, c: c}
	seq, _, err := watermark(ctx, d.db, c.metadata)
	if err != nil {
		return nil, err
	}
	entries, err := entriesAfter(ctx, d.db, c.ID, seq)
	if err != nil {
		return nil, err
	}
	stored, err := storedIDs(ctx, d.db, c.metadata, entries)
	if err != nil {
		return nil, err
	}
	s.rows = pendingRows(entries, stored)
	if err := s.openVectors(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *source) close() error {
	if s.graph == nil {
		return nil
	}
	return s.graph.Close()
}

// openVectors opens the HNSW files and replays the queue on top of them.
func (s *source) openVectors(ctx context.Context) error {
	seq, stated, err := watermark(ctx, s.dir.db, s.c.vector)
	if err != nil {
		return err
	}
	ids, err := s.readIDs()
	switch {
	case errors.Is(err, fs.ErrNotExist) && seq > 0:
		return fmt.Errorf("%s/%s: %w: the file is missing, but the queue is applied up to %d", s.c.vector, idMapFile, lockstep.ErrCorrupt, seq)
	case errors.Is(err, fs.ErrNotExist):
		// Nothing was persisted yet. A folder with an empty index may be there.
	case err != nil:
		return err
	default:
		if s.graph, err = openGraph(s.dir.root, s.c.vector, s.c.Space); err != nil {
			return err
		}
		if s.graph == nil {
			return fmt.Errorf("%s/%s: %w: the file is missing beside an id map", s.c.vector, headerFile, lockstep.ErrCorrupt)
		}
		if s.c.Dimension != 0 && s.graph.dim != s.c.Dimension || ids.dim != 0 && ids.dim != s.graph.dim {
			return fmt.Errorf("%s/%s: %w: %d dimensions, the collection states %d and the id map %d",
				s.c.vector, headerFile, lockstep.ErrCorrupt, s.graph.dim, s.c.Dimension, ids.dim)
		}
		s.labels = ids.labels
		if !stated && ids.hasSeq { // Chroma <= 0.5.5 kept the watermark in the pickle only
			seq = ids.maxSeq
		}
	}
	entries, err := entriesAfter(ctx, s.dir.db, s.c.ID, seq)
	if err != nil {
		return err
	}
	s.vectors = pendingVectors(entries, s.labels)
	return nil
}

func (s *source) readIDs() (*idMap, error) {
	name := s.c.vector + "/" + idMapFile
	f, err := s.dir.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return readIDMap(f, name, info.Size())
}

// vector finds the vector of a record, wherever it is.
func (s *source) vector(ctx context.Context, id string) ([]float32, error) {
	p, pending := s.vectors[id]
	label, persisted := s.labels[id]
	var v []float32
	var err error
	switch {
	case pending && p.seq != 0:
		v, err = queuedVector(ctx, s.dir.db, p.seq)
	case persisted && (!pending || p.exists):
		v, _, err = s.graph.Vector(label)
	}
	if err != nil {
		return nil, fmt.Errorf("record %q: %w", id, err)
	}
	if v == nil {
		return nil, lockstep.Hint(
			fmt.Errorf("record %q: %w: its vector is neither in %s nor in the queue", id, lockstep.ErrCorrupt, s.c.vector),
			"the vector segment is behind its own watermark; restore the directory or embed the record again")
	}
	if s.c.Dimension != 0 && len(v) != s.c.Dimension {
		return nil, fmt.Errorf("record %q: %w: a vector of %d components, the collection has %d", id, lockstep.ErrCorrupt, len(v), s.c.Dimension)
	}
	return v, nil
}

// complete brings a record forward by the queue and gives it its vector.
func (s *source) complete(ctx context.Context, r *Record) error {
	if p := s.rows[r.ID]; p != nil {
		for _, seq := range p.seqs {
			if err := merge(ctx, s.dir.db, r, seq); err != nil {
				return err
			}
		}
	}
	var err error
	r.Vector, err = s.vector(ctx, r.ID)
	return err
}

func (s *source) queued(ctx context.Context, yield func(Record) bool) (bool, error) {
	for _, id := range newcomers(s.rows) {
		r := Record{ID: id}
		if err := s.complete(ctx, &r); err != nil {
			return false, err
		}
		if !yield(r) {
			return false, nil
		}
	}
	return true, nil
}
