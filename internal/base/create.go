package base

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// create makes an object and settles an unknown outcome by reading the key back:
// what is there and has our bytes is ours, whoever's attempt it was.
func create(ctx context.Context, s blob.Store, key string, body []byte) error {
	err := s.Create(ctx, key, body)
	if err == nil || ctx.Err() != nil {
		return err
	}
	there, readErr := blob.ReadAll(ctx, s, key, int64(len(body)))
	switch {
	case readErr == nil && bytes.Equal(there, body):
		return nil
	case errors.Is(err, blob.ErrExists) && (readErr == nil || errors.Is(readErr, lockstep.ErrCorrupt)):
		return lockstep.Hint(fmt.Errorf("create %s: %w with other content", key, blob.ErrExists),
			"another base has this name; build under a suffix of its own")
	}
	return fmt.Errorf("create %s: %w", key, err)
}
