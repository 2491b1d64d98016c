package base

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/zeebo/blake3"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/metajson"
)

// Options bound the parts of a base. Zero fields mean the defaults; what is
// larger than the largest value is taken as that.
type Options struct {
	PartBytes  int // uncompressed bytes of a part; default 32 MiB, at most 64 MiB
	PartRows   int // rows of a part; default 100,000, at most 1,048,576
	GroupBytes int // uncompressed bytes of a row group; default 4 MiB
}

// maxRowBytes bounds one row: with it a part is at most 96 MiB uncompressed.
const maxRowBytes = 32 << 20

func (o Options) withDefaults() Options {
	pick := func(v, byDefault, most int) int {
		if v <= 0 {
			v = byDefault
		}
		return min(v, most)
	}
	o.PartBytes = pick(o.PartBytes, 32<<20, 64<<20)
	o.PartRows = pick(o.PartRows, 100_000, maxPartRows)
	o.GroupBytes = pick(o.GroupBytes, 4<<20, o.PartBytes)
	return o
}

// Builder writes one base. It holds one part of records and one of vectors in
// memory and is for one goroutine. A Builder that is given up leaves orphans,
// which retention removes; nothing else has to be done.
type Builder struct {
	store   blob.Store
	id      ID
	opts    Options
	broken  error // the first failure to write; the base cannot be finished after it
	done    []Contents
	current Contents // Name "" before the first row
	lastID  string
	records *partWriter[recordRow]
	vectors *partWriter[vectorRow]
	floats  []float32 // the vectors of the rows pending in vectors
	scratch []byte
}

// Seal is what a finished base states about itself besides its rows.
type Seal struct {
	Head    Head
	Digests map[lockstep.Collection]string // of every collection, those without records too
	Sums    map[lockstep.Collection][]byte // the LtHash states of which the digests are the hashes
}

// NewBuilder returns a Builder of the base id in store.
func NewBuilder(store blob.Store, id ID, opts Options) *Builder {
	opts = opts.withDefaults()
	return &Builder{
		store:   store,
		id:      id,
		opts:    opts,
		broken:  id.Check(),
		records: newPartWriter[recordRow](opts.PartBytes),
		vectors: newPartWriter[vectorRow](opts.PartBytes),
		floats:  make([]float32, 0, lockstep.MaxDimension),
	}
}

// Add appends one record. Rows come in order of collection, then id; vector is nil
// exactly when the record has none, and has the hash that the record names. The
// vector may be changed afterwards.
//
// ErrInvalid: the row is refused, and the Builder is as before. Any other error is
// one of the store; the Builder then returns it for ever.
func (b *Builder) Add(ctx context.Context, row Row, vector []float32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.broken != nil {
		return b.broken
	}
	record, size, err := b.check(&row, vector)
	if err != nil {
		return fmt.Errorf("add to %s: %s %.80q: %w", b.id, row.Collection, row.Record.ID, err)
	}
	if err := b.add(ctx, row.Collection, record, size, vector); err != nil {
		b.broken = fmt.Errorf("write %s: %w", b.id, err)
	}
	return b.broken
}

