package chroma

import (
	"context"
	"fmt"
	"iter"

	"lockstep/internal/chromadir"
	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

// Records reads one collection of the published directory back, through a parser
// that shares no code with what wrote it. A vector that Chroma has taken into its
// files in the cosine space differs from what was written by up to 1.5e-7
// (CHROMA 5.8). ErrNotFound when nothing is published or the collection is not
// there, ErrConflict when the directory changes meanwhile, ErrCorrupt when its files
// contradict each other.
func (d *Directory) Records(ctx context.Context, c lockstep.Collection) iter.Seq2[follow.Stored, error] {
	return func(yield func(follow.Stored, error) bool) {
		if err := d.records(ctx, c, func(s follow.Stored) bool { return yield(s, nil) }); err != nil {
			yield(follow.Stored{}, err)
		}
	}
}

func (d *Directory) records(ctx context.Context, c lockstep.Collection, yield func(follow.Stored) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	current, err := d.current()
	if err != nil {
		return err
	}
	if current == "" {
		return fmt.Errorf("read %s: %w: nothing is published there", d.root, lockstep.ErrNotFound)
	}
	dir, err := chromadir.Open(ctx, current)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // only read from
	for r, err := range dir.Records(ctx, string(c)) {
		if err != nil {
			return err
		}
		s := follow.Stored{
			Record: lockstep.Record{ID: r.ID, Document: r.Document, HasDocument: r.HasDocument, Metadata: r.Metadata},
			Vector: r.Vector,
		}
		s.Record.Vector.Dim = uint32(len(r.Vector))
		if !yield(s) {
			return nil
		}
	}
	return nil
}
