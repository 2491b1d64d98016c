package base

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"lockstep/internal/lockstep"
)

// Verify reads the whole base again and checks what the manifest promises: sizes,
// hashes, counts and order of all parts, and that each record has exactly the
// vector it names. It does not compute digests of records: whoever publishes a
// base sums what Rows yields and compares (TRAPS T32). Memory: two parts.
func (b *Base) Verify(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, c := range b.manifest.Collections {
		if err := b.verify(ctx, c); err != nil {
			return fmt.Errorf("verify %s: %w", b.manifest.ID(), err)
		}
	}
	return nil
}

func (b *Base) verify(ctx context.Context, c Contents) error {
	next, stop := iter.Pull2(func(yield func(VectorRow, error) bool) {
		b.vectors(ctx, b.oneByOne(ctx, c.Vectors), yield)
	})
	defer stop()
	var failed error
	var scratch []byte
	b.rows(ctx, c.Name, b.oneByOne(ctx, c.Records), func(row Row, err error) bool {
		if err == nil && row.Record.Vector.Dim > 0 {
			vector, vectorErr, ok := next()
			if err = vectorErr; err == nil && !ok {
				err = errors.New("it has none")
			}
			if err == nil {
				scratch, err = matches(row.Record, vector, scratch)
			}
			if err != nil && vectorErr == nil {
				err = fmt.Errorf("vector of %s %.80q: %w: %w", c.Name, row.Record.ID, lockstep.ErrCorrupt, err)
			}
		}
		failed = err
		return err == nil
	})
	if failed != nil {
		return failed
	}
	surplus, err, ok := next()
	if err == nil && ok {
		err = fmt.Errorf("vector of %s %.80q: %w: no record names it", c.Name, surplus.ID, lockstep.ErrCorrupt)
	}
	return err
}

// matches returns scratch, grown, and how v is not the vector that r names.
func matches(r lockstep.Record, v VectorRow, scratch []byte) ([]byte, error) {
	if v.ID != r.ID {
		return scratch, fmt.Errorf("the next one is that of %.80q", v.ID)
	}
	hash, scratch := hashVector(scratch, v.Vector)
	if len(v.Vector) != int(r.Vector.Dim) || hash != r.Vector.Hash {
		return scratch, fmt.Errorf("%d components with the hash %x, the record says %d and %x", len(v.Vector), hash, r.Vector.Dim, r.Vector.Hash)
	}
	return scratch, nil
}
