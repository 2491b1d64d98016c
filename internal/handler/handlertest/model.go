package handlertest

import (
	"lockstep/internal/handler"
	"lockstep/internal/handler/contract"
	"lockstep/internal/lockstep"
)

// The fixture and the model are those of package contract.
type (
	// Fixture is the input on which a handler is judged.
	Fixture = contract.Fixture
	// Index is the reference model of the index of one table.
	Index = contract.Index
	// State is what two indexes are compared by.
	State = contract.State
	// Entry is one record with its vector.
	Entry = contract.Entry
	// ImportSource finds what a reference names.
	ImportSource = contract.ImportSource
)

// NewIndex returns the empty index that h will fill from source.
func NewIndex(h handler.Handler, source ImportSource) *Index { return contract.NewIndex(h, source) }

// Merge is the mirror's rule in the model.
func Merge(prev lockstep.MirrorItem, known bool, c lockstep.Change) (lockstep.MirrorItem, lockstep.Outcome) {
	return contract.Merge(prev, known, c)
}
