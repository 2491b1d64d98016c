package chromadir

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"lockstep/internal/lockstep"
)

// Operations of embeddings_queue (sqlite_log.rs operation_from_code).
const (
	opAdd      = 0
	opUpdate   = 1
	opUpsert   = 2
	opDelete   = 3
	opBackfill = 4 // since 1.3.6: bookkeeping of attached functions, no record
)

// logged is one queue entry, without its content.
type logged struct {
	id        string
	seq       int64
	operation int64
	hasVector bool
}

// watermark returns the last queue entry that a segment has applied, and whether
// that is written down.
func watermark(ctx context.Context, db *sql.DB, segment string) (int64, bool, error) {
	seq, found := int64(0), false
	err := each(ctx, db, `SELECT seq_id FROM max_seq_id WHERE segment_id = ?`, []any{segment}, func(r *sql.Rows) error {
		var raw any
		if err := r.Scan(&raw); err != nil {
			return err
		}
		var err error
		if seq, err = decodeSeq(raw); err != nil {
			return fmt.Errorf("max_seq_id of segment %s: %w", segment, err)
		}
		found = true
		return nil
	})
	return seq, found, err
}

// entriesAfter reads the queue of a collection above a watermark. The topic is
// matched by its end, the collection's id: the part before it is configuration.
func entriesAfter(ctx context.Context, db *sql.DB, collection string, after int64) ([]logged, error) {
	var out []logged
	err := each(ctx, db, `SELECT seq_id, id, operation, vector IS NOT NULL FROM embeddings_queue
		WHERE seq_id > ? AND substr(topic, -length(?)) = ? ORDER BY seq_id`,
		[]any{after, "/" + collection, "/" + collection},
		func(r *sql.Rows) error {
			var e logged
			if err := r.Scan(&e.seq, &e.id, &e.operation, &e.hasVector); err != nil {
				return sqlError(err)
			}
			switch e.operation {
			case opAdd, opUpdate, opUpsert, opDelete:
				out = append(out, e)
				return nil
			case opBackfill:
				return nil
			}
			return fmt.Errorf("embeddings_queue row %d: %w: operation %d is unknown", e.seq, lockstep.ErrInvalid, e.operation)
		})
	return out, err
}

// pendingVector says where the vector of a record with queue entries is.
type pendingVector struct {
	seq    int64 // the queue row that holds it; 0: the HNSW files
	exists bool
}

// pendingVectors replays the entries that the vector segment has not seen, as
// local_hnsw.rs apply_log_chunk does: an add of an id that is there is ignored, an
// update of one that is not as well.
func pendingVectors(entries []logged, persisted map[string]uint64) map[string]pendingVector {
	out := make(map[string]pendingVector)
	for _, e := range entries {
		p, seen := out[e.id]
		if !seen {
			_, p.exists = persisted[e.id]
		}
		sets := e.hasVector && (e.operation == opUpsert || e.operation == opAdd && !p.exists || e.operation == opUpdate && p.exists)
		switch {
		case sets:
			p = pendingVector{e.seq, true}
		case e.operation == opDelete:
			p = pendingVector{}
		}
		out[e.id] = p
	}
	return out
}

// pendingRow says what the queue does to one row of the metadata segment.
type pendingRow struct {
	seqs  []int64 // entries to merge, oldest first
	alive bool
	fresh bool // the stored row does not count: there is none, or it was deleted
}

// pendingRows replays the entries that the metadata segment has not seen
// (sqlite_metadata.rs apply_logs). They are there when Chroma stopped between the
// commit of a push and its indexing, which a 500 can mean (CHROMA 5.7). stored says
// which ids the segment has.
func pendingRows(entries []logged, stored map[string]bool) map[string]*pendingRow {
	out := make(map[string]*pendingRow)
	for _, e := range entries {
		p := out[e.id]
		if p == nil {
			p = &pendingRow{alive: stored[e.id], fresh: !stored[e.id]}
			out[e.id] = p
		}
		switch e.operation {
		case opDelete:
			*p = pendingRow{fresh: true}
		case opAdd, opUpsert, opUpdate:
			if p.alive && e.operation == opAdd || !p.alive && e.operation == opUpdate {
				continue
			}
			p.alive = true
			p.seqs = append(p.seqs, e.seq)
		}
	}
	return out
}

