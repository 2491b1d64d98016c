// Package embedding imports the vectors that an embedding pipeline left in an
// object store, in the forms of docs/format/import.md: Parquet, NDJSON, and the
// legacy delta, a Chroma directory as a tar.gz or as single objects.
//
// An import is all or nothing: what is returned was read to its end and checked,
// record by record. Every Import works in a private folder that it removes, because
// the old pipeline shared one: runs of one batch overwrote each other's files and
// merged the wrong vectors (DOMAIN 4.7). Every input has limits, and they count the
// bytes that arrive, never a length that is stated.
package embedding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Objects is the bucket that imports are read from.
type Objects interface {
	// Open opens one object and says its size in bytes. lockstep.ErrNotFound when
	// there is none. The caller closes the reader.
	Open(ctx context.Context, key string) (io.ReadCloser, int64, error)
	// List returns the keys that begin with prefix, in no promised order.
	List(ctx context.Context, prefix string) ([]string, error)
}

// Options are the limits and the place of an Importer; zero fields mean the default.
type Options struct {
	// Bucket is the name that s3:// locations must give; "" accepts every name.
	Bucket string
	// TempDir holds the private folders; "" is the system's.
	TempDir string
	// MaxObjectBytes bounds one object as stored: 1 GiB.
	MaxObjectBytes int64
	// MaxTotalBytes bounds what an archive unpacks to, or a directory's objects
	// together: 4 GiB.
	MaxTotalBytes int64
	// MaxMemberBytes bounds one member of an archive: 2 GiB.
	MaxMemberBytes int64
	// MaxMembers bounds the members of an archive and the objects of a directory: 1,000.
	MaxMembers int
	// MaxPathBytes bounds a member's path: 256.
	MaxPathBytes int
	// MaxLineBytes bounds a line of NDJSON: 16 MiB.
	MaxLineBytes int
	// MaxEmbeddings bounds the embeddings of one import: 1,000,000.
	MaxEmbeddings int
}

func (o Options) withDefaults() Options {
	o.MaxObjectBytes = cmp.Or(o.MaxObjectBytes, 1<<30)
	o.MaxTotalBytes = cmp.Or(o.MaxTotalBytes, 4<<30)
	o.MaxMemberBytes = cmp.Or(o.MaxMemberBytes, 2<<30)
	o.MaxMembers = cmp.Or(o.MaxMembers, 1000)
	o.MaxPathBytes = cmp.Or(o.MaxPathBytes, 256)
	o.MaxLineBytes = cmp.Or(o.MaxLineBytes, 16<<20)
	o.MaxEmbeddings = cmp.Or(o.MaxEmbeddings, 1_000_000)
	return o
}

// Importer imports embeddings. It may be used by many goroutines at once.
type Importer struct {
	objects Objects
	opts    Options
}

// New returns an Importer that reads from objects.
func New(objects Objects, opts Options) *Importer {
	return &Importer{objects: objects, opts: opts.withDefaults()}
}

// Import reads what ref names; docs/format/import.md says how a location is
// resolved. The embeddings are sorted by id, all of one dimension, each checked.
//
// ErrNotFound: nothing is there; the error names everything that was tried, and for
// a Chroma directory also a collection that it lacks. ErrInvalid: what is there
// breaks its format or a limit, repeats an id, or holds no embeddings. ErrCorrupt:
// it is torn. ErrRefused: another bucket. Errors of Objects keep their class. An
// error leaves nothing behind.
func (im *Importer) Import(ctx context.Context, ref handler.ImportRef) (handler.Import, error) {
	if err := ctx.Err(); err != nil {
		return handler.Import{}, err
	}
	found, err := im.find(ctx, ref)
	if err == nil {
		err = finish(found)
	}
	if err != nil {
		return handler.Import{}, fmt.Errorf("import %q into %s: %w", ref.Location, ref.Collection, err)
	}
	return handler.Import{Ref: ref, Embeddings: found}, nil
}

