// Package follow brings a follower from one version of the index to another,
// forward or backward.
//
// A follower is whatever holds a copy: a Chroma directory, a Chroma server. It
// answers which version it holds, takes one step to another as a whole or not at
// all, and can be read back, because a digest that closes in the log does not
// prove that the follower holds the records (TRAPS T12).
package follow

import (
	"context"
	"fmt"
	"iter"

	"lockstep/internal/lockstep"
)

// Mark names a state of the index: what a follower writes down about itself.
type Mark struct {
	Store   string                         // identity of the store the version belongs to
	Version uint64                         // 0: the empty index
	Digests map[lockstep.Collection]string // hex, per published collection
}

// Spec is one published collection.
type Spec struct {
	Name      lockstep.Collection
	Dimension int    // 0: no vector has been seen yet
	Space     string // "l2", "cosine" or "ip"
}

// Change is what one step does to one record: exactly one per record, net of
// everything between the two versions.
type Change struct {
	Collection lockstep.Collection
	Record     lockstep.Record // the record afterwards; for Delete only ID counts
	Vector     []float32       // set when the record is new or its vector differs
	Delete     bool
	New        bool // the record was absent before
}

// Step moves a follower.
type Step struct {
	From, To Mark
	// Full replaces everything the follower holds; Changes then are all records, New
	// and with vectors. From is ignored.
	Full        bool
	Collections []Spec
	Changes     iter.Seq2[Change, error] // may be ranged over once
}

// Stored is one record as read back from a follower.
type Stored struct {
	Record lockstep.Record // Vector.Hash is not set
	Vector []float32
}

// Target is a follower.
type Target interface {
	// Position says what the follower holds. A follower that was never written
	// answers the zero Mark.
	Position(ctx context.Context) (Mark, error)
	// Apply takes one step. On error the follower still holds Step.From, or what
	// Position then says.
	Apply(ctx context.Context, step Step) error
	// Records reads one collection back, in any order.
	Records(ctx context.Context, c lockstep.Collection) iter.Seq2[Stored, error]
}

// ErrDiverged says that a follower holds something that no version says: somebody
// else wrote to it. It is never overwritten silently; a Full step repairs it.
var ErrDiverged = fmt.Errorf("follower diverged: %w", lockstep.ErrRefused)
