package load

import (
	"context"
	"fmt"
	"strings"

	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

// Prepared is what lies ready before a run.
type Prepared struct {
	Receipts int    `json:"receipts"`
	Changes  int    `json:"changes"`
	Records  int    `json:"records"` // published
	Version  uint64 `json:"version"` // in which all of it is
}

// together is how many receipts are created by one request, but for the first: should
// it not arrive whole, no more is sent.
const together = 8

// Prepare brings the receipts of the traffic into being: it puts their embeddings where
// the server looks for imports, and sends their changes. put may be called again for
// an object that is there. progress may be nil.
//
// Prepared counts what is done, also together with an error. ErrInvalid: the server set
// something aside, most likely because it looks for embeddings elsewhere. Other errors
// are those of put and of the target, ErrUnavailable also when there is no directory
// where the server looks. What was written is removed by Clean.
func Prepare(ctx context.Context, target Target, traffic *Traffic, put func(synth.Object) error, progress func(done, total int)) (Prepared, error) {
	var p Prepared
	var lines []byte
	waiting, changes := 0, 0
	send := func() error {
		a, err := target.Send(ctx, lines)
		if err != nil {
			err = fmt.Errorf("prepare receipt %d of %d: %w", p.Receipts+1, traffic.shape.Keys, err)
			if p.Receipts == 0 && lockstep.HintOf(err) == "" {
				err = lockstep.Hint(err, "if the server looks for embeddings in another directory, name that with --imports")
			}
			return err
		}
		p.Receipts, p.Changes, p.Records, p.Version = p.Receipts+waiting, p.Changes+changes, p.Records+a.Changed, max(p.Version, a.Version)
		lines, waiting, changes = lines[:0], 0, 0
		if progress != nil {
			progress(p.Receipts, traffic.shape.Keys)
		}
		return asideOf(a)
	}
	for i, events := range traffic.Receipts() {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		for _, o := range traffic.Objects(i) {
			if err := put(o); err != nil {
				return p, fmt.Errorf("prepare the embeddings of receipt %d: %w", i+1, err)
			}
		}
		for _, e := range events {
			lines = append(e.AppendJSON(lines), '\n')
		}
		if waiting, changes = waiting+1, changes+len(events); i > 0 && waiting < together {
			continue
		}
		if err := send(); err != nil {
			return p, err
		}
	}
	if waiting > 0 {
		return p, send()
	}
	return p, nil
}

// asideOf is the error of an answer in which something was set aside.
func asideOf(a Answer) error {
	parked, bad := a.Outcomes[lockstep.ParkedAway], a.Outcomes[lockstep.BadInput]
	if parked+bad == 0 {
		return nil
	}
	err := fmt.Errorf("the server set %d changes aside: %w: %s", parked+bad, lockstep.ErrInvalid, strings.Join(a.Reasons, "; "))
	return lockstep.Hint(err, `if it looks for embeddings in another directory, name that with --imports; "lockstep parked" shows what waits, and drops it`)
}
