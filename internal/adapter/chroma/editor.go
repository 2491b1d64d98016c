package chroma

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// maxInternalID bounds embeddings.id: Chroma keeps it as an unsigned 32-bit offset.
const maxInternalID = math.MaxUint32

// editor changes the rows of an open, locked database. Metadata and documents are
// final at once; a vector goes through the queue, from which Chroma brings its HNSW
// files up to date when it next opens the directory. So the METADATA watermark
// moves with us and the VECTOR watermark stays behind (CHROMA 5.14).
type editor struct {
	db       *database
	store    string
	is       structure
	run      *statements
	seq      sequence
	lastID   int64
	anyLists bool // embedding_metadata_array may hold rows
	cols     map[lockstep.Collection]*collection
	buf      []byte
}

func newEditor(ctx context.Context, db *database, store string) (*editor, error) {
	is, err := readStructure(ctx, db)
	if err != nil {
		return nil, err
	}
	e := &editor{db: db, store: store, is: is, cols: map[lockstep.Collection]*collection{}}
	cols, err := readCollections(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, c := range cols {
		e.cols[lockstep.Collection(c.name)] = c
	}
	queued, applied, err := highest(ctx, db)
	if err != nil {
		return nil, err
	}
	e.seq = sequenceAfter(queued, applied)
	if err := db.scan(ctx, "SELECT coalesce(max(id), 0) FROM embeddings", nil, &e.lastID); err != nil {
		return nil, err
	}
	if is.arrays {
		if err := db.scan(ctx, "SELECT EXISTS (SELECT 1 FROM "+arrayTable+")", nil, &e.anyLists); err != nil {
			return nil, err
		}
	}
	e.run, err = prepare(ctx, db, is)
	return e, err
}

func (e *editor) close() { e.run.close() }

// highest returns the last queue number and the highest watermark.
func highest(ctx context.Context, db *database) (queued, applied int64, err error) {
	err = db.scan(ctx, "SELECT coalesce((SELECT max(seq_id) FROM embeddings_queue), 0), coalesce((SELECT max(seq_id) FROM max_seq_id), 0)", nil, &queued, &applied)
	return queued, applied, err
}

// apply carries out one change.
func (e *editor) apply(ctx context.Context, ch follow.Change) error {
	// The statements run to their end: a goroutine per statement that waits for a
	// cancellation costs more than the statement. The caller looks at ctx in between.
	ctx = context.WithoutCancel(ctx)
	c := e.cols[ch.Collection]
	if c == nil {
		return fmt.Errorf("%w step: record %q is of collection %q, which the step does not list", lockstep.ErrInvalid, ch.Record.ID, ch.Collection)
	}
	err := e.applyTo(ctx, c, ch)
	if err != nil {
		return fmt.Errorf("collection %s: %w", c.name, err)
	}
	return nil
}

func (e *editor) applyTo(ctx context.Context, c *collection, ch follow.Change) error {
	if ch.Delete {
		return e.remove(ctx, c, ch.Record.ID)
	}
	if err := checkRecord(ch.Record, e.is); err != nil {
		return err
	}
	if ch.New || ch.Vector != nil {
		if err := c.checkVector(ch.Record.ID, ch.Vector); err != nil {
			return err
		}
	}
	if ch.New {
		return e.add(ctx, c, ch)
	}
	return e.change(ctx, c, ch)
}

// add writes a record that must not be there yet.
func (e *editor) add(ctx context.Context, c *collection, ch follow.Change) error {
	if e.lastID >= maxInternalID {
		err := fmt.Errorf("%w: Chroma's internal ids are used up", lockstep.ErrRefused)
		return lockstep.Hint(err, "take a Full step, which numbers the records from 1")
	}
	e.lastID++
	id, seq := e.lastID, e.seq.next()
	if _, err := e.run.addRecord.ExecContext(ctx, id, c.metadataSegment, ch.Record.ID, seq); err != nil {
		if isDuplicate(err) {
			return divergedRecord(ch.Record.ID, "is there already")
		}
		return fmt.Errorf("add %q: %w", ch.Record.ID, classify(err))
	}
	c.moved = seq
	for _, f := range ch.Record.Metadata {
		if err := e.putField(ctx, id, f); err != nil {
			return fmt.Errorf("add %q: %w", ch.Record.ID, err)
		}
	}
	if ch.Record.HasDocument {
		if err := e.putDocument(ctx, id, ch.Record.Document); err != nil {
			return fmt.Errorf("add %q: %w", ch.Record.ID, err)
		}
	}
	return e.enqueue(ctx, c, seq, ch.Record.ID, ch.Vector)
}

// change rewrites what differs of a record that must be there.
func (e *editor) change(ctx context.Context, c *collection, ch follow.Change) error {
	id, err := e.find(ctx, c, ch.Record.ID)
	if err != nil {
		return err
	}
	before, err := e.load(ctx, id)
	if err != nil {
		return fmt.Errorf("read %q: %w", ch.Record.ID, err)
	}
	if err := e.rewrite(ctx, id, before, ch.Record); err != nil {
		return fmt.Errorf("change %q: %w", ch.Record.ID, err)
	}
	if ch.Vector == nil {
		return nil
	}
	seq := e.seq.next()
	if _, err := e.run.moveRecord.ExecContext(ctx, seq, id); err != nil {
		return fmt.Errorf("change %q: %w", ch.Record.ID, classify(err))
	}
	c.moved = seq
	return e.enqueue(ctx, c, seq, ch.Record.ID, ch.Vector)
}

// rewrite brings the metadata and document rows of one record up to date.
func (e *editor) rewrite(ctx context.Context, id int64, before stored, after lockstep.Record) error {
	plan := planFields(before, after.Metadata)
	for _, f := range plan.drop {
		stmt := e.run.dropField
		if f.Value.Kind() == lockstep.KindList {
			stmt = e.run.dropList
		}
		if _, err := stmt.ExecContext(ctx, id, f.Key); err != nil {
			return classify(err)
		}
	}
	for _, f := range plan.put {
		if err := e.putField(ctx, id, f); err != nil {
			return err
		}
	}
	if before.hasDocument == after.HasDocument && before.document == after.Document {
		return nil
	}
	if before.hasDocument {
		if err := e.dropDocument(ctx, id); err != nil {
			return err
		}
	}
	if after.HasDocument {
		return e.putDocument(ctx, id, after.Document)
	}
	return nil
}

// remove deletes the rows of a record that must be there and queues the deletion
// of its vector.
func (e *editor) remove(ctx context.Context, c *collection, recordID string) error {
	id, err := e.find(ctx, c, recordID)
	if err != nil {
		return err
	}
	drops := []*sql.Stmt{e.run.dropText, e.run.dropFields, e.run.dropRecord}
	if e.anyLists {
		drops = append(drops, e.run.dropLists)
	}
	for _, stmt := range drops {
		if _, err := stmt.ExecContext(ctx, id); err != nil {
			return fmt.Errorf("delete %q: %w", recordID, classify(err))
		}
	}
	seq := e.seq.next()
	c.moved = seq
	if _, err := e.run.enqueue.ExecContext(ctx, seq, opDelete, c.topic(), recordID, nil, nil, nil); err != nil {
		return fmt.Errorf("delete %q: %w", recordID, classify(err))
	}
	return nil
}

// enqueue writes the vector into the queue. The metadata is left out: it is below
// the METADATA watermark and never read from here, and a document that is deleted
// later must not survive in the queue (chroma-core/chroma#3793).
func (e *editor) enqueue(ctx context.Context, c *collection, seq int64, recordID string, v []float32) error {
	e.buf = appendVector(e.buf[:0], v)
	if _, err := e.run.enqueue.ExecContext(ctx, seq, opUpsert, c.topic(), recordID, e.buf, vectorEncoding, nil); err != nil {
		return fmt.Errorf("queue the vector of %q: %w", recordID, classify(err))
	}
	return nil
}

func (e *editor) find(ctx context.Context, c *collection, recordID string) (id int64, err error) {
	err = e.run.findRecord.QueryRowContext(ctx, c.metadataSegment, recordID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, divergedRecord(recordID, "is not there")
	}
	if err != nil {
		return 0, fmt.Errorf("find %q: %w", recordID, classify(err))
	}
	return id, nil
}

func divergedRecord(id, what string) error {
	err := fmt.Errorf("%w: record %q %s", follow.ErrDiverged, id, what)
	return lockstep.Hint(err, "a Full step puts the index back")
}

func (e *editor) putField(ctx context.Context, id int64, f lockstep.Field) error {
	if f.Value.Kind() != lockstep.KindList {
		return execCell(ctx, e.run.addField, id, f.Key, cellOf(f.Value))
	}
	e.anyLists = true
	for _, elem := range f.Value.Elems() {
		if err := execCell(ctx, e.run.addElem, id, f.Key, cellOf(elem)); err != nil {
			return err
		}
	}
	return nil
}

func (e *editor) putDocument(ctx context.Context, id int64, text string) error {
	if err := execCell(ctx, e.run.addField, id, documentKey, cellOf(lockstep.String(text))); err != nil {
		return err
	}
	if _, err := e.run.addText.ExecContext(ctx, id, text); err != nil {
		return fmt.Errorf("full text: %w", classify(err))
	}
	return nil
}

func (e *editor) dropDocument(ctx context.Context, id int64) error {
	if _, err := e.run.dropField.ExecContext(ctx, id, documentKey); err != nil {
		return classify(err)
	}
	if _, err := e.run.dropText.ExecContext(ctx, id); err != nil {
		return fmt.Errorf("full text: %w", classify(err))
	}
	return nil
}

func execCell(ctx context.Context, stmt *sql.Stmt, id int64, key string, c cell) error {
	if _, err := stmt.ExecContext(ctx, id, key, c.text, c.num, c.float, c.truth); err != nil {
		return fmt.Errorf("metadata key %q: %w", key, classify(err))
	}
	return nil
}

// load reads the metadata rows of one record.
func (e *editor) load(ctx context.Context, id int64) (stored, error) {
	s := stored{fields: map[string]lockstep.Value{}}
	err := eachCell(ctx, e.run.fields, id, func(key string, v lockstep.Value) {
		if key == documentKey {
			s.document, s.hasDocument = v.Str(), true
			return
		}
		s.fields[key] = v
	})
	if err != nil || !e.anyLists {
		return s, err
	}
	lists := map[string][]lockstep.Value{}
	err = eachCell(ctx, e.run.list, id, func(key string, v lockstep.Value) { lists[key] = append(lists[key], v) })
	for key, elems := range lists {
		s.fields[key] = lockstep.List(elems)
	}
	return s, err
}

func eachCell(ctx context.Context, stmt *sql.Stmt, id int64, see func(string, lockstep.Value)) error {
	rows, err := stmt.QueryContext(ctx, id)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = rows.Close() }() // only read from
	for rows.Next() {
		var key string
		var c cell
		if err := rows.Scan(&key, &c.text, &c.num, &c.float, &c.truth); err != nil {
			return classify(err)
		}
		if v, ok := c.value(); ok {
			see(key, v)
		}
	}
	return classify(rows.Err())
}
