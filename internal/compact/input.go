package compact

import (
	"context"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Input is one thing to be committed: a message, or input that could not be read.
type Input struct {
	Message lockstep.Message
	Bad     *change.Malformed
}

// Importer fetches the embeddings that a change announces.
type Importer interface {
	// Import returns what is at ref. An error parks the message that asked for it;
	// lockstep.ErrUnavailable fails the commit instead, so that it is tried again.
	Import(ctx context.Context, ref handler.ImportRef) (handler.Import, error)
}

// Result says what became of one Commit.
type Result struct {
	// Version is the newest version that holds an effect of the inputs, or the
	// version they were checked against when there was none.
	Version  uint64
	Outcomes []Outcome // one per input, in order
	Counts   map[lockstep.Outcome]int
	// Changed is the number of published records written or removed, ChangedBy the
	// same by entity of the item that caused it.
	Changed   int
	ChangedBy map[string]int
}

// Outcome is what became of one input.
type Outcome struct {
	Outcome lockstep.Outcome `json:"outcome"`
	Reason  string           `json:"reason,omitempty"`
}
