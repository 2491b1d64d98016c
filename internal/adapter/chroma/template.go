package chroma

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"lockstep/internal/durable"
	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// Template says where a full build takes an empty Chroma directory from. Chroma
// compares its migration texts byte for byte at open, so an empty directory must
// come from the Chroma that will open it. What was found is kept under
// root/template; remove that folder after a change here or an upgrade of Chroma.
type Template struct {
	// Dir is a directory that Chroma initialised. It must hold a collection of each
	// space that will be needed; records in it are left out. It is only read.
	Dir string
	// Command runs Chroma: the server's command line without "run" ("chroma"), or a
	// Python interpreter that can import chromadb. Dir comes first when both are set.
	Command []string
}

// formsName is the file beside a template's database; it is written last, so that
// its presence says that the template is complete.
const formsName = "lockstep.forms.json"

// emptyDirectory is an empty Chroma directory with the forms of its collections.
type emptyDirectory struct {
	dir   string
	forms forms
}

// template returns the template kept under root, making it first if needed: from
// the options, or else from the directory that is published. The caller holds the lock.
func (d *Directory) template(ctx context.Context) (emptyDirectory, error) {
	dir := filepath.Join(d.root, templateName)
	t, err := readTemplate(ctx, dir)
	if err == nil || !errors.Is(err, lockstep.ErrNotFound) {
		return t, err
	}
	from := d.opts.Template.Dir
	if from == "" && len(d.opts.Template.Command) == 0 {
		if from, err = d.current(); err != nil {
			return emptyDirectory{}, err
		}
	}
	switch {
	case from != "":
		err = adoptTemplate(ctx, from, dir)
	case len(d.opts.Template.Command) > 0:
		err = MakeTemplate(ctx, d.opts.Template.Command, dir)
	default:
		err = fmt.Errorf("%w: no Chroma is named to make the first directory with", lockstep.ErrRefused)
		err = lockstep.Hint(err, adviceInstall)
	}
	if err != nil {
		return emptyDirectory{}, fmt.Errorf("make template: %w", err)
	}
	return readTemplate(ctx, dir)
}

// readTemplate returns ErrNotFound when dir holds no complete template.
func readTemplate(ctx context.Context, dir string) (emptyDirectory, error) {
	f, err := os.Open(filepath.Join(dir, formsName))
	if errors.Is(err, os.ErrNotExist) {
		return emptyDirectory{}, fmt.Errorf("template %s: %w", dir, lockstep.ErrNotFound)
	}
	if err != nil {
		return emptyDirectory{}, fmt.Errorf("template %s: %w", dir, err)
	}
	defer func() { _ = f.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(f, maxFormsBytes+1))
	if err != nil {
		return emptyDirectory{}, fmt.Errorf("template %s: %w", dir, err)
	}
	parsed, err := parseForms(body)
	if err != nil {
		err = fmt.Errorf("template %s: %w", dir, err)
		return emptyDirectory{}, lockstep.Hint(err, "remove the folder; the next full build makes it again")
	}
	db, err := openDatabase(ctx, dir)
	if err != nil {
		return emptyDirectory{}, fmt.Errorf("template: %w", err)
	}
	defer db.close()
	if _, err := readStructure(ctx, db); err != nil {
		return emptyDirectory{}, fmt.Errorf("template: %w", err)
	}
	return emptyDirectory{dir: dir, forms: parsed}, nil
}

// adoptTemplate makes a template of a copy of the Chroma directory from.
func adoptTemplate(ctx context.Context, from, into string) error {
	if err := refuseHolders(from); err != nil {
		return err
	}
	if err := emptyFolder(into); err != nil {
		return err
	}
	db, err := openDatabase(ctx, from)
	if err != nil {
		return err
	}
	defer db.close()
	if err := db.lock(ctx); err != nil {
		return err
	}
	if err := copyDirectory(ctx, from, into, nil); err != nil {
		return err
	}
	return finishTemplate(ctx, into)
}