// storedIDs looks up which of the entries' ids the metadata segment has.
func storedIDs(ctx context.Context, db *sql.DB, segment string, entries []logged) (map[string]bool, error) {
	out := make(map[string]bool)
	for _, e := range entries {
		if _, asked := out[e.id]; asked {
			continue
		}
		out[e.id] = false
		err := each(ctx, db, `SELECT 1 FROM embeddings WHERE segment_id = ? AND embedding_id = ?`, []any{segment, e.id},
			func(*sql.Rows) error {
				out[e.id] = true
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// queuedVector reads the vector of one queue row.
func queuedVector(ctx context.Context, db *sql.DB, seq int64) ([]float32, error) {
	var v []float32
	err := each(ctx, db, `SELECT vector, coalesce(encoding, '') FROM embeddings_queue WHERE seq_id = ?`, []any{seq},
		func(r *sql.Rows) error {
			var raw []byte
			var encoding string
			if err := r.Scan(&raw, &encoding); err != nil {
				return sqlError(err)
			}
			if encoding != "FLOAT32" {
				return fmt.Errorf("embeddings_queue row %d: %w: encoding %q is not read here", seq, lockstep.ErrInvalid, encoding)
			}
			if len(raw)%floatBytes != 0 || len(raw) > lockstep.MaxDimension*floatBytes {
				return fmt.Errorf("embeddings_queue row %d: %w: a vector of %d bytes", seq, lockstep.ErrCorrupt, len(raw))
			}
			v = decodeFloats(raw)
			if err := lockstep.CheckVector(v); err != nil {
				return fmt.Errorf("embeddings_queue row %d: %w: %w", seq, lockstep.ErrCorrupt, err)
			}
			return nil
		})
	return v, err
}

// merge brings r forward by one queue row: its keys replace, null removes, and what
// it does not name stays (helpers.rs update_metadata).
func merge(ctx context.Context, db *sql.DB, r *Record, seq int64) error {
	return each(ctx, db, `SELECT coalesce(metadata, '{}') FROM embeddings_queue WHERE seq_id = ?`, []any{seq},
		func(rows *sql.Rows) error {
			var text []byte
			if err := rows.Scan(&text); err != nil {
				return sqlError(err)
			}
			m, err := ParseMetadata(text)
			if err != nil {
				return fmt.Errorf("embeddings_queue row %d: %w", seq, err)
			}
			for _, f := range m {
				if err := r.change(f); err != nil {
					return fmt.Errorf("embeddings_queue row %d: %w", seq, err)
				}
			}
			return nil
		})
}

func (r *Record) change(f lockstep.Field) error {
	removed := f.Value.Kind() == 0 || f.Value.Kind() == lockstep.KindList && len(f.Value.Elems()) == 0
	switch {
	case f.Key == documentKey && f.Value.Kind() == lockstep.KindString:
		r.Document, r.HasDocument = f.Value.Str(), true
	case f.Key == documentKey:
		return lockstep.Hint(fmt.Errorf("%w: the document is %#v, on which Chroma itself stops", lockstep.ErrCorrupt, f.Value),
			"stop Chroma and delete this row from embeddings_queue")
	case f.Key == uriKey && f.Value.Kind() == lockstep.KindString:
		r.URI = f.Value.Str()
	case f.Key == uriKey && removed:
		r.URI = ""
	case removed:
		r.Metadata = r.Metadata.Without(func(k string) bool { return k == f.Key })
	default:
		r.Metadata = r.Metadata.With(f.Key, f.Value)
	}
	return nil
}

// newcomers returns the ids that only the queue knows, in the order in which Chroma
// would add them.
func newcomers(rows map[string]*pendingRow) []string {
	var ids []string
	for id, p := range rows {
		if p.alive && p.fresh {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(rows[a].seqs[0], rows[b].seqs[0]) })
	return ids
}