// find tries the forms in their documented order; the first object that exists
// counts, whatever it holds.
func (im *Importer) find(ctx context.Context, ref handler.ImportRef) ([]handler.Embedding, error) {
	if err := ref.Collection.Check(); err != nil {
		return nil, err
	}
	base, err := im.key(ref.Location)
	if err != nil {
		return nil, err
	}
	var tried []string
	for _, key := range candidates(base) {
		found, err := im.object(ctx, key, ref.Collection)
		if !errors.Is(err, errNoObject) {
			return found, err
		}
		tried = append(tried, key)
	}
	folder := strings.TrimSuffix(base, "/") + "/"
	found, err := im.folder(ctx, folder, ref.Collection)
	if errors.Is(err, errNoObject) {
		return nil, lockstep.Hint(
			fmt.Errorf("%w: no object %s", lockstep.ErrNotFound, strings.Join(append(tried, folder+databaseName), ", ")),
			"the pipeline may still be writing it, or its lifecycle rule has removed it")
	}
	return found, err
}

// errNoObject says that one candidate does not exist. It is kept apart from
// ErrNotFound, which a collection missing in an object that exists is as well.
var errNoObject = fmt.Errorf("no such object: %w", lockstep.ErrNotFound)

// object imports one object by its extension.
func (im *Importer) object(ctx context.Context, key string, c lockstep.Collection) (out []handler.Embedding, err error) {
	body, err := im.open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	switch formOf(key) {
	case formNDJSON:
		out, err = im.ndjson(ctx, body)
	case formParquet:
		out, err = im.parquet(ctx, body)
	case formArchive:
		out, err = im.archive(ctx, body, c)
	case formNone:
		err = fmt.Errorf("%w: no form of embeddings has this name", lockstep.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return out, nil
}

// open opens an object for bounded reading.
func (im *Importer) open(ctx context.Context, key string) (io.ReadCloser, error) {
	body, size, err := im.objects.Open(ctx, key)
	if errors.Is(err, lockstep.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", key, errNoObject)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	switch {
	case size == 0:
		err = fmt.Errorf("%s: %w: 0 bytes: it holds no embeddings", key, lockstep.ErrInvalid)
	case size > im.opts.MaxObjectBytes:
		err = fmt.Errorf("%s: %w: %d bytes, at most %d are imported", key, lockstep.ErrInvalid, size, im.opts.MaxObjectBytes)
	}
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{bounded(ctx, body, "the object", im.opts.MaxObjectBytes), body}, nil
}

// inPrivate calls do with a folder of its own, and removes the folder.
func (im *Importer) inPrivate(do func(dir string, root *os.Root) ([]handler.Embedding, error)) (out []handler.Embedding, err error) {
	dir, err := os.MkdirTemp(im.opts.TempDir, "lockstep-import-")
	if err != nil {
		return nil, fmt.Errorf("make a work folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the work folder: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return do(dir, root)
}

// finish sorts the embeddings and refuses the import as a whole when one of them
// could not be stored, or when an id is there twice: which of two vectors was meant
// is not ours to guess, though Chroma would take the last.
func finish(es []handler.Embedding) error {
	if len(es) == 0 {
		return fmt.Errorf("%w: it holds no embeddings", lockstep.ErrInvalid)
	}
	slices.SortFunc(es, func(a, b handler.Embedding) int { return strings.Compare(a.ID, b.ID) })
	for i, e := range es {
		if err := check(e); err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		if e.ID == es[i-1].ID {
			return fmt.Errorf("%w: the id %q is there twice", lockstep.ErrInvalid, e.ID)
		}
		if len(e.Vector) != len(es[0].Vector) {
			return fmt.Errorf("%w: %q has %d components, %q has %d", lockstep.ErrInvalid, e.ID, len(e.Vector), es[0].ID, len(es[0].Vector))
		}
	}
	return nil
}

func check(e handler.Embedding) error {
	r := lockstep.Record{ID: e.ID, Document: e.Document, HasDocument: e.HasDocument, Metadata: e.Metadata}
	if err := r.Check(); err != nil {
		return err
	}
	if err := lockstep.CheckVector(e.Vector); err != nil {
		return fmt.Errorf("record %q: %w", e.ID, err)
	}
	whole := utf8.ValidString(e.ID) && utf8.ValidString(e.Document)
	for _, f := range e.Metadata {
		whole = whole && utf8.ValidString(f.Key) && utf8.ValidString(f.Value.Str())
		for _, v := range f.Value.Elems() {
			whole = whole && utf8.ValidString(v.Str())
		}
	}
	if !whole {
		return fmt.Errorf("record %q: %w: text that is not UTF-8", e.ID, lockstep.ErrInvalid)
	}
	return nil
}
