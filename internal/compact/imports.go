package compact

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/blob"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// fetch resolves the imports of a unit. What was imported once is archived in the
// store and taken from there ever after: a replay must not need the bucket, whose
// objects expire within days (DOMAIN 6.4), and two compactors must see the same.
// What cannot be had is the message's problem and parks it; an unreachable source is
// nobody's, and fails the commit.
func (p *planner) fetch(ctx context.Context, refs []handler.ImportRef, unit []lockstep.Message, s *sight) error {
	for _, ref := range refs {
		key := version.ImportKey(unit[ref.Message].ID, ref.Collection, ref.Location)
		got, err := p.archived(ctx, key, ref)
		if errors.Is(err, lockstep.ErrNotFound) {
			if got, err = p.importer.Import(ctx, ref); err != nil {
				if errors.Is(err, lockstep.ErrUnavailable) || ctx.Err() != nil {
					return err
				}
				return parkError{err}
			}
			err = p.keep(ctx, key, &got)
		}
		if err != nil {
			return err
		}
		s.view.Imports = append(s.view.Imports, got)
	}
	return nil
}

func (p *planner) archived(ctx context.Context, key string, ref handler.ImportRef) (handler.Import, error) {
	body, err := blob.ReadAll(ctx, p.store, key, version.MaxDeltaBytes)
	if err != nil {
		return handler.Import{}, err
	}
	d, err := version.DecodeDelta(body)
	if err != nil {
		return handler.Import{}, fmt.Errorf("archived import %s: %w", key, err)
	}
	out := handler.Import{Ref: ref, Embeddings: make([]handler.Embedding, len(d.Mutations))}
	for i := range d.Mutations {
		m := &d.Mutations[i]
		rec, err := version.DecodeShared(m.ID, m.After)
		if err != nil {
			return out, fmt.Errorf("archived import %s: %w", key, err)
		}
		out.Embeddings[i] = handler.Embedding{ID: m.ID, Document: rec.Document, HasDocument: rec.HasDocument, Metadata: rec.Metadata, Vector: version.VectorOf(m.VectorAfter)}
	}
	return out, nil
}

// keep archives an import, as a delta without messages that creates its records.
func (p *planner) keep(ctx context.Context, key string, got *handler.Import) error {
	d := version.Delta{Mutations: make([]version.Mutation, len(got.Embeddings))}
	for i := range got.Embeddings {
		e := &got.Embeddings[i]
		vector := version.AppendVector(nil, e.Vector)
		rec := lockstep.Record{Document: e.Document, HasDocument: e.HasDocument, Metadata: e.Metadata, Vector: version.RefOf(vector)}
		d.Mutations[i] = version.Mutation{Collection: got.Ref.Collection, ID: e.ID, Cause: -1, After: version.AppendRecord(nil, &rec), VectorAfter: vector}
	}
	body, err := p.framer.EncodeDelta(&d)
	if err != nil {
		return parkError{err}
	}
	err = p.store.Create(ctx, key, body)
	if err == nil {
		return nil
	}
	// Somebody else was first, or the answer was lost: what is there counts.
	first, rerr := p.archived(ctx, key, got.Ref)
	if rerr != nil {
		return fmt.Errorf("archive the import: %w", errors.Join(err, rerr))
	}
	*got = first
	return nil
}
