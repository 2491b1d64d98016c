// Package chromadir answers what a ChromaDB persist directory holds, without
// Chroma: a parser of its format (CHROMA 5.1 to 5.11) from 0.4 to 1.5.
//
// It never writes to the directory and never joins in as a client: no lock is
// taken, no migration runs, no queue is purged, all of which Chroma does as soon as
// it opens a directory. The directory must be at rest. When it changes while it is
// read, Records ends with an error instead of mixing two states.
//
// A record is what Chroma's own get would answer: the rows of the metadata segment
// and the vectors of the HNSW files, each brought forward by the queue entries that
// the segment has not seen. Vectors that no row of the metadata segment knows are
// no records. Nothing in the directory is trusted: no length is believed before it
// is held against the file, and the id map, a Python pickle, is read by a reader
// that cannot execute anything.
package chromadir

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lockstep/internal/lockstep"
)

const databaseFile = "chroma.sqlite3"

// Dir is an open directory. It may be used by one goroutine at a time.
type Dir struct {
	root        *os.Root
	db          *sql.DB
	private     string // folder of a private copy, "" when the file is read in place
	path        string
	opened      stamp
	tables      tables
	collections []Collection
	migrations  []Migration
}

// Collection is one collection of a directory.
type Collection struct {
	ID        string // UUID
	Name      string // unique within a database
	Database  string // UUID; "" before 0.4.15, which had no databases
	Space     string // "l2", "cosine" or "ip"
	Dimension int    // 0: no vector was ever added
	vector    string // segment UUIDs
	metadata  string
}

// Migration is one row of the directory's own list of schema migrations. Together
// they say which Chroma can open it (CHROMA 5.2): compare them, do not guess.
type Migration struct {
	Dir      string // "sysdb", "metadb" or "embeddings_queue"
	Filename string
	Hash     string // by Chroma's configuration, MD5 in hex by default
	SQL      string
	Version  int
}

// Open opens the persist directory dir for reading.
//
// ErrNotFound: there is no chroma.sqlite3. ErrCorrupt: it is no SQLite file, or a
// torn one. ErrInvalid: it is SQLite, but lacks Chroma's tables. The caller closes
// the Dir.
func Open(ctx context.Context, dir string) (*Dir, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := &Dir{path: dir}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open Chroma directory %s: %w", dir, err), d.Close())
	}
	return d, nil
}

func (d *Dir) open(ctx context.Context) error {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return fileError(err)
	}
	d.root = root
	if d.opened, err = d.stamp(); err != nil {
		return err
	}
	if d.db, d.private, err = openDatabase(d.root, filepath.Join(d.path, databaseFile)); err != nil {
		return err
	}
	if d.tables, err = readTables(ctx, d.db); err != nil {
		return err
	}
	if d.migrations, err = readMigrations(ctx, d.db); err != nil {
		return err
	}
	if d.collections, err = readCollections(ctx, d.db, d.tables); err != nil {
		return err
	}
	return d.unchanged()
}

// Close releases the files and removes the private copy, if there is one.
func (d *Dir) Close() error {
	var errs []error
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.private != "" {
		errs = append(errs, os.RemoveAll(d.private))
	}
	if d.root != nil {
		errs = append(errs, d.root.Close())
	}
	return errors.Join(errs...)
}

// Collections returns the collections, sorted by name.
func (d *Dir) Collections() []Collection { return d.collections }

// Migrations returns the applied migrations, sorted by folder and version.
func (d *Dir) Migrations() []Migration { return d.migrations }

// collection finds a collection by its name.
func (d *Dir) collection(name string) (Collection, error) {
	var found []Collection
	names := make([]string, 0, len(d.collections))
	for _, c := range d.collections {
		if names = append(names, c.Name); c.Name == name {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return Collection{}, fmt.Errorf("collection %q: %w; the directory holds %.10q", name, lockstep.ErrNotFound, names)
	case 1:
		return found[0], nil
	}
	return Collection{}, fmt.Errorf("collection %q: %w: %d databases of the directory have one of this name", name, lockstep.ErrInvalid, len(found))
}

// fileError gives a failed open its class.
func fileError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", lockstep.ErrNotFound, err)
	}
	return err
}
