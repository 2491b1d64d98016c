package notify

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// t0 is a Monday.
func t0() time.Time { return time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC) }

func at(d time.Duration) time.Time { return t0().Add(d) }

func message(id string) Message {
	return Message{
		ID: id, Topic: "incident prod-3", Kind: "rolled-back", Subject: "Receipts rolled back", Text: "Rolled back due to <parked> & lost records.\nStable now.",
		At: t0(), Fields: []Field{{"Status", "Monitoring"}},
	}
}

// receiver is a Sender and who it sends to. The zero value works.
type receiver struct {
	mu    sync.Mutex // guards everything below
	got   []string   // IDs, each time they arrive
	fails []error    // answers to come, nil among them; then all is well
	lose  int        // so many times the message is taken and the answer is lost
}

func (r *receiver) Send(ctx context.Context, m Message) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.fails) > 0 {
		err := r.fails[0]
		r.fails = r.fails[1:]
		if err != nil {
			return Receipt{}, err
		}
	}
	r.got = append(r.got, m.ID)
	if r.lose > 0 {
		r.lose--
		return Receipt{}, lockstep.ErrUnavailable
	}
	return Receipt{Text: fmt.Sprintf("taken as number %d", len(r.got)), Link: "https://example.org/" + m.Kind}, nil
}

func (r *receiver) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func outbox(t testing.TB) *Outbox {
	t.Helper()
	return NewOutbox(new(blob.Mem), ledger.Options{}, nil)
}

func put(t testing.TB, o *Outbox, id string, recipients ...string) {
	t.Helper()
	if err := o.Put(t.Context(), "anna", message(id), recipients, t0()); err != nil {
		t.Fatal(err)
	}
}

func deliver(t testing.TB, c *Courier, now time.Time) Round {
	t.Helper()
	r, err := c.Deliver(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func stateOf(t testing.TB, o *Outbox) State {
	t.Helper()
	s, err := o.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// down is a store that does not answer.
type down struct{ blob.Store }

func (down) Get(context.Context, string) (io.ReadCloser, blob.Meta, error) {
	return nil, blob.Meta{}, lockstep.ErrUnavailable
}
