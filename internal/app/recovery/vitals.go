package recovery

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/app"
	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Vitals are the document's five metrics and what else shows recovery, counted from the
// ledger of versions, which is always there and exact.
type Vitals struct {
	Version   uint64 `json:"version"`   // counted up to here
	Success   int64  `json:"success"`   // CompactionLambdaSuccess: versions in which changes were handled
	Errors    int64  `json:"errors"`    // CompactionLambdaError: messages that had to be parked or could not be read
	Processed int64  `json:"processed"` // StreamProcessorProcessedRecords: messages that were handled
	Metadata  int64  `json:"metadata"`  // CompactionMetadataUpdates: records written or removed because of metadata or a place
	Labels    int64  `json:"labels"`    // CompactionLabelUpdates: records written because of a label
	Bad       int64  `json:"bad"`       // mutations of the bad revision, of which there must be none
}

// count adds the versions behind v.Version.
func (v *Vitals) count(ctx context.Context, store *app.Store, bad string) error {
	head, err := store.Log.Head(ctx)
	if err != nil {
		return err
	}
	for v.Version < head.Number() {
		e, err := store.Log.Read(ctx, v.Version+1)
		if errors.Is(err, version.ErrRetired) {
			v.Version++
			continue
		}
		if err != nil {
			return fmt.Errorf("count the versions: %w", err)
		}
		if err := v.add(ctx, store, e, bad); err != nil {
			return fmt.Errorf("version %d: %w", e.Number, err)
		}
		v.Version++
	}
	return nil
}

func (v *Vitals) add(ctx context.Context, store *app.Store, e *version.Entry, bad string) error {
	if e.Kind != version.Compact {
		return nil
	}
	v.Success++
	for o, n := range e.Outcomes {
		v.Processed += int64(n)
		if o == lockstep.ParkedAway || o == lockstep.BadInput {
			v.Errors += int64(n)
		}
	}
	v.Bad += int64(e.Revisions[bad])
	d, err := store.Log.Delta(ctx, e.Number)
	if err != nil || d == nil {
		return err
	}
	entities, err := causes(d)
	if err != nil {
		return err
	}
	for i := range d.Mutations {
		m := &d.Mutations[i]
		switch {
		case m.Collection.Builtin() || m.Cause < 0:
		case app.CountsAsLabel(entities[m.Cause]):
			v.Labels++
		case app.CountsAsMetadata(entities[m.Cause]):
			v.Metadata++
		}
	}
	return nil
}

// causes returns what the messages of a delta are about, as the mirror classifies it.
func causes(d *version.Delta) (map[int]string, error) {
	out := map[int]string{}
	for i := range d.Mutations {
		m := &d.Mutations[i]
		if m.Collection != lockstep.Table || m.After == nil {
			continue
		}
		rec, err := version.DecodeRecord(m.ID, m.After)
		if err != nil {
			return nil, err
		}
		item, err := change.ParseMirror(rec)
		if err != nil {
			return nil, err
		}
		out[m.Cause] = item.Entity
	}
	return out, nil
}

// since returns what was counted between two looks.
func (v Vitals) since(w Vitals) Vitals {
	return Vitals{
		Version: v.Version, Success: v.Success - w.Success, Errors: v.Errors - w.Errors, Processed: v.Processed - w.Processed,
		Metadata: v.Metadata - w.Metadata, Labels: v.Labels - w.Labels, Bad: v.Bad - w.Bad,
	}
}