// check returns the row as it is written and its uncompressed size.
func (b *Builder) check(row *Row, vector []float32) (recordRow, int, error) {
	r, a := &row.Record, &row.Author
	if err := row.Collection.Check(); err != nil {
		return recordRow{}, 0, err
	}
	if err := r.Check(); err != nil {
		return recordRow{}, 0, err
	}
	if row.Collection < b.current.Name || row.Collection == b.current.Name && r.ID <= b.lastID {
		return recordRow{}, 0, fmt.Errorf("%w order: it follows %s %.80q", lockstep.ErrInvalid, b.current.Name, b.lastID)
	}
	if a.Version > math.MaxInt64 {
		return recordRow{}, 0, fmt.Errorf("%w author: version %d", lockstep.ErrInvalid, a.Version)
	}
	if err := b.checkVector(r.Vector, vector); err != nil {
		return recordRow{}, 0, err
	}
	b.scratch = metajson.AppendMetadataJSON(b.scratch[:0], r.Metadata)
	if !utf8.Valid(b.scratch) {
		return recordRow{}, 0, fmt.Errorf("%w metadata: not UTF-8", lockstep.ErrInvalid)
	}
	for _, s := range []string{r.ID, r.Document, a.Message, a.Revision} {
		if !utf8.ValidString(s) {
			return recordRow{}, 0, fmt.Errorf("%w text: %.40q is not UTF-8", lockstep.ErrInvalid, s)
		}
	}
	out := recordRow{
		ID: r.ID, Metadata: string(b.scratch),
		VectorHash: r.Vector.Hash, VectorDim: int32(r.Vector.Dim),
		AuthorVersion: int64(a.Version), AuthorMessage: a.Message, AuthorRevision: a.Revision,
	}
	if r.HasDocument {
		out.Document = &r.Document
	}
	const fixed = len(out.VectorHash) + 4 + 8
	size := fixed + len(r.ID) + len(r.Document) + len(out.Metadata) + len(a.Message) + len(a.Revision)
	if size > maxRowBytes {
		return recordRow{}, 0, fmt.Errorf("%w record: %d bytes, at most %d", lockstep.ErrInvalid, size, maxRowBytes)
	}
	return out, size, nil
}

// checkVector refuses a vector that is not the one ref names: found here, it costs
// one record's name; found by a reader, a base (TRAPS T32).
func (b *Builder) checkVector(ref lockstep.VectorRef, vector []float32) error {
	if len(vector) != int(ref.Dim) {
		return fmt.Errorf("%w vector: %d components, the record says %d", lockstep.ErrInvalid, len(vector), ref.Dim)
	}
	if ref.Dim == 0 {
		if ref.Hash != [32]byte{} {
			return fmt.Errorf("%w vector: a hash without dimension", lockstep.ErrInvalid)
		}
		return nil
	}
	if err := lockstep.CheckVector(vector); err != nil {
		return err
	}
	var got [32]byte
	if got, b.scratch = hashVector(b.scratch, vector); got != ref.Hash {
		return fmt.Errorf("%w vector: its hash is %x, the record says %x", lockstep.ErrInvalid, got, ref.Hash)
	}
	return nil
}

// hashVector returns the hash by which records name vector, and scratch, grown.
func hashVector(scratch []byte, vector []float32) ([32]byte, []byte) {
	scratch = scratch[:0]
	for _, x := range vector {
		scratch = binary.LittleEndian.AppendUint32(scratch, math.Float32bits(positiveZero(x)))
	}
	return blake3.Sum256(scratch), scratch
}

// positiveZero returns x, and +0 for -0: they are one value to Chroma, so they are
// one value in hashes and in bases.
func positiveZero(x float32) float32 {
	if x == 0 {
		return 0
	}
	return x
}

func (b *Builder) add(ctx context.Context, c lockstep.Collection, record recordRow, size int, vector []float32) error {
	if c != b.current.Name {
		if err := b.endCollection(ctx); err != nil {
			return err
		}
		b.current = Contents{Name: c, Records: []Part{}, Vectors: []Part{}}
	}
	b.lastID = record.ID
	b.current.Rows++
	if err := b.records.add(record.ID, record, size, b.opts.GroupBytes); err != nil {
		return err
	}
	if b.records.raw >= b.opts.PartBytes || b.records.part.Rows >= int64(b.opts.PartRows) {
		if err := endPart(ctx, b, b.records, recordParts, &b.current.Records); err != nil {
			return err
		}
	}
	if len(vector) == 0 {
		return nil
	}
	return b.addVector(ctx, record.ID, vector)
}

func (b *Builder) addVector(ctx context.Context, id string, vector []float32) error {
	if len(vector) > cap(b.floats)-len(b.floats) {
		if err := b.vectors.flush(); err != nil {
			return err
		}
	}
	if len(b.vectors.pending) == 0 {
		b.floats = b.floats[:0]
	}
	from := len(b.floats)
	for _, x := range vector {
		b.floats = append(b.floats, positiveZero(x))
	}
	row := vectorRow{ID: id, Vector: b.floats[from:len(b.floats):len(b.floats)]}
	if err := b.vectors.add(id, row, len(id)+4*len(vector), b.opts.GroupBytes); err != nil {
		return err
	}
	if b.vectors.raw >= b.opts.PartBytes || b.vectors.part.Rows >= int64(b.opts.PartRows) {
		return endPart(ctx, b, b.vectors, vectorParts, &b.current.Vectors)
	}
	return nil
}

