package chroma

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// fingerprint is what is remembered of a directory to notice that somebody else
// wrote to it. Every write through Chroma takes a queue number and moves the
// collection's METADATA watermark (CHROMA 5.3, 5.4); opening and reading do
// neither: they build HNSW files, move the VECTOR watermark, purge the queue
// strictly below it, and may rewrite schema_str.
type fingerprint struct {
	Collections map[string]holding `json:"collections"`
	LastID      int64              `json:"last_id"`  // greatest embeddings.id
	LastSeq     int64              `json:"last_seq"` // greatest embeddings_queue.seq_id
}

// holding is one collection in a fingerprint.
type holding struct {
	ID      string `json:"id"`      // of the collection
	Space   string `json:"space"`   // as the step that made it said
	Records int64  `json:"records"` // rows of embeddings
	Applied int64  `json:"applied"` // METADATA watermark
}

// takeFingerprint reads the fingerprint of an open directory. Its cost is one scan
// of the index that embeddings(segment_id, embedding_id) has.
func takeFingerprint(ctx context.Context, db *database) (fingerprint, error) {
	cols, err := readCollections(ctx, db)
	if err != nil {
		return fingerprint{}, err
	}
	f := fingerprint{Collections: map[string]holding{}}
	for _, c := range cols {
		h := holding{ID: c.id, Space: c.space, Applied: c.applied}
		if err := db.scan(ctx, "SELECT count(*) FROM embeddings WHERE segment_id = ?", []any{c.metadataSegment}, &h.Records); err != nil {
			return fingerprint{}, err
		}
		f.Collections[c.name] = h
	}
	err = db.scan(ctx, "SELECT coalesce((SELECT max(id) FROM embeddings), 0), coalesce((SELECT max(seq_id) FROM embeddings_queue), 0)", nil, &f.LastID, &f.LastSeq)
	return f, err
}

// checkDrift returns follow.ErrDiverged, saying what differs, when the directory
// no longer holds what was written.
func checkDrift(ctx context.Context, db *database, written fingerprint) error {
	now, err := takeFingerprint(ctx, db)
	if err != nil {
		return err
	}
	diffs := drift(written, now)
	if len(diffs) == 0 {
		return nil
	}
	touched, err := touchedSince(ctx, db, written.LastSeq)
	if err != nil {
		return err
	}
	err = fmt.Errorf("%w: %s: %s", follow.ErrDiverged, db.dir, strings.Join(append(diffs, touched...), "; "))
	return lockstep.Hint(err, "find out who writes there besides lockstep; a Full step puts the index back and keeps this directory as a previous one")
}

// drift says in words how now differs from written; empty when it does not. It is pure.
func drift(written, now fingerprint) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(written.Collections)) {
		w := written.Collections[name]
		n, ok := now.Collections[name]
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("collection %s is gone", name))
		case n.ID != w.ID:
			out = append(out, fmt.Sprintf("collection %s was made anew", name))
		case n.Space != w.Space:
			out = append(out, fmt.Sprintf("collection %s has the space %s instead of %s", name, n.Space, w.Space))
		case n.Records != w.Records:
			out = append(out, fmt.Sprintf("collection %s holds %d records instead of %d", name, n.Records, w.Records))
		case n.Applied != w.Applied:
			out = append(out, fmt.Sprintf("collection %s was written to: watermark %d instead of %d", name, n.Applied, w.Applied))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now.Collections)) {
		if _, ok := written.Collections[name]; !ok {
			out = append(out, fmt.Sprintf("collection %s was added", name))
		}
	}
	if now.LastSeq > written.LastSeq {
		out = append(out, fmt.Sprintf("%d writes after the last of ours", now.LastSeq-written.LastSeq))
	}
	if now.LastID != written.LastID && len(out) == 0 {
		out = append(out, fmt.Sprintf("the last internal id is %d instead of %d", now.LastID, written.LastID))
	}
	return out
}

// touchedSince names the first records that queue rows after seq speak of. Chroma
// may have purged some of them: it is a help, not a proof.
func touchedSince(ctx context.Context, db *database, seq int64) ([]string, error) {
	const most = 5
	var ids []string
	err := db.each(ctx, func(scan func(...any) error) error {
		var op int64
		var id string
		err := scan(&op, &id)
		ids = append(ids, fmt.Sprintf("%s %q", operationName(op), id))
		return err
	}, "SELECT operation, id FROM embeddings_queue WHERE seq_id > ? ORDER BY seq_id LIMIT ?", seq, most)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return []string{"first of them: " + strings.Join(ids, ", ")}, nil
}
