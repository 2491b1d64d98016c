package embedding

import (
	"context"
	"fmt"
	"io"

	"lockstep/internal/lockstep"
)

// limited ends with ErrInvalid as soon as more than its limit has come out of it,
// and with the context's error when that ends.
type limited struct {
	in    io.Reader
	live  func() error
	what  string
	limit int64
	left  int64
}

func bounded(ctx context.Context, r io.Reader, what string, limit int64) io.Reader {
	return &limited{in: r, live: ctx.Err, what: what, limit: limit, left: limit}
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if err := l.live(); err != nil {
		return 0, err
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1] // one byte more tells "too long" from "at its end"
	}
	n, err := l.in.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("%w: %s is larger than %d bytes", lockstep.ErrInvalid, l.what, l.limit)
	}
	return n, err
}