// endPart creates the object of the part that w holds, if it holds any row.
func endPart[T any](ctx context.Context, b *Builder, w *partWriter[T], sort string, parts *[]Part) error {
	if w.part.Rows == 0 {
		return nil
	}
	part, body, err := w.finish()
	if err != nil {
		return fmt.Errorf("encode %s: %w", partName(b.current.Name, sort, len(*parts)), err)
	}
	part.Name = partName(b.current.Name, sort, len(*parts))
	hash := blake3.Sum256(body)
	part.Hash = hex.EncodeToString(hash[:])
	if err := create(ctx, b.store, b.id.key(part.Name), body); err != nil {
		return err
	}
	*parts = append(*parts, part)
	w.reset()
	return nil
}

func (b *Builder) endCollection(ctx context.Context) error {
	if b.current.Name == "" {
		return nil
	}
	if err := endPart(ctx, b, b.records, recordParts, &b.current.Records); err != nil {
		return err
	}
	if err := endPart(ctx, b, b.vectors, vectorParts, &b.current.Vectors); err != nil {
		return err
	}
	b.done = append(b.done, b.current)
	b.current, b.lastID = Contents{}, ""
	return nil
}

// errFinished is what a Builder returns once its base exists.
var errFinished = fmt.Errorf("the base is finished: %w", lockstep.ErrRefused)

// Finish writes what is left and then the manifest, with which the base exists. It
// adds collections without records from seal. ErrInvalid: seal lacks a collection
// or contradicts itself; it may be called again. After any other error the Builder
// is of no use, and after success neither.
func (b *Builder) Finish(ctx context.Context, seal Seal) (Manifest, error) {
	if err := ctx.Err(); err != nil {
		return Manifest{}, err
	}
	if b.broken != nil {
		return Manifest{}, b.broken
	}
	if err := b.endCollection(ctx); err != nil {
		b.broken = fmt.Errorf("write %s: %w", b.id, err)
		return Manifest{}, b.broken
	}
	m, err := b.manifest(seal)
	if err != nil {
		return Manifest{}, fmt.Errorf("finish %s: %w", b.id, err)
	}
	body, err := EncodeManifest(&m)
	if err != nil {
		return Manifest{}, err
	}
	if len(body) > maxManifestBytes {
		return Manifest{}, fmt.Errorf("finish %s: %w manifest: %d bytes, at most %d", b.id, lockstep.ErrInvalid, len(body), maxManifestBytes)
	}
	if err := create(ctx, b.store, b.id.ManifestKey(), body); err != nil {
		b.broken = fmt.Errorf("write %s: %w", b.id, err)
		return Manifest{}, b.broken
	}
	b.broken = errFinished
	return m, nil
}

func (b *Builder) manifest(seal Seal) (Manifest, error) {
	byName := make(map[lockstep.Collection]Contents, len(b.done))
	for _, c := range b.done {
		byName[c.Name] = c
	}
	for name := range seal.Digests {
		if _, ok := byName[name]; !ok {
			byName[name] = Contents{Name: name, Records: []Part{}, Vectors: []Part{}}
		}
	}
	m := Manifest{Format: Format, MinReader: Format, Version: b.id.Version, Unique: b.id.Unique, Collections: []Contents{}}
	m.Head = Head{Hash: seal.Head.Hash, At: seal.Head.At.UTC()}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		c := byName[name]
		digest, ok := seal.Digests[name]
		if !ok {
			return Manifest{}, fmt.Errorf("%w seal: no digest of collection %s", lockstep.ErrInvalid, name)
		}
		c.Digest, c.Sum = digest, seal.Sums[name]
		m.Collections = append(m.Collections, c)
	}
	return m, nil
}
