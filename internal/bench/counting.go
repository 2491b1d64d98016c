package bench

import (
	"context"
	"sync/atomic"

	"lockstep/internal/blob"
)

// counting is a store that counts what is written to it.
type counting struct {
	blob.Store
	bytes   atomic.Int64
	objects atomic.Int64
}

// Create implements blob.Store.
func (c *counting) Create(ctx context.Context, key string, body []byte) error {
	c.count(body)
	return c.Store.Create(ctx, key, body)
}

// Hint implements blob.Store. A hint may be lost, but it is written.
func (c *counting) Hint(ctx context.Context, key string, body []byte) error {
	c.count(body)
	return c.Store.Hint(ctx, key, body)
}

func (c *counting) count(body []byte) {
	c.bytes.Add(int64(len(body)))
	c.objects.Add(1)
}
