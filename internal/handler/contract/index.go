package contract

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// ImportSource finds what a reference names. An error parks the unit.
type ImportSource func(ref handler.ImportRef) (handler.Import, error)

// Entry is one record with its vector; Record.Vector is the vector's reference.
type Entry struct {
	Record lockstep.Record
	Vector []float32
}

// Index is the reference model of the index of one table: a mirror and collections
// in plain maps, with rules written anew and as simply as they can be said. It shares
// no code with the compactor, so that a simulation which compares the two compares two
// opinions. It is slow on purpose: every question is a walk over a map. Fields may be read at
// any time, and Handler and Now set between calls of Apply: that is how a
// simulation changes revisions and moves the clock. It is not safe for concurrent use.
type Index struct {
	Handler handler.Handler
	Source  ImportSource // nil: no import is ever found
	Now     time.Time

	Items   map[string]lockstep.MirrorItem // by ItemKey.RecordID
	Records map[lockstep.Collection]map[string]Entry
	Parked  []lockstep.Message // in order of arrival; their groups wait

	patterns patterns
}

// NewIndex returns the empty index that h will fill from source.
func NewIndex(h handler.Handler, source ImportSource) *Index {
	return &Index{
		Handler: h,
		Source:  source,
		Items:   map[string]lockstep.MirrorItem{},
		Records: map[lockstep.Collection]map[string]Entry{},

		patterns: patterns{},
	}
}

// State is what two indexes are compared by, with go-cmp: published records and
// the mirror. Parked messages are not part of it.
type State struct {
	Records map[lockstep.Collection]map[string]Entry
	Items   map[string]lockstep.MirrorItem
}

// State returns a copy of the present state; empty collections are left out.
func (x *Index) State() State {
	s := State{Records: map[lockstep.Collection]map[string]Entry{}, Items: maps.Clone(x.Items)}
	for c, records := range x.Records {
		if len(records) > 0 {
			s.Records[c] = maps.Clone(records)
		}
	}
	return s
}

// Clone returns an index that goes its own way from here.
func (x *Index) Clone() *Index {
	y := *x
	s := x.State()
	y.patterns = maps.Clone(x.patterns)
	y.Items, y.Records, y.Parked = s.Items, s.Records, slices.Clone(x.Parked)
	return &y
}

// Apply takes the messages as one batch: one unit per Group, in order of arrival.
// It returns the outcome of each message. A unit that the handler refuses, or whose
// import is not found, is parked whole and leaves no trace but in Parked; the later
// messages of its group are parked too. The error is for what no handler may do:
// an answer that breaks CheckMutations; the units before it are applied.
func (x *Index) Apply(ctx context.Context, messages ...lockstep.Message) ([]lockstep.Outcome, error) {
	outcomes := make([]lockstep.Outcome, len(messages))
	groups := map[string][]int{}
	var order []string
	for i, m := range messages {
		if _, ok := groups[m.Group]; !ok {
			order = append(order, m.Group)
		}
		groups[m.Group] = append(groups[m.Group], i)
	}
	for _, g := range order {
		if err := x.group(ctx, messages, groups[g], outcomes); err != nil {
			return outcomes, fmt.Errorf("group %s: %w", g, err)
		}
	}
	return outcomes, nil
}

// Retry takes the parked messages of all groups out and applies them again, in
// order of arrival. What fails again is parked again.
func (x *Index) Retry(ctx context.Context) ([]lockstep.Outcome, error) {
	parked := x.Parked
	x.Parked = nil
	return x.Apply(ctx, parked...)
}

var errParked = errors.New("unit parked")

func (x *Index) group(ctx context.Context, all []lockstep.Message, at []int, outcomes []lockstep.Outcome) error {
	park := slices.ContainsFunc(x.Parked, func(m lockstep.Message) bool { return m.Group == all[at[0]].Group })
	if !park {
		err := x.unit(ctx, all, at, outcomes)
		if err == nil || !errors.Is(err, errParked) {
			return err
		}
	}
	for _, i := range at {
		x.Parked = append(x.Parked, all[i])
		outcomes[i] = lockstep.ParkedAway
	}
	return nil
}

