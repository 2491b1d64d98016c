package chromadir

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/internal/lockstep"
)

// edit runs SQL on a directory, as an accident or an attacker would have.
func edit(tb testing.TB, dir string, statements ...string) {
	tb.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseFile))
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(tb.Context(), s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

// segment is the vector segment folder of a collection.
func segment(tb testing.TB, dir, collection string) string {
	tb.Helper()
	d := open(tb, dir)
	c, err := d.collection(collection)
	if err != nil {
		tb.Fatal(err)
	}
	return c.vector
}

func TestTornFilesAreCorruptAndNamed(t *testing.T) {
	dir := unpack(t, "hnsw-1.5.9")
	folder := segment(t, dir, "words")
	for _, file := range []string{headerFile, dataFile, lengthFile, idMapFile} {
		path := filepath.Join(dir, folder, file)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		used := len(whole)
		switch file { // slots in reserve may be missing
		case dataFile:
			used = 40 * 160
		case lengthFile:
			used = 40 * 4
		}
		for _, n := range []int{0, 1, used / 3, used - 1} {
			if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := read(t, dir, "words")
			if !errors.Is(err, lockstep.ErrCorrupt) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "offset") {
				t.Errorf("%s cut to %d of %d bytes: got %v, want ErrCorrupt that names file and offset", file, n, len(whole), err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := read(t, dir, "words"); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("without %s: got %v, want ErrCorrupt", file, err)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := read(t, dir, "words"); err != nil || len(got) != 47 {
		t.Fatalf("restored: %d records, %v", len(got), err)
	}
}

func TestATornDatabaseIsCorrupt(t *testing.T) {
	dir := unpack(t, "queue-1.5.9")
	path := filepath.Join(dir, databaseFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 20, 1000, len(whole) / 2} {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(t, dir, "words"); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("cut to %d of %d bytes: got %v, want ErrCorrupt", n, len(whole), err)
		}
	}
}

// A header states sizes; each is raised to where believing it would cost gigabytes.
func TestNoNumberOfTheHeaderIsBelieved(t *testing.T) {
	dir := unpack(t, "hnsw-1.5.9")
	path := filepath.Join(dir, segment(t, dir, "lines"), headerFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{4, 20, 28, 36, 44, 68} {
		for _, v := range []uint64{1 << 31, 1 << 40, 1<<64 - 1, 3} {
			damaged := append([]byte(nil), whole...)
			binary.LittleEndian.PutUint64(damaged[at:], v)
			if at == 20 {
				if v == 3 {
					continue // fewer elements than there are: found by the id map, below
				}
				binary.LittleEndian.PutUint64(damaged[12:], v)
			}
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := read(t, dir, "lines"); !errors.Is(err, lockstep.ErrCorrupt) {
				t.Errorf("%d at offset %d: got %v, want ErrCorrupt", v, at, err)
			}
		}
	}
	fewer := append([]byte(nil), whole...)
	fewer[20] = 3
	if err := os.WriteFile(path, fewer, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, dir, "lines"); !errors.Is(err, lockstep.ErrCorrupt) || lockstep.HintOf(err) == "" {
		t.Errorf("vectors missing: got %v, hint %q", err, lockstep.HintOf(err))
	}
}

func TestDamagedRowsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, sql string
		want      error
	}{
		{"unknown operation", `UPDATE embeddings_queue SET operation = 9 WHERE seq_id = 3`, lockstep.ErrInvalid},
		{"int32 vectors", `UPDATE embeddings_queue SET encoding = 'INT32' WHERE seq_id = 1`, lockstep.ErrInvalid},
		{"half a float", `UPDATE embeddings_queue SET vector = x'000000' WHERE seq_id = 1`, lockstep.ErrCorrupt},
		{"other dimension", `UPDATE embeddings_queue SET vector = x'00000000' WHERE seq_id = 1`, lockstep.ErrCorrupt},
		{"not a number", `UPDATE embeddings_queue SET vector = x'0000c07f0000c07f0000c07f0000c07f' WHERE seq_id = 1`, lockstep.ErrCorrupt},
		{"watermark of a migration that ran twice", `UPDATE max_seq_id SET seq_id = 1229822654365841720`, lockstep.ErrCorrupt},
		{"watermark of Pulsar", `UPDATE max_seq_id SET seq_id = zeroblob(24)`, lockstep.ErrCorrupt},
		{"segment that leaves the directory", `UPDATE segments SET id = '../../../../../../etc' WHERE scope = 'VECTOR' AND collection = (SELECT id FROM collections WHERE name = 'words')`, lockstep.ErrCorrupt},
		{"unknown segment", `UPDATE segments SET type = 'urn:chroma:segment/vector/spann'`, lockstep.ErrInvalid},
		{"unknown space", `UPDATE collections SET schema_str = '', config_json_str = '{"vector_index":{"hnsw":{"space":"hamming"}}}'`, lockstep.ErrInvalid},
		{"no configuration", `UPDATE collections SET schema_str = '{'`, lockstep.ErrCorrupt},
		{"no such table", `DROP TABLE max_seq_id`, lockstep.ErrInvalid},
		{"text where a number belongs", `UPDATE embedding_metadata SET string_value = NULL, int_value = 'x' WHERE key = 'whole'`, lockstep.ErrCorrupt},
		{"the vector is gone", `UPDATE embeddings_queue SET topic = 'x' WHERE seq_id = 1`, lockstep.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := unpack(t, "queue-1.5.9")
			edit(t, dir, tt.sql)
			if _, err := read(t, dir, "words"); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// Chroma panics on a null document and refuses every write from then on (CHROMA 5.7).
func TestThePoisonRowIsNamedWithItsRepair(t *testing.T) {
	dir := unpack(t, "stalled-1.5.9")
	edit(t, dir, `UPDATE embeddings_queue SET metadata = '{"chroma:document":null}' WHERE id = 'REC#0002' AND operation = 1`)
	_, err := read(t, dir, "words")
	if !errors.Is(err, lockstep.ErrCorrupt) || !strings.Contains(err.Error(), "embeddings_queue row") || lockstep.HintOf(err) == "" {
		t.Errorf("got %v, hint %q", err, lockstep.HintOf(err))
	}
}

func TestBookkeepingOfAttachedFunctionsIsNoRecord(t *testing.T) {
	dir := unpack(t, "queue-1.5.9")
	edit(t, dir, `INSERT INTO embeddings_queue (operation, topic, id) SELECT 4, topic, 'fn' FROM embeddings_queue WHERE seq_id = 1`)
	if got, err := read(t, dir, "words"); err != nil || len(got) != 32 {
		t.Errorf("%d records, %v; want 32", len(got), err)
	}
}

// The last writer died within a transaction: the file holds half of it.
func TestAHotJournalIsRolledBackInACopy(t *testing.T) {
	dir := unpack(t, "queue-1.5.9")
	want, err := read(t, dir, "words")
	if err != nil {
		t.Fatal(err)
	}
	died := filepath.Join(t.TempDir(), "died")
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range []string{
		`PRAGMA cache_size = 1`, `BEGIN`, `UPDATE embedding_metadata SET string_value = hex(randomblob(3000)) WHERE string_value IS NOT NULL`,
		`DELETE FROM embeddings_queue WHERE seq_id < 20`,
	} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(died, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	before := contents(t, died)
	if before[filepath.Join(died, databaseFile)] == contents(t, dir)[filepath.Join(dir, databaseFile)] {
		t.Fatal("the transaction never reached the file: this test proves nothing")
	}
	d := open(t, died)
	got, err := collect(t, d, "words")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || got[0].Document != want[0].Document {
		t.Errorf("read %d records, first %+v; want %d, first %+v", len(got), got[0], len(want), want[0])
	}
	private := d.private
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(private); private == "" || !os.IsNotExist(err) {
		t.Errorf("the private copy %q is left behind: %v", private, err)
	}
	if after := contents(t, died); len(after) != len(before) {
		t.Errorf("reading changed the directory: %d files, before %d", len(after), len(before))
	}
}

func TestAWriterMeanwhileIsNoticed(t *testing.T) {
	dir := unpack(t, "queue-1.5.9")
	d := open(t, dir)
	edit(t, dir, `UPDATE embeddings SET embedding_id = 'x' WHERE embedding_id = 'REC#0000'`)
	if _, err := collect(t, d, "words"); !errors.Is(err, lockstep.ErrConflict) || lockstep.HintOf(err) == "" {
		t.Errorf("got %v, want ErrConflict with a hint", err)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	if _, err := Open(t.Context(), t.TempDir()); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := read(t, unpack(t, "queue-1.5.9"), "lines"); !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(err.Error(), "words") {
		t.Errorf("no collection: %v, want ErrNotFound that names what there is", err)
	}
}

func TestANameThatTwoDatabasesUseIsRefused(t *testing.T) {
	dir := unpack(t, "queue-1.5.9")
	edit(t, dir,
		`INSERT INTO collections (id, name, dimension, database_id, config_json_str) VALUES ('c2', 'words', 4, 'other', '{}')`,
		`INSERT INTO segments (id, type, scope, collection) SELECT '11111111' || substr(id, 9), type, scope, 'c2' FROM segments
			WHERE collection = (SELECT id FROM collections WHERE name = 'words' AND id <> 'c2')`)
	if _, err := read(t, dir, "words"); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestASymlinkedDatabaseIsRefused(t *testing.T) {
	target := filepath.Join(unpack(t, "queue-1.5.9"), databaseFile)
	dir := t.TempDir()
	if err := os.Symlink(target, filepath.Join(dir, databaseFile)); err != nil {
		t.Skip(err)
	}
	if _, err := Open(t.Context(), dir); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestCancelledContextsAreHonoured(t *testing.T) {
	dir := unpack(t, "queue-1.5.9")
	d := open(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
	for _, err := range d.Records(ctx, "words") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Records: %v", err)
		}
	}
}

func TestReadingMayStopEarly(t *testing.T) {
	d := open(t, unpack(t, "hnsw-1.5.9"))
	for range 2 {
		n := 0
		for _, err := range d.Records(t.Context(), "inner") {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 3 {
				break
			}
		}
	}
	if got, err := collect(t, d, "inner"); err != nil || len(got) != 47 {
		t.Errorf("afterwards: %d records, %v", len(got), err)
	}
}

func TestMigrationsTellWhichChromaItIs(t *testing.T) {
	for name, want := range map[string]string{"hnsw-0.5.5": "00003", "hnsw-0.6.3": "00004", "hnsw-1.0.0": "00005", "hnsw-1.5.9": "00006"} {
		last := Migration{}
		for _, m := range open(t, unpack(t, name)).Migrations() {
			if m.Dir == "metadb" {
				last = m
			}
		}
		if !strings.HasPrefix(last.Filename, want) || len(last.Hash) != 32 || last.SQL == "" {
			t.Errorf("%s: last metadb migration is %+v, want %s", name, last, want)
		}
	}
}
