package recovery

import (
	"context"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/zeebo/blake3"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// faultWords says what the injected revision does wrong.
const faultWords = "loses the metadata of every record that it sees"

// faultMark is the only field that it leaves.
const faultMark = "lockstep_drill"

// fault is a revision that spoils what another one derives: every record that it is shown
// loses its metadata, whether or not the other would touch it. What it does cannot be put
// right by deriving forward; it takes the image from before.
type fault struct {
	handler.Handler
	now func() time.Time

	mu          sync.Mutex // guards everything below
	calls       int
	first, last time.Time // when it spoiled something, and when it was called
}

// Describe implements handler.Handler: another revision than the one that it wraps, by its
// hash as well.
func (f *fault) Describe() handler.Description {
	d := f.Handler.Describe()
	code := blake3.Sum256([]byte("lockstep/drill-fault/1\n" + d.Code))
	d.Version, d.Code = d.Version[:min(len(d.Version), 50)]+"-drill", hex.EncodeToString(code[:])
	return d
}

// ReadsContext lets the Reads of a program be broken off, like that of the handler itself.
func (f *fault) ReadsContext(ctx context.Context, messages []lockstep.Message) (handler.Reads, error) {
	if r, ok := f.Handler.(interface {
		ReadsContext(ctx context.Context, messages []lockstep.Message) (handler.Reads, error)
	}); ok {
		return r.ReadsContext(ctx, messages)
	}
	return f.Reads(messages), ctx.Err()
}

// Plan implements handler.Handler.
func (f *fault) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	muts, err := f.Handler.Plan(ctx, u)
	if err != nil {
		f.called(false)
		return nil, err
	}
	muts = slices.Clone(muts)
	answered := map[lockstep.Collection]map[string]bool{}
	for i := range muts {
		m := &muts[i]
		if answered[m.Collection] == nil {
			answered[m.Collection] = map[string]bool{}
		}
		answered[m.Collection][m.Record.ID] = true
		if m.Op == lockstep.Upsert {
			m.Record.Metadata = spoiled()
		}
	}
	for name, records := range u.View.Records {
		if name.Builtin() {
			continue
		}
		for _, r := range records {
			if answered[name][r.ID] {
				continue
			}
			r.Metadata = spoiled()
			muts = append(muts, lockstep.Mutation{Collection: name, Op: lockstep.Upsert, Record: r, Cause: len(u.Messages) - 1})
		}
	}
	f.called(len(muts) > 0)
	return muts, nil
}

func spoiled() lockstep.Metadata {
	return lockstep.Metadata{{Key: faultMark, Value: lockstep.String("spoiled")}}
}

func (f *fault) called(spoiled bool) { //nolint:revive // spoiled is what happened, not a mode
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.last = now
	if spoiled && f.first.IsZero() {
		f.first = now
	}
}

// seen returns how often the fault was called, when it spoiled something first, and when it
// was called last.
func (f *fault) seen() (calls int, first, last time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, f.first, f.last
}
