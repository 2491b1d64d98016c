package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"lockstep/internal/adapter/program"
	"lockstep/internal/blob"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// touch is a message that says of an item what the mirror says of it already. A handler
// that derives records from the mirrored items answers it with what is not as it should be.
// An item that is there is announced by event, Insert or Modify: some things an item asks
// for only when it comes to be.
func touch(id string, it lockstep.MirrorItem, event lockstep.Event, now time.Time) lockstep.Message {
	c := lockstep.Change{Key: it.Key, Event: event, Entity: it.Entity, Seq: it.Seq, Old: it.Image, New: it.Image, At: now}
	if it.Image == nil {
		c.Event = lockstep.Remove
	}
	if event == lockstep.Insert {
		c.Old = nil
	}
	return lockstep.Message{ID: id, Group: it.Key.Partition, Source: "guard", Change: c}
}

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
		refs := t.stable.Handler.Reads([]lockstep.Message{touch(id, item.after, item.event(), t.newest)}).Imports
		if len(refs) == 0 {
			continue
		}
		if item.before.Image != nil {
			old := t.stable.Handler.Reads([]lockstep.Message{touch(id, item.before, lockstep.Modify, t.newest)}).Imports
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
