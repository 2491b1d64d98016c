package chroma

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"lockstep/internal/lockstep"
)

// databaseName is the file every local Chroma keeps its rows in (CHROMA 5.1).
const databaseName = "chroma.sqlite3"

// SQLite result codes, https://www.sqlite.org/rescode.html.
const (
	codeBusy             = 5
	codeLocked           = 6
	codeNotADatabase     = 26
	codeCorrupt          = 11
	codeConstraintUnique = 2067
)

// database is one open chroma.sqlite3 on one connection.
type database struct {
	dir  string // the Chroma directory it belongs to
	pool *sql.DB
	conn *sql.Conn
}

// openDatabase opens the database of a Chroma directory. A journal that a killed
// process left is rolled back, as any opener would. ErrNotFound when there is none.
func openDatabase(ctx context.Context, dir string) (*database, error) {
	path := filepath.Join(dir, databaseName)
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("open %s: %w: no %s there", dir, lockstep.ErrNotFound, databaseName)
		}
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: "mode=rw&_pragma=busy_timeout(3000)"}
	pool, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, classify(err)), pool.Close())
	}
	return &database{dir: dir, pool: pool, conn: conn}, nil
}

// close gives the connection back; an open transaction is rolled back.
func (db *database) close() {
	// Nothing is lost by an error here: what counts was committed before.
	_ = db.conn.Close()
	_ = db.pool.Close()
}

// finish closes the database and reports what closing found.
func (db *database) finish() error {
	return errors.Join(db.conn.Close(), db.pool.Close())
}

func (db *database) exec(ctx context.Context, query string, args ...any) error {
	if _, err := db.conn.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("%s: %w", db.path(), classify(err))
	}
	return nil
}

// scan reads the single row of a query. sql.ErrNoRows stays visible.
func (db *database) scan(ctx context.Context, query string, args []any, into ...any) error {
	if err := db.conn.QueryRowContext(ctx, query, args...).Scan(into...); err != nil {
		return fmt.Errorf("%s: %w", db.path(), classify(err))
	}
	return nil
}

// each calls row for every row of a query.
func (db *database) each(ctx context.Context, row func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := db.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", db.path(), classify(err))
	}
	defer func() { _ = rows.Close() }() // only read from
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return fmt.Errorf("%s: %w", db.path(), err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", db.path(), classify(err))
	}
	return nil
}

func (db *database) path() string { return filepath.Join(db.dir, databaseName) }

// lock begins a transaction that excludes every other connection. ErrRefused,
// saying whom, when another process holds the database.
func (db *database) lock(ctx context.Context) error {
	err := db.exec(ctx, "BEGIN EXCLUSIVE")
	if !errors.Is(err, lockstep.ErrUnavailable) {
		return err
	}
	return heldError(db.dir, holdersOf(db.dir))
}

func (db *database) commit(ctx context.Context) error { return db.exec(ctx, "COMMIT") }

// rollback undoes what the transaction did. Its own failure adds nothing to the
// error that led here: closing the connection rolls back as well.
func (db *database) rollback(ctx context.Context) { _, _ = db.conn.ExecContext(ctx, "ROLLBACK") }

// checkWhole runs SQLite's own check, "quick_check" or "integrity_check", and
// returns ErrCorrupt with its first complaint.
func (db *database) checkWhole(ctx context.Context, pragma string) error {
	var answer string
	if err := db.scan(ctx, "PRAGMA "+pragma+"(1)", nil, &answer); err != nil {
		return err
	}
	if answer != "ok" {
		return fmt.Errorf("%s of %s: %w: %s", pragma, db.path(), lockstep.ErrCorrupt, answer)
	}
	return nil
}

// classify gives SQLite's errors one of our classes where one fits.
func classify(err error) error {
	se, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch se.Code() & 0xff {
	case codeBusy, codeLocked:
		return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	case codeCorrupt, codeNotADatabase:
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	return err
}

// isDuplicate says whether err is a broken UNIQUE constraint.
func isDuplicate(err error) bool {
	se, ok := errors.AsType[*sqlite.Error](err)
	return ok && se.Code() == codeConstraintUnique
}

// checkRollbackJournal returns ErrCorrupt unless the file is one that Chroma opens
// without a write-ahead log: bytes 18 and 19 are 1 (CHROMA 5.1).
func checkRollbackJournal(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	defer func() { _ = f.Close() }() // only read from
	var header [20]byte
	if _, err := f.ReadAt(header[:], 0); err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	if header[18] != 1 || header[19] != 1 {
		return fmt.Errorf("check %s: %w: journal bytes %d,%d, want 1,1", path, lockstep.ErrCorrupt, header[18], header[19])
	}
	return nil
}
