package versiontest

import (
	"context"
	"fmt"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Bases is a small source of bases (it has the methods of state.BaseSource): a base
// is one object of encoded mutations that delete everything, and a manifest.
type Bases struct{ Store blob.Store }

const maxBase = 64 << 20

// Prefix returns where the objects of a base are.
func Prefix(ref version.BaseRef) string {
	return fmt.Sprintf("base/%020d/%s/", ref.Version, ref.Unique)
}

func (b Bases) write(ctx context.Context, f *version.Framer, ref version.BaseRef, rows map[Key]Row) (int64, error) {
	d := &version.Delta{}
	for k, r := range rows {
		d.Mutations = append(d.Mutations, version.Mutation{
			Collection: k.Collection, ID: k.ID, Cause: -1, Before: r.Image, Author: r.Author, VectorBefore: r.Vector,
		})
	}
	body, err := f.EncodeDelta(d)
	if err != nil {
		return 0, err
	}
	if err := b.Store.Create(ctx, Prefix(ref)+"records", body); err != nil {
		return 0, err
	}
	return int64(len(body)), b.Store.Create(ctx, Prefix(ref)+"manifest.json", []byte("{}\n"))
}

func (b Bases) read(ctx context.Context, ref version.BaseRef) (*version.Delta, error) {
	if _, err := blob.ReadAll(ctx, b.Store, Prefix(ref)+"manifest.json", maxBase); err != nil {
		return nil, err
	}
	body, err := blob.ReadAll(ctx, b.Store, Prefix(ref)+"records", maxBase)
	if err != nil {
		return nil, err
	}
	return version.DecodeDelta(body)
}

// Load passes every record of the base to use and returns their sums.
func (b Bases) Load(ctx context.Context, ref version.BaseRef, use func(lockstep.Collection, *lockstep.Record, *lockstep.Author) error) (map[lockstep.Collection]*version.Tally, error) {
	d, err := b.read(ctx, ref)
	if err != nil {
		return nil, err
	}
	var h version.Hasher
	out := map[lockstep.Collection]*version.Tally{}
	for i := range d.Mutations {
		m := &d.Mutations[i]
		if out[m.Collection] == nil {
			out[m.Collection] = &version.Tally{}
		}
		h.Add(&out[m.Collection].Sum, m.ID, m.Before)
		out[m.Collection].Records++
		rec, err := version.DecodeRecord(m.ID, m.Before)
		if err != nil {
			return nil, err
		}
		if err := use(m.Collection, &rec, &m.Author); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Vector returns the vector of one record of the base.
func (b Bases) Vector(ctx context.Context, ref version.BaseRef, c lockstep.Collection, id string) ([]byte, error) {
	d, err := b.read(ctx, ref)
	if err != nil {
		return nil, err
	}
	for i := range d.Mutations {
		if m := &d.Mutations[i]; m.Collection == c && m.ID == id && m.VectorBefore != nil {
			return m.VectorBefore, nil
		}
	}
	return nil, fmt.Errorf("vector of %s %q in the base of version %d: %w", c, id, ref.Version, lockstep.ErrNotFound)
}
