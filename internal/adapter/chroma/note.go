package chroma

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// noteTable is our own table in Chroma's database. Chroma 1.0.0 and 1.5.9 leave a
// table they do not know alone (tried), and being in the same file makes the mark
// as atomic as the records. docs/format/follower.md describes it.
const noteTable = "lockstep_mark"

const (
	noteFormat   = 1
	maxNoteBytes = 4 << 20
)

// note is what a follower writes down about itself.
type note struct {
	Format  int               `json:"format"`
	Store   string            `json:"store"`
	Version uint64            `json:"version"`
	Digests map[string]string `json:"digests"`
	Held    fingerprint       `json:"held"`
}

func noteOf(m follow.Mark, held fingerprint) note {
	n := note{Format: noteFormat, Store: m.Store, Version: m.Version, Digests: map[string]string{}, Held: held}
	for c, digest := range m.Digests {
		n.Digests[string(c)] = digest
	}
	return n
}

func (n note) mark() follow.Mark {
	m := follow.Mark{Store: n.Store, Version: n.Version}
	for _, c := range slices.Sorted(maps.Keys(n.Digests)) {
		if m.Digests == nil {
			m.Digests = make(map[lockstep.Collection]string, len(n.Digests))
		}
		m.Digests[lockstep.Collection(c)] = n.Digests[c]
	}
	return m
}

// encodeNote writes the note as JSON, keys in order.
func encodeNote(n note) ([]byte, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("encode mark: %w", err)
	}
	return body, nil
}

// parseNote reads what encodeNote wrote. ErrRefused for a format of a later
// lockstep, ErrCorrupt for anything else that is not a note.
func parseNote(body []byte) (note, error) {
	if len(body) > maxNoteBytes {
		return note{}, fmt.Errorf("%w mark: %d bytes, at most %d", lockstep.ErrCorrupt, len(body), maxNoteBytes)
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return note{}, fmt.Errorf("%w mark: %w", lockstep.ErrCorrupt, err)
	}
	if head.Format > noteFormat {
		err := fmt.Errorf("%w: the mark has format %d, this lockstep knows %d", lockstep.ErrRefused, head.Format, noteFormat)
		return note{}, lockstep.Hint(err, "use the newer lockstep that wrote it, or take a Full step")
	}
	var n note
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&n); err != nil {
		return note{}, fmt.Errorf("%w mark: %w", lockstep.ErrCorrupt, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return note{}, fmt.Errorf("%w mark: something follows it", lockstep.ErrCorrupt)
	}
	return n, n.check()
}

func (n note) check() error {
	if n.Format != noteFormat {
		return fmt.Errorf("%w mark: format %d", lockstep.ErrCorrupt, n.Format)
	}
	for c, digest := range n.Digests {
		if _, err := hex.DecodeString(digest); err != nil {
			return fmt.Errorf("%w mark: digest of %q: %w", lockstep.ErrCorrupt, c, err)
		}
	}
	for name, h := range n.Held.Collections {
		if !isUUID(h.ID) || h.Records < 0 || h.Applied < 0 {
			return fmt.Errorf("%w mark: what is held of %q makes no sense", lockstep.ErrCorrupt, name)
		}
	}
	return nil
}

// readNote returns ErrNotFound when the database has no mark.
func readNote(ctx context.Context, db *database) (note, error) {
	var tables int
	if err := db.scan(ctx, "SELECT count(*) FROM sqlite_master WHERE name = ?", []any{noteTable}, &tables); err != nil {
		return note{}, err
	}
	if tables == 0 {
		return note{}, fmt.Errorf("mark of %s: %w", db.dir, lockstep.ErrNotFound)
	}
	var body []byte
	err := db.scan(ctx, "SELECT body FROM "+noteTable+" WHERE id = 1 AND length(body) <= ?", []any{maxNoteBytes}, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return note{}, fmt.Errorf("mark of %s: %w", db.dir, lockstep.ErrNotFound)
	}
	if err != nil {
		return note{}, err
	}
	n, err := parseNote(body)
	if err != nil {
		return note{}, fmt.Errorf("%s: %w", db.path(), err)
	}
	return n, nil
}

// writeNote stores the note; it becomes true with the caller's transaction.
func writeNote(ctx context.Context, db *database, n note) error {
	body, err := encodeNote(n)
	if err != nil {
		return err
	}
	if err := db.exec(ctx, "CREATE TABLE IF NOT EXISTS "+noteTable+" (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL)"); err != nil {
		return err
	}
	return db.exec(ctx, "INSERT OR REPLACE INTO "+noteTable+" (id, body) VALUES (1, ?)", string(body))
}
