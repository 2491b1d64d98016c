package retention

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// clockKey is a hint that is rewritten to read the store's clock off it.
const clockKey = blob.HintPrefix + "gc/clock"

// storeTime returns the earlier of the caller's time and the store's, so that a
// clock that is ahead cannot make anything look old (TRAPS T24).
func storeTime(ctx context.Context, s blob.Store, now time.Time) (time.Time, error) {
	if err := s.Hint(ctx, clockKey, []byte("the store's clock\n")); err != nil {
		return time.Time{}, fmt.Errorf("read the store's clock: %w", err)
	}
	m, err := metaOf(ctx, s, clockKey)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the store's clock: %w", err)
	}
	if m.Modified.Before(now) {
		return m.Modified, nil
	}
	return now, nil
}

func metaOf(ctx context.Context, s blob.Store, key string) (blob.Meta, error) {
	rc, m, err := s.Get(ctx, key)
	if err != nil {
		return blob.Meta{}, err
	}
	// Nothing was read that Close could lose.
	_ = rc.Close()
	return m, nil
}

func exists(ctx context.Context, s blob.Store, key string) (bool, error) {
	_, err := metaOf(ctx, s, key)
	if errors.Is(err, lockstep.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// create makes an object and settles an answer that was lost: the same bytes under
// the key are success. ErrExists: something else is there.
func create(ctx context.Context, s blob.Store, key string, body []byte) error {
	err := s.Create(ctx, key, body)
	if err == nil || errors.Is(err, blob.ErrExists) {
		return err
	}
	there, rerr := blob.ReadAll(ctx, s, key, int64(len(body)))
	switch {
	case rerr == nil && bytes.Equal(there, body):
		return nil
	case rerr == nil || errors.Is(rerr, lockstep.ErrCorrupt): // shorter, other or longer
		return fmt.Errorf("create %s: %w", key, blob.ErrExists)
	}
	return err
}

// decodeStrict reads one JSON object of a known format and nothing behind it.
func decodeStrict(body []byte, format int, into any) error {
	var probe struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(body, &probe); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if probe.Format > format {
		return lockstep.Hint(fmt.Errorf("%w: format %d, this binary knows %d", lockstep.ErrRefused, probe.Format, format),
			"use the release of lockstep that wrote it, or a newer one")
	}
	if probe.Format < 1 {
		return fmt.Errorf("%w: format %d", lockstep.ErrCorrupt, probe.Format)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: surplus bytes", lockstep.ErrCorrupt)
	}
	return nil
}

// parseNumber reads the 20 digits of a key.
func parseNumber(digits string) (uint64, bool) {
	if len(digits) != 20 {
		return 0, false
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}
