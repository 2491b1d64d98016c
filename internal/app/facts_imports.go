package app

import (
	"context"
	"errors"
	"slices"

	"lockstep/internal/adapter/program"
	"lockstep/internal/blob"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// builtin says whether a handler is asked in this process: a question to a program costs
// too much to ask it for every item.
func builtin(h handler.Handler) bool {
	if s, ok := h.(specified); ok {
		h = s.Handler
	}
	_, out := h.(*program.Program)
	return !out
}

// imports counts the runs that a version announces, and the vectors that came with each. It
// reads the archive: what a handler made of them is another question.
func (t *tally) imports(ctx context.Context, store *Store, d *version.Delta, items map[int]changedItem) error {
	if !builtin(t.stable.Handler) {
		return nil
	}
	for cause, item := range items {
		if item.after.Image == nil {
			continue
		}
		id := d.Messages[cause].ID
		refs := t.stable.Handler.Reads([]lockstep.Message{compact.Touch(id, item.after, item.event(), t.newest)}).Imports
		if len(refs) == 0 {
			continue
		}
		if item.before.Image != nil {
			old := t.stable.Handler.Reads([]lockstep.Message{compact.Touch(id, item.before, lockstep.Modify, t.newest)}).Imports
			if slices.Equal(old, refs) {
				continue // announced before; something else about it changed
			}
		}
		vectors, err := archivedVectors(ctx, store, id, refs)
		if errors.Is(err, lockstep.ErrNotFound) {
			continue // retention may have been here
		}
		if err != nil {
			return err
		}
		t.runs, t.vectors = t.runs+1, t.vectors+vectors
		if vectors == 0 {
			t.empty++
		}
	}
	return nil
}

func archivedVectors(ctx context.Context, store *Store, message string, refs []handler.ImportRef) (int64, error) {
	var n int64
	for _, ref := range refs {
		d, err := archivedImport(ctx, store, message, ref)
		if err != nil {
			return 0, err
		}
		n += int64(len(d.Mutations))
	}
	return n, nil
}

func archivedImport(ctx context.Context, store *Store, message string, ref handler.ImportRef) (*version.Delta, error) {
	body, err := blob.ReadAll(ctx, store.Blobs, version.ImportKey(message, ref.Collection, ref.Location), version.MaxDeltaBytes)
	if err != nil {
		return nil, err
	}
	return version.DecodeDelta(body)
}
