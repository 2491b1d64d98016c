package compact

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// Touch is a message that says of an item what the mirror says of it already. A handler
// that derives records from the mirrored items answers it with what is not as it should be.
// An item that is there is announced by event, Insert or Modify: some things an item asks
// for only when it comes to be. Id is that of the message under which imports are archived.
func Touch(id string, it lockstep.MirrorItem, event lockstep.Event, now time.Time) lockstep.Message {
	c := lockstep.Change{Key: it.Key, Event: event, Entity: it.Entity, Seq: it.Seq, Old: it.Image, New: it.Image, At: now}
	if it.Image == nil {
		c.Event = lockstep.Remove
	}
	if event == lockstep.Insert {
		c.Old = nil
	}
	return lockstep.Message{ID: id, Group: it.Key.Partition, Source: "mirror", Change: c}
}

// Rebuilt says what one piece of a rebuild did.
type Rebuilt struct {
	Version uint64 `json:"version"` // the newest version
	Last    string `json:"last"`    // the last partition key of the piece; "": there is none behind the piece before
	Keys    int    `json:"keys"`    // partition keys that were derived anew
	Records int    `json:"records"` // records that came out different
	// Failed are keys that the handler did not take, with its reason; they stay as they were.
	Failed map[string]string `json:"failed,omitempty"`
}

// RebuildRequest asks for the next piece of a rebuild.
type RebuildRequest struct {
	After  string // the Last of the piece before; "" for the first
	Actor  string
	Reason string
	// Claim hears of every record that the handler makes of the items and of the imports that
	// can be had: what is never claimed they do not explain. Nil: nobody.
	Claim func(c lockstep.Collection, id string)
}

// rebuildKeys is how many partition keys make a piece.
const rebuildKeys = 256

// Rebuild derives the records of the next partition keys anew, by stable, from the mirror
// of the table, and publishes what comes out different as one version. Only a handler whose
// records follow from the items alone makes sense of it; the caller knows. Vectors come
// from the archive of imports; where that has none any more they stay. ErrConflict: another
// version came between and nothing was published; ask again for the same piece.
func (c *Compactor) Rebuild(ctx context.Context, req RebuildRequest) (Rebuilt, error) {
	if err := c.CatchUp(ctx); err != nil {
		return Rebuilt{}, err
	}
	if err := c.route(ctx); err != nil {
		return Rebuilt{}, err
	}
	r, err := c.state.Read()
	if err != nil {
		return Rebuilt{}, err
	}
	p := &planner{
		reader: r, arms: c.arms, arm: c.arms.stable, clock: c.opts.Now, schema: c.schema(), importer: c.importer,
		store: c.log.Store(), framer: c.framers[0], dims: c.dims(), now: c.opts.Now(),
	}
	out, k, err := p.rebuild(ctx, req)
	if err = errors.Join(err, r.Close()); err != nil {
		return Rebuilt{}, err
	}
	out.Version = c.head.Number()
	if len(k.Delta.Mutations) == 0 {
		return out, nil
	}
	head, err := c.Correct(ctx, k)
	out.Version = head.Number()
	return out, err
}