// finishTemplate turns the Chroma directory at dir into a template: it learns the
// forms of the collections there, empties every table that holds content, and
// writes the forms beside.
func finishTemplate(ctx context.Context, dir string) error {
	db, err := openDatabase(ctx, dir)
	if err != nil {
		return err
	}
	learned, err := learnAndClear(ctx, db)
	if err != nil {
		db.close()
		return err
	}
	if err := db.finish(); err != nil {
		return fmt.Errorf("close %s: %w", db.path(), err)
	}
	if err := checkRollbackJournal(db.path()); err != nil {
		return err
	}
	if err := durable.SyncTree(dir); err != nil {
		return err
	}
	body, err := encodeForms(learned)
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(dir, formsName), body); err != nil {
		return fmt.Errorf("write the forms of the template: %w", err)
	}
	return nil
}

// contentTables hold what a template must not have; the system tables (migrations,
// tenants, databases) stay as Chroma wrote them.
var contentTables = []string{
	fullTextTable, "embedding_metadata", "embeddings", "embeddings_queue", "max_seq_id",
	"segment_metadata", "segments", "collection_metadata", "collections",
}

func learnAndClear(ctx context.Context, db *database) (forms, error) {
	is, err := readStructure(ctx, db)
	if err != nil {
		return forms{}, err
	}
	learned, err := learnForms(ctx, db)
	if err != nil {
		return forms{}, err
	}
	if len(learned.Spaces) == 0 {
		err := fmt.Errorf("%w: %s has no collection to learn from", lockstep.ErrRefused, db.dir)
		return forms{}, lockstep.Hint(err, "create one empty collection there for each space (l2, cosine, ip) that is needed")
	}
	if err := db.lock(ctx); err != nil {
		return forms{}, err
	}
	tables := contentTables
	if is.arrays {
		tables = append([]string{arrayTable}, tables...)
	}
	for _, t := range tables {
		if err := db.exec(ctx, "DELETE FROM "+t); err != nil {
			return forms{}, err
		}
	}
	if err := db.exec(ctx, "DROP TABLE IF EXISTS "+noteTable); err != nil {
		return forms{}, err
	}
	if err := ensurePurge(ctx, db); err != nil {
		return forms{}, err
	}
	if err := db.commit(ctx); err != nil {
		return forms{}, err
	}
	if err := db.exec(ctx, "VACUUM"); err != nil {
		return forms{}, err
	}
	return learned, db.checkWhole(ctx, "integrity_check")
}

// ensurePurge lets Chroma purge the queue. It decides so by itself only when it
// opens a directory whose queue is empty; one that we filled would grow for ever
// (CHROMA 5.5).
func ensurePurge(ctx context.Context, db *database) error {
	const config = `{"automatically_purge":true,"_type":"EmbeddingsQueueConfigurationInternal"}`
	if err := db.exec(ctx, "DELETE FROM embeddings_queue_config"); err != nil {
		return err
	}
	return db.exec(ctx, "INSERT INTO embeddings_queue_config (config_json_str) VALUES (?)", config)
}

// emptyFolder makes an empty folder of a path, removing what an interrupted attempt
// left. It refuses to remove what does not look like one.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	for _, e := range entries {
		name := e.Name()
		ours := durable.IsTemp(name) || name == databaseName || name == databaseName+"-journal" || name == attemptName || isUUID(name)
		if !ours {
			err := fmt.Errorf("%w: %s holds %s, which no template has", lockstep.ErrRefused, dir, name)
			return lockstep.Hint(err, "name an empty folder, or remove this one")
		}
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("empty %s: %w", dir, err)
		}
	}
	if err := durable.MkdirAll(dir); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	return nil
}

// formsFor returns the forms a step needs for collections that the database of dir
// does not have: as seen in that database, else from the template.
func (d *Directory) formsFor(ctx context.Context, dir string, step follow.Step) (forms, error) {
	db, err := openDatabase(ctx, dir)
	if err != nil {
		return forms{}, err
	}
	defer db.close()
	cols, err := readCollections(ctx, db)
	if err != nil {
		return forms{}, err
	}
	have := map[string]bool{}
	for _, c := range cols {
		have[c.name] = true
	}
	learned, err := learnForms(ctx, db)
	if err != nil {
		return forms{}, err
	}
	for _, s := range step.Collections {
		if _, ok := learned.Spaces[spaceOf(s)]; !ok && !have[string(s.Name)] {
			t, err := d.template(ctx)
			return t.forms, err
		}
	}
	return learned, nil
}
