package chroma

import (
	"context"
	"database/sql"
	"fmt"
)

// statements are what a step runs once per record or field, prepared once.
type statements struct {
	findRecord, addRecord, moveRecord, dropRecord *sql.Stmt
	fields, addField, dropField, dropFields       *sql.Stmt
	list, addElem, dropList, dropLists            *sql.Stmt // nil without embedding_metadata_array
	addText, dropText                             *sql.Stmt
	enqueue                                       *sql.Stmt
	all                                           []*sql.Stmt
}

func prepare(ctx context.Context, db *database, s structure) (*statements, error) {
	st := &statements{}
	type entry struct {
		into  **sql.Stmt
		query string
	}
	entries := []entry{
		{&st.findRecord, "SELECT id FROM embeddings WHERE segment_id = ? AND embedding_id = ?"},
		{&st.addRecord, "INSERT INTO embeddings (id, segment_id, embedding_id, seq_id) VALUES (?, ?, ?, ?)"},
		{&st.moveRecord, "UPDATE embeddings SET seq_id = ? WHERE id = ?"},
		{&st.dropRecord, "DELETE FROM embeddings WHERE id = ?"},
		{&st.fields, "SELECT key, string_value, int_value, float_value, bool_value FROM embedding_metadata WHERE id = ?"},
		{&st.addField, "INSERT INTO embedding_metadata (id, key, string_value, int_value, float_value, bool_value) VALUES (?, ?, ?, ?, ?, ?)"},
		{&st.dropField, "DELETE FROM embedding_metadata WHERE id = ? AND key = ?"},
		{&st.dropFields, "DELETE FROM embedding_metadata WHERE id = ?"},
		{&st.addText, "INSERT INTO " + fullTextTable + " (rowid, string_value) VALUES (?, ?)"},
		{&st.dropText, "DELETE FROM " + fullTextTable + " WHERE rowid = ?"},
		{&st.enqueue, "INSERT INTO embeddings_queue (seq_id, operation, topic, id, vector, encoding, metadata) VALUES (?, ?, ?, ?, ?, ?, ?)"},
	}
	if s.arrays {
		entries = append(entries,
			entry{&st.list, "SELECT key, string_value, int_value, float_value, bool_value FROM " + arrayTable + " WHERE id = ? ORDER BY rowid"},
			entry{&st.addElem, "INSERT INTO " + arrayTable + " (id, key, string_value, int_value, float_value, bool_value) VALUES (?, ?, ?, ?, ?, ?)"},
			entry{&st.dropList, "DELETE FROM " + arrayTable + " WHERE id = ? AND key = ?"},
			entry{&st.dropLists, "DELETE FROM " + arrayTable + " WHERE id = ?"},
		)
	}
	for _, e := range entries {
		stmt, err := db.conn.PrepareContext(ctx, e.query) //nolint:sqlclosecheck // statements.close closes all of them
		if err != nil {
			st.close()
			return nil, fmt.Errorf("%s: prepare: %w", db.path(), classify(err))
		}
		*e.into = stmt
		st.all = append(st.all, stmt)
	}
	return st, nil
}

func (st *statements) close() {
	for _, s := range st.all {
		_ = s.Close() // the connection is about to be closed anyway
	}
}