func (x *Index) unit(ctx context.Context, all []lockstep.Message, at []int, outcomes []lockstep.Outcome) error {
	desc := x.Handler.Describe()
	items := map[string]lockstep.MirrorItem{} // changed by this unit
	var unit []lockstep.Message
	var place []int // place[i] is the index in all of unit[i]
	for _, i := range at {
		m := all[i]
		m.Change.Entity = x.patterns.classify(desc.Entities, m.Change.Key)
		if m.Change.Entity == "" {
			outcomes[i] = lockstep.Ignored
			continue
		}
		id := m.Change.Key.RecordID()
		prev, known := items[id]
		if !known {
			prev, known = x.Items[id]
		}
		next, outcome := Merge(prev, known, m.Change)
		if outcome != "" {
			outcomes[i] = outcome
			continue
		}
		items[id] = next
		unit, place = append(unit, m), append(place, i)
		outcomes[i] = lockstep.Unchanged
	}
	if len(unit) == 0 {
		return nil
	}
	reads := x.Handler.Reads(unit)
	view := x.look(items, reads)
	if err := x.imports(&view, reads); err != nil {
		return fmt.Errorf("%w: %w", errParked, err)
	}
	u := handler.Unit{Messages: unit, View: view, Now: x.Now}
	muts, err := x.Handler.Plan(ctx, u)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errParked, err)
	}
	if err := handler.CheckMutations(desc, u, handler.CoverOf(reads.Records), muts, x.dims()); err != nil {
		return err
	}
	maps.Copy(x.Items, items)
	for _, m := range muts {
		if x.mutate(m) {
			outcomes[place[m.Cause]] = lockstep.Applied
		}
	}
	return nil
}

// View returns the records and items that reads asks for, each once, as they are
// now. Imports are left out: asking for them may fail.
func (x *Index) View(reads handler.Reads) handler.View { return x.look(nil, reads) }

// look answers with the changed items in place of those of the mirror.
func (x *Index) look(changed map[string]lockstep.MirrorItem, reads handler.Reads) handler.View {
	v := handler.View{Records: map[lockstep.Collection][]lockstep.Record{}}
	for c, records := range x.Records {
		for id, e := range records {
			if slices.ContainsFunc(reads.Records, func(r handler.RecordRange) bool {
				return r.Has(c, id)
			}) {
				v.Records[c] = append(v.Records[c], e.Record)
			}
		}
		slices.SortFunc(v.Records[c], func(a, b lockstep.Record) int { return strings.Compare(a.ID, b.ID) })
	}
	take := func(it lockstep.MirrorItem) {
		if slices.ContainsFunc(reads.Items, func(r handler.ItemRange) bool {
			return r.Partition == it.Key.Partition && strings.HasPrefix(it.Key.Sort, r.SortPrefix)
		}) {
			v.Items = append(v.Items, it)
		}
	}
	for id, it := range x.Items {
		if _, ok := changed[id]; !ok {
			take(it)
		}
	}
	for _, it := range changed {
		take(it)
	}
	slices.SortFunc(v.Items, func(a, b lockstep.MirrorItem) int { return strings.Compare(a.ID, b.ID) })
	return v
}

// imports adds what reads imports to the view, in its order.
func (x *Index) imports(v *handler.View, reads handler.Reads) error {
	for _, ref := range reads.Imports {
		if x.Source == nil {
			return fmt.Errorf("import %s: %w", ref.Location, lockstep.ErrNotFound)
		}
		im, err := x.Source(ref)
		if err != nil {
			return fmt.Errorf("import %s: %w", ref.Location, err)
		}
		im.Ref = ref
		v.Imports = append(v.Imports, im)
	}
	return nil
}

// mutate applies one mutation and says whether anything differs afterwards.
func (x *Index) mutate(m lockstep.Mutation) bool {
	records := x.Records[m.Collection]
	before, known := records[m.Record.ID]
	if m.Op == lockstep.Delete {
		delete(records, m.Record.ID)
		return known
	}
	after := Entry{Record: m.Record, Vector: m.Vector}
	if m.Vector == nil {
		after.Vector = before.Vector
	}
	after.Record.Vector = reference(after.Vector)
	if !after.Record.HasDocument {
		after.Record.Document = ""
	}
	if records == nil {
		records = map[string]Entry{}
		x.Records[m.Collection] = records
	}
	records[m.Record.ID] = after
	return !known || !same(before.Record, after.Record)
}

func same(a, b lockstep.Record) bool {
	return a.ID == b.ID && a.Document == b.Document && a.HasDocument == b.HasDocument &&
		a.Vector == b.Vector && a.Metadata.Equal(b.Metadata)
}

// reference names a vector as lockstep.VectorRef says: BLAKE3-256 of the
// components as little-endian float32, minus zero as zero.
func reference(v []float32) lockstep.VectorRef {
	if len(v) == 0 {
		return lockstep.VectorRef{}
	}
	b := make([]byte, 0, 4*len(v))
	for _, c := range v {
		if c == 0 {
			c = 0
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(c))
	}
	return lockstep.VectorRef{Hash: blake3.Sum256(b), Dim: uint32(len(v))}
}

// dims are the dimensions of the collections that have a vector.
func (x *Index) dims() map[lockstep.Collection]int {
	dims := map[lockstep.Collection]int{}
	for c, records := range x.Records {
		for _, e := range records {
			dims[c] = len(e.Vector)
			break
		}
	}
	return dims
}