// rebuild plans one piece.
func (p *planner) rebuild(ctx context.Context, req RebuildRequest) (Rebuilt, Correction, error) {
	out := Rebuilt{Failed: map[string]string{}}
	k := Correction{Kind: version.Rebuild, Cause: version.Cause{Command: "rebuild", Actor: req.Actor, Reason: req.Reason}}
	groups, err := p.partitions(ctx, req.After)
	if err != nil {
		return out, k, err
	}
	for _, g := range groups {
		out.Last, out.Keys = g, out.Keys+1
		muts, err := p.derive(ctx, g, req.Claim)
		if fault, ok := errors.AsType[parkError](err); ok {
			out.Failed[g] = fault.Error()
			continue
		}
		if err != nil {
			return out, k, fmt.Errorf("derive key %q anew: %w", g, err)
		}
		if len(muts) == 0 {
			continue
		}
		k.Delta.Messages = append(k.Delta.Messages, version.Archived{ID: "rebuild/" + g, Group: g, Outcome: lockstep.Rederived, Revision: p.arm.id})
		for i := range muts {
			muts[i].Cause = len(k.Delta.Messages) - 1
		}
		out.Records += len(muts)
		k.Delta.Mutations = append(k.Delta.Mutations, muts...)
	}
	return out, k, nil
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// partitions returns the next partition keys of the mirror behind after, in the order of
// their escaped form.
func (p *planner) partitions(ctx context.Context, after string) ([]string, error) {
	var out []string
	for len(out) < rebuildKeys {
		next, err := p.partition(ctx, after)
		if err != nil || next == "" {
			return out, err
		}
		out, after = append(out, next), next
	}
	return out, nil
}

// partition returns the next partition key behind after, the first one behind "": no item
// of DynamoDB has an empty key.
func (p *planner) partition(ctx context.Context, after string) (string, error) {
	var next string
	take := func(row state.Row) error {
		k, ok := lockstep.ParseItemKey(string(row.ID))
		if !ok {
			return fmt.Errorf("mirrored item %q: %w: its id is not a key", row.ID, lockstep.ErrCorrupt)
		}
		next = k.Partition
		return errEnough
	}
	var err error
	if after != "" {
		// Ids of one partition begin with it and the separator; \xff is behind all of them.
		err = p.reader.ScanFrom(ctx, lockstep.Table, lockstep.ItemKey{Partition: after}.RecordID()+"\xff", take)
	} else {
		err = p.reader.Scan(ctx, lockstep.Table, "", take)
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return next, err
}

// derive asks the handler about all items of a partition at once, in the order of their
// last changes, and returns what is not as it says.
func (p *planner) derive(ctx context.Context, group string, claim func(lockstep.Collection, string)) ([]version.Mutation, error) {
	s := &sight{items: map[string]*mirrored{}}
	if err := lookItems(ctx, p.reader, handler.ItemRange{Partition: group}, s); err != nil {
		return nil, err
	}
	unit, err := p.touches(ctx, s)
	if err != nil || len(unit) == 0 {
		return nil, err
	}
	out := newPlanned(&job{group: group, messages: unit})
	reads, err := p.reads(ctx, unit)
	if err != nil {
		return nil, err
	}
	if err := look(ctx, p.reader, reads, s); err != nil {
		return nil, err
	}
	if err := p.fetch(ctx, reads.Imports, unit, s); err != nil {
		return nil, err
	}
	hu := handler.Unit{Messages: unit, View: s.view, Now: p.now}
	muts, err := p.ask(ctx, hu)
	if err != nil {
		return nil, err
	}
	if err := handler.CheckMutations(p.arm.desc, hu, s.asked, muts, p.dims); err != nil {
		return nil, parkError{fmt.Errorf("%s answered what cannot be stored: %w", p.arm.rev, err)}
	}
	if claim != nil {
		if err := p.claims(ctx, hu, claim); err != nil {
			return nil, err
		}
	}
	for i := range muts {
		if err := p.imaged(ctx, out, s, &muts[i], cause{muts[i].Cause, unit[muts[i].Cause].Change.Entity}); err != nil {
			return nil, err
		}
	}
	return out.mutations, nil
}

// claims asks what the handler would write if there were nothing: many answer only with
// what is to be changed.
func (p *planner) claims(ctx context.Context, u handler.Unit, claim func(lockstep.Collection, string)) error {
	u.View.Records = nil
	muts, err := p.ask(ctx, u)
	for i := range muts {
		if muts[i].Op != lockstep.Delete {
			claim(muts[i].Collection, muts[i].Record.ID)
		}
	}
	return err
}

// available says whether an import can be had: from the archive, or, when whoever handled
// the message never asked for it, from its source, and then it is archived.
func (p *planner) available(ctx context.Context, message string, ref handler.ImportRef) (bool, error) {
	key := version.ImportKey(message, ref.Collection, ref.Location)
	_, err := p.archived(ctx, key, ref)
	if !errors.Is(err, lockstep.ErrNotFound) {
		return err == nil, err
	}
	got, err := p.importer.Import(ctx, ref)
	if err == nil {
		return true, p.keep(ctx, key, &got)
	}
	if errors.Is(err, lockstep.ErrUnavailable) || ctx.Err() != nil {
		return false, err
	}
	return false, nil // gone, or not what it should be
}

// touches returns a message for every item that stable knows. An import that cannot be had
// any more is not asked for: then the item is not announced as new, and its vectors stay.
func (p *planner) touches(ctx context.Context, s *sight) ([]lockstep.Message, error) {
	var unit []lockstep.Message
	for _, id := range s.itemIDs() {
		m := s.items[id]
		entity, ok := p.arm.classify.Entity(m.item.Key)
		if !ok || entity == "" {
			continue
		}
		msg := Touch(m.before.author.Message, m.item, lockstep.Insert, p.now)
		msg.Change.Entity = entity
		for _, ref := range p.arm.rev.Handler.Reads([]lockstep.Message{msg}).Imports {
			there, err := p.available(ctx, msg.ID, ref)
			if err != nil {
				return nil, err
			}
			if !there {
				msg.Change.Event, msg.Change.Old = lockstep.Modify, m.item.Image
				break
			}
		}
		unit = append(unit, msg)
	}
	slices.SortStableFunc(unit, func(a, b lockstep.Message) int {
		if c := a.Change.Seq.Compare(b.Change.Seq); c != 0 {
			return c
		}
		return strings.Compare(a.Change.Key.Sort, b.Change.Key.Sort)
	})
	return unit, nil
}
