package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/shadow"
)

// maxAcceptances bounds what one entry holds; the oldest go first.
const maxAcceptances = 1000

// acceptedRecord is one entry of the ledger of expected differences: all that were given.
type acceptedRecord struct {
	Format   int                `json:"format"`
	Accepted shadow.Acceptances `json:"accepted"`
}

func acceptedLog(store blob.Store, now func() time.Time) *ledger.Log {
	return ledger.New(store, acceptedPrefix, ledger.Options{Now: now})
}

// acceptances returns all that were given, and the entry that says so.
func acceptances(ctx context.Context, log *ledger.Log) (ledger.Entry, shadow.Acceptances, error) {
	le, err := log.Head(ctx)
	if errors.Is(err, lockstep.ErrNotFound) {
		return ledger.Entry{}, nil, nil
	}
	if err != nil {
		return le, nil, fmt.Errorf("accepted differences: %w", err)
	}
	r, err := decodeAccepted(le.Body)
	if err != nil {
		return le, nil, fmt.Errorf("accepted differences, entry %d: %w", le.N, err)
	}
	return le, r.Accepted, nil
}

func decodeAccepted(body []byte) (*acceptedRecord, error) {
	r := &acceptedRecord{}
	if err := decodeStored(body, r); err != nil {
		return nil, err
	}
	for _, a := range r.Accepted {
		if err := a.Check(); err != nil {
			return nil, fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
		}
	}
	return r, nil
}

// Acceptances returns the differences that somebody expects, also those whose end has come.
func (s *Store) Acceptances(ctx context.Context, now func() time.Time) (shadow.Acceptances, error) {
	_, all, err := acceptances(ctx, acceptedLog(s.Blobs, now))
	return all, err
}

// Accept stores that differences of a class are expected until a day, for every pair of
// revisions. ErrInvalid as shadow.Acceptance.Check, and for an end that has passed.
func (s *Store) Accept(ctx context.Context, now func() time.Time, a shadow.Acceptance) error {
	if err := a.Check(); err != nil {
		return err
	}
	if !now().Before(a.Until) {
		return fmt.Errorf("%w acceptance of %q: it would have ended at %s", lockstep.ErrInvalid, a.Class, a.Until.Format(time.RFC3339))
	}
	log := acceptedLog(s.Blobs, now)
	for {
		prev, all, err := acceptances(ctx, log)
		if err != nil {
			return err
		}
		all = append(all, a)
		body, err := json.Marshal(acceptedRecord{shadowFormat, all[max(0, len(all)-maxAcceptances):]})
		if err != nil {
			return fmt.Errorf("accept %q: %w", a.Class, err)
		}
		_, err = log.Append(ctx, prev, append(body, '\n'))
		if errors.Is(err, ledger.ErrHeadMoved) {
			continue // somebody accepted something else at the same moment
		}
		if err != nil {
			return fmt.Errorf("accept %q: %w", a.Class, err)
		}
		return nil
	}
}
