package lockstep

import (
	"fmt"
	"math"
	"regexp"
	"unicode/utf8"
)

// Collection names one collection of the index.
type Collection string

// The collections that Lockstep itself keeps beside the published ones. They are
// versioned, hashed, reset and verified like any other.
const (
	// Table mirrors the relevant items of the source table, tombstones included.
	Table Collection = "table"
	// Parked holds the messages whose handler failed, until retried or dropped.
	Parked Collection = "parked"
	// Malformed holds the input that could not be read, with its reason.
	Malformed Collection = "malformed"
)

// Builtin says whether c is one of Lockstep's own collections, which no handler
// may write and no follower receives.
func (c Collection) Builtin() bool { return c == Table || c == Parked || c == Malformed }

var collectionName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,126}[a-z0-9]$`)

// Check returns ErrInvalid unless c is a name that Chroma accepts: 3 to 128 of
// a-z, 0-9, dot, underscore and dash, letter or digit at both ends.
func (c Collection) Check() error {
	if !collectionName.MatchString(string(c)) {
		return fmt.Errorf("%w collection name %q: want 3 to 128 of a-z 0-9 . _ -, a letter or digit at both ends", ErrInvalid, string(c))
	}
	return nil
}

// VectorRef identifies a vector by content, so that a record can be compared,
// hashed and kept without its vector at hand. The zero VectorRef is "no vector".
type VectorRef struct {
	Hash [32]byte // BLAKE3-256 of the components as little-endian float32
	Dim  uint32   // number of components
}

// Record is one Chroma record, its vector by reference.
type Record struct {
	ID          string
	Document    string // meaningful when HasDocument
	Metadata    Metadata
	Vector      VectorRef
	HasDocument bool
}

// Limits of a record. They are Lockstep's own, stated in docs/limits.md; Chroma
// Cloud has narrower ones, which its follower checks.
const (
	MaxIDBytes       = 1 << 10
	MaxDocumentBytes = 4 << 20
	MaxMetadataKeys  = 1 << 10
	MaxMetadataBytes = 4 << 20 // keys and values, a number or a list element counted as 8 bytes
	MaxDimension     = 1 << 16
)

// Check returns ErrInvalid, naming the record, when an id, document or metadata
// breaks a limit or could not be stored by Chroma unchanged.
func (r Record) Check() error {
	switch {
	case r.ID == "":
		return fmt.Errorf("%w record: empty id", ErrInvalid)
	case len(r.ID) > MaxIDBytes:
		return fmt.Errorf("%w record %.40q…: id of %d bytes, at most %d", ErrInvalid, r.ID, len(r.ID), MaxIDBytes)
	case len(r.Document) > MaxDocumentBytes:
		return fmt.Errorf("%w record %q: document of %d bytes, at most %d", ErrInvalid, r.ID, len(r.Document), MaxDocumentBytes)
	case len(r.Metadata) > MaxMetadataKeys:
		return fmt.Errorf("%w record %q: %d metadata keys, at most %d", ErrInvalid, r.ID, len(r.Metadata), MaxMetadataKeys)
	case r.Metadata.bytes() > MaxMetadataBytes:
		return fmt.Errorf("%w record %q: metadata of %d bytes, at most %d", ErrInvalid, r.ID, r.Metadata.bytes(), MaxMetadataBytes)
	case !utf8.ValidString(r.ID) || !utf8.ValidString(r.Document):
		return fmt.Errorf("%w record %.40q: id or document is not UTF-8", ErrInvalid, r.ID)
	}
	if err := r.Metadata.Check(); err != nil {
		return fmt.Errorf("record %q: %w", r.ID, err)
	}
	return nil
}

// CheckVector returns ErrInvalid when v is empty, too long, or holds a NaN or an
// infinity, which Chroma answers with 400 or, worse, stores.
func CheckVector(v []float32) error {
	if len(v) == 0 || len(v) > MaxDimension {
		return fmt.Errorf("%w vector: %d components, want 1 to %d", ErrInvalid, len(v), MaxDimension)
	}
	for i, x := range v {
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%w vector: component %d is %v", ErrInvalid, i, x)
		}
	}
	return nil
}

// Op is what a mutation does to its record.
type Op uint8

// The operations. An upsert states the whole record; nothing is merged.
const (
	Upsert Op = 1
	Delete Op = 2
)

func (o Op) String() string {
	if o == Delete {
		return "delete"
	}
	return "upsert"
}

// Mutation is one upsert or delete of one record of one collection, as a handler
// asks for it. An upsert gives the record as it shall be afterwards: a metadata
// key that is absent here is absent then.
type Mutation struct {
	Collection Collection
	Op         Op
	Record     Record    // for Delete only Record.ID counts
	Vector     []float32 // the new vector; nil keeps the one the record has. Record.Vector is ignored
	Cause      int       // index, in the unit's messages, of the message that caused it
}
