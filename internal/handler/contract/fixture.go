package contract

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Fixture is the input on which a handler is judged. No message of it may be parked, as
// one whose import is not found would be: what waits behind it depends on the batch.
type Fixture struct {
	Messages []lockstep.Message // in stream order; enough to reach every entity and event
	Source   ImportSource
	// ClockKeys are the metadata keys that may follow Unit.Now.
	ClockKeys []string
	// Convergent promises that any order of arrival, any batches and any repetition
	// of Messages end in one state. Sequence numbers then must be unique per item.
	Convergent bool
}

// Handled returns f without the groups that h parks, and how many messages that leaves
// out: what makes a fixture of recorded traffic. For a candidate, h is stable: what both
// refuse is bad input and no fault of the candidate. An error is that of ctx, or says that
// h answers what no handler may.
func (f Fixture) Handled(ctx context.Context, h handler.Handler) (Fixture, int, error) {
	x := NewIndex(h, f.Source)
	x.Now = start
	if err := fold(ctx, x, f.Messages, 1); err != nil {
		return f, 0, fmt.Errorf("handle the fixture: %w", err)
	}
	waits := map[string]bool{}
	for _, m := range x.Parked {
		waits[m.Group] = true
	}
	handled := slices.DeleteFunc(slices.Clone(f.Messages), func(m lockstep.Message) bool { return waits[m.Group] })
	left := len(f.Messages) - len(handled)
	f.Messages = handled
	return f, left, nil
}

// start is the clock of the checks; any would do.
var start = time.Date(2025, 12, 15, 10, 13, 0, 0, time.UTC)

// fold applies the messages to x in batches of at most batch.
func fold(ctx context.Context, x *Index, messages []lockstep.Message, batch int) error {
	for part := range slices.Chunk(messages, batch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := x.Apply(ctx, part...); err != nil {
			return err
		}
	}
	return nil
}
