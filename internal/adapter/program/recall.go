package program

import (
	"fmt"
	"sync"

	"github.com/zeebo/blake3"
)

// remembered is how many units recall keeps apart.
const remembered = 1 << 14

// recall remembers whether Reads succeeded for a unit's messages.
//
// Reads cannot return an error, so a failure becomes "nothing is needed", and a Plan
// made on the empty view that follows would be wrong in silence. Plan therefore asks
// here first. The memory is bounded, and forgetting must not make an old failure look
// like none: once a failure has been forgotten, a unit that is not remembered is
// refused. Reads and Plan of a unit follow each other, so this is not met in practice.
type recall struct {
	mu        sync.Mutex // guards everything below
	outcomes  map[unitKey]error
	order     []unitKey // a ring, oldest at next
	next      int
	forgotten bool // a failure was pushed out
}

// unitKey is the beginning of the BLAKE3 hash of a unit's messages as they are sent.
type unitKey [16]byte

func keyOf(messages []byte) unitKey {
	sum := blake3.Sum256(messages)
	return unitKey(sum[:16])
}

// keep remembers how Reads ended for k; a later outcome replaces an earlier one.
func (r *recall) keep(k unitKey, outcome error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outcomes == nil {
		r.outcomes = map[unitKey]error{}
	}
	if _, known := r.outcomes[k]; !known {
		if len(r.order) < remembered {
			r.order = append(r.order, k)
		} else {
			old := r.order[r.next]
			if r.outcomes[old] != nil {
				r.forgotten = true
			}
			delete(r.outcomes, old)
			r.order[r.next] = k
			r.next = (r.next + 1) % remembered
		}
	}
	r.outcomes[k] = outcome
}

// look returns the failure of the Reads of k, nil when it is certain that there was
// none.
func (r *recall) look(k unitKey) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	outcome, known := r.outcomes[k]
	if !known && r.forgotten {
		return fmt.Errorf("whether its reads succeeded is no longer known: %w", errLimit)
	}
	return outcome
}
