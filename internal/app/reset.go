package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/retention"
	"lockstep/internal/version"
)

// resetLease is how long a reset may take until retention stops waiting for it.
const resetLease = 10 * time.Minute

// Reset makes the index what it was at req.To, with the target pinned meanwhile: what
// was planned must not be collected before it is published.
func (s *Store) Reset(ctx context.Context, req compact.ResetRequest) (plan compact.ResetPlan, head version.Head, err error) {
	if req.To > 0 {
		pin := retention.Pin{
			Name: fmt.Sprintf("%sreset-%d-%d", retention.LeasePrefix, req.To, req.Now.UnixNano()), Version: req.To,
			Holder: req.Actor, Reason: "reset", Expires: req.Now.Add(resetLease), At: req.Now,
		}
		if err := retention.SetPin(ctx, s.Log, pin); err != nil {
			return plan, head, err
		}
		defer func() {
			tail, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, retention.RemovePin(tail, s.Log, pin.Name, req.Actor, req.Now))
		}()
	}
	return compact.DoReset(ctx, s.Log, req)
}
