package chroma

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"lockstep/internal/durable"
	"lockstep/internal/follow"
)

// unfinishedName marks a build that was not published, so that the next step can
// tell it from a directory that once was.
const unfinishedName = "lockstep.building"

// build is a directory on its way to being published.
type build struct {
	dir       string
	name      string
	published bool
}

// newBuild makes the empty directory root/v<version>-<build number>.
func (d *Directory) newBuild(version uint64) (*build, error) {
	all, err := d.builds()
	if err != nil {
		return nil, err
	}
	name := buildName(version, nextBuildNumber(all))
	b := &build{dir: filepath.Join(d.root, name), name: name}
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make build directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(b.dir, unfinishedName), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		b.discard()
		return nil, fmt.Errorf("mark build directory: %w", err)
	}
	return b, f.Close()
}

// discard removes a build that was not published.
func (b *build) discard() {
	if b.published {
		return
	}
	// What cannot be removed now carries the mark and is removed by the next step.
	_ = os.RemoveAll(b.dir)
}

// write takes step on the build's copy and checks the result. The file needs no
// journal: a crash leaves a marked directory that nobody opens.
func (b *build) write(ctx context.Context, step follow.Step, f forms) error {
	db, err := openDatabase(ctx, b.dir)
	if err != nil {
		return err
	}
	if err := writeTo(ctx, db, step, f); err != nil {
		db.close()
		return err
	}
	if err := db.finish(); err != nil {
		return fmt.Errorf("close %s: %w", db.path(), err)
	}
	return checkRollbackJournal(db.path())
}

func writeTo(ctx context.Context, db *database, step follow.Step, f forms) error {
	for _, p := range []string{
		"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF",
		"PRAGMA locking_mode = EXCLUSIVE", "PRAGMA temp_store = MEMORY", "PRAGMA cache_size = -65536",
	} {
		if err := db.exec(ctx, p); err != nil {
			return err
		}
	}
	if err := db.lock(ctx); err != nil {
		return err
	}
	if err := takeStep(ctx, db, step, f); err != nil {
		return err
	}
	check := "quick_check"
	if step.Full {
		check = "integrity_check"
	}
	return db.checkWhole(ctx, check)
}

// publish makes a checked build durable, switches the name and removes what is no
// longer kept.
func (d *Directory) publish(b *build) error {
	before, err := d.current()
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(b.dir, unfinishedName)); err != nil {
		return fmt.Errorf("finish build: %w", err)
	}
	if err := durable.SyncTree(b.dir); err != nil {
		return err
	}
	// From here on the outcome may be unknown: the directory must stay.
	b.published = true
	if err := durable.SwitchLink(filepath.Join(d.root, currentName), b.name); err != nil {
		return fmt.Errorf("publish %s: %w", b.name, err)
	}
	d.prune(b.name, filepath.Base(before))
	return nil
}
