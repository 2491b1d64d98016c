package chromadir

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"lockstep/internal/lockstep"
)

// openDatabase opens Chroma's SQLite file for reading, and returns the folder of a
// private copy when it needed one.
//
// The file is opened immutable: SQLite then takes no lock and creates no file, so
// reading leaves no trace. Immutable also ignores journals. When one is there, the
// last writer died within a transaction (Chroma uses a rollback journal, CHROMA
// 5.1) and the file itself is a half-written state: only the journal makes it
// whole, and rolling it back writes. So file and journal are then copied to a
// private folder, where SQLite recovers the copy.
func openDatabase(root *os.Root, path string) (*sql.DB, string, error) {
	journals, err := hotJournals(root)
	if err != nil {
		return nil, "", err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, "", err
	}
	query := "mode=ro&immutable=1"
	private := ""
	if len(journals) > 0 {
		if private, err = copyDatabase(root, append(journals, databaseFile)); err != nil {
			return nil, private, err
		}
		abs, query = filepath.Join(private, databaseFile), "mode=rw"
	}
	// A stranger's schema may call functions of ours; trusted_schema forbids it.
	query += "&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)&_pragma=temp_store(2)"
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: query}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, private, sqlError(err)
	}
	db.SetMaxOpenConns(1)
	return db, private, nil
}

func hotJournals(root *os.Root) ([]string, error) {
	var hot []string
	for _, suffix := range []string{"-journal", "-wal"} {
		info, err := root.Lstat(databaseFile + suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info.Size() > 0:
			hot = append(hot, databaseFile+suffix)
		}
	}
	return hot, nil
}

func copyDatabase(root *os.Root, names []string) (string, error) {
	private, err := os.MkdirTemp("", "chromadir-")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if err := copyFile(root, name, filepath.Join(private, name)); err != nil {
			return private, fmt.Errorf("copy %s: %w", name, err)
		}
	}
	return private, nil
}

func copyFile(root *os.Root, name, to string) error {
	in, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// stamp tells two states of the SQLite file apart: its size and the change counter
// that every transaction raises (sqlite.org/fileformat2.html, offset 24).
type stamp struct {
	size    int64
	counter uint32
}

func (d *Dir) stamp() (stamp, error) {
	info, err := d.root.Lstat(databaseFile)
	if err != nil {
		return stamp{}, fileError(err)
	}
	if !info.Mode().IsRegular() {
		return stamp{}, fmt.Errorf("%w: %s is no regular file", lockstep.ErrInvalid, databaseFile)
	}
	f, err := d.root.Open(databaseFile)
	if err != nil {
		return stamp{}, fileError(err)
	}
	defer func() { _ = f.Close() }()
	var head [28]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return stamp{}, fmt.Errorf("%s: %w at offset 0: %d bytes are no SQLite file", databaseFile, lockstep.ErrCorrupt, info.Size())
	}
	return stamp{info.Size(), binary.BigEndian.Uint32(head[24:])}, nil
}

// unchanged returns ErrConflict when somebody wrote since Open.
func (d *Dir) unchanged() error {
	now, err := d.stamp()
	if err != nil {
		return err
	}
	if now != d.opened {
		return lockstep.Hint(fmt.Errorf("%s: %w: it changed while it was read", databaseFile, lockstep.ErrConflict),
			"stop the Chroma process that uses this directory, or read a copy")
	}
	return nil
}

// SQLite result codes (sqlite.org/rescode.html); the low byte is the class.
const (
	codeError     = 1
	codeCorrupt   = 11
	codeNotADB    = 26
	codeShortRead = 522
)

// sqlError gives an error of SQLite its class.
func sqlError(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch {
	case e.Code()&0xff == codeCorrupt, e.Code()&0xff == codeNotADB, e.Code() == codeShortRead:
		return fmt.Errorf("%s: %w: %w", databaseFile, lockstep.ErrCorrupt, err)
	case e.Code() == codeError:
		return fmt.Errorf("%s: %w: %w", databaseFile, lockstep.ErrInvalid, err)
	}
	return fmt.Errorf("%s: %w", databaseFile, err)
}

// each runs a query and calls scan for every row. ctx ends it.
func each(ctx context.Context, db *sql.DB, query string, args []any, scan func(*sql.Rows) error) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return sqlError(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return sqlError(rows.Err())
}
