package app

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/guard"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// tally adds up what versions say, one after the other: since a release began, or, without
// one, since some minutes ago. It is a function of the ledger of versions alone, so that
// everybody who looks counts the same, and somebody who was restarted counts on.
type tally struct {
	trial     string           // name of the attempt; "" without a release
	candidate string           // revision ID
	stable    handler.Revision // says which items announce imports
	keep      []string         // metadata keys that must not be lost

	through  uint64 // the last version added
	newest   time.Time
	versions int64
	arms     map[string]*armTally // "candidate", "stable"
	parked   int64                // messages set aside because their handler failed
	before   map[lockstep.Collection]int64
	removed  map[lockstep.Collection]int64
	lost     map[lockstep.Collection]map[string]bool
	compared int64 // records of which keys were compared
	keysLost int64
	runs     int64 // imports announced
	vectors  int64
	empty    int64

	touched []touchedItem // the last items of the table that changed, oldest first
}

// armTally is what one revision did.
type armTally struct {
	units, bad        int64
	messages, applied int64
	took              map[int]int
}

// touchedItem is an item of the table that a version changed.
type touchedItem struct {
	id      string // in the mirror
	group   string
	message string
	event   lockstep.Event
	version uint64
	at      time.Time
}

const (
	maxTouched = 512
	maxLost    = 1 << 16 // ids of one collection; beyond it every loss has long been seen
)

const (
	armCandidate = "candidate"
	armStable    = "stable"
)

// newTally begins behind the entry e, nil for the empty index.
func newTally(trial, candidate string, stable handler.Revision, keep []string, e *version.Entry) *tally {
	t := &tally{
		trial: trial, candidate: candidate, stable: stable, keep: keep,
		arms: map[string]*armTally{armCandidate: {took: map[int]int{}}, armStable: {took: map[int]int{}}},
	}
	t.rebase(e)
	return t
}

// rebase makes the records of e what later versions are compared with.
func (t *tally) rebase(e *version.Entry) {
	t.before, t.removed, t.lost = map[lockstep.Collection]int64{}, map[lockstep.Collection]int64{}, map[lockstep.Collection]map[string]bool{}
	if e == nil {
		return
	}
	t.through, t.newest = e.Number, e.At
	for _, c := range e.Collections {
		if !c.Name.Builtin() {
			t.before[c.Name] = c.Records
		}
	}
}

// read adds the versions up to the head.
func (t *tally) read(ctx context.Context, store *Store, head uint64) error {
	for n := t.through + 1; n <= head; n++ {
		e, err := store.Log.Read(ctx, n)
		if err != nil {
			return fmt.Errorf("facts of version %d: %w", n, err)
		}
		d, err := store.Log.Delta(ctx, n)
		if err != nil {
			return fmt.Errorf("facts of version %d: %w", n, err)
		}
		if err := t.take(ctx, store, e, d); err != nil {
			return fmt.Errorf("facts of version %d: %w", n, err)
		}
	}
	return nil
}

// take adds one version, which follows the last one; d may be nil.
func (t *tally) take(ctx context.Context, store *Store, e *version.Entry, d *version.Delta) error {
	t.through, t.newest = e.Number, e.At
	for _, c := range e.Collections {
		if _, known := t.before[c.Name]; !known && !c.Name.Builtin() {
			t.before[c.Name] = 0 // it is there, and had nothing to lose
		}
	}
	switch e.Kind {
	case version.Fence, version.BaseSet:
		return nil
	case version.Reset, version.Revert, version.Rebuild:
		// Somebody put the data back: what vanished by that is no loss.
		t.rebase(e)
		return nil
	case version.Compact, version.Import:
	}
	t.versions++
	if d == nil {
		d = &version.Delta{}
	}
	items, err := t.items(e, d)
	if err != nil {
		return err
	}
	if err := t.records(d, items); err != nil {
		return err
	}
	t.trialArms(e, d)
	return t.imports(ctx, store, d, items)
}

// changedItem is an item of the table as a version found it and left it.
type changedItem struct {
	before, after lockstep.MirrorItem
}

// event says how the item came to be as it is.
func (c changedItem) event() lockstep.Event {
	if c.before.Image == nil {
		return lockstep.Insert
	}
	return lockstep.Modify
}

// items reads what the version did to the mirror and to the parked messages, by cause.
func (t *tally) items(e *version.Entry, d *version.Delta) (map[int]changedItem, error) {
	out := map[int]changedItem{}
	for i := range d.Mutations {
		m := &d.Mutations[i]
		switch m.Collection {
		case lockstep.Table:
			one, err := itemOf(m)
			if err != nil {
				return nil, err
			}
			if m.Cause < 0 || m.Cause >= len(d.Messages) {
				continue
			}
			out[m.Cause] = one
			msg := &d.Messages[m.Cause]
			t.touched = append(t.touched, touchedItem{id: m.ID, group: msg.Group, message: msg.ID, event: one.event(), version: e.Number, at: e.At})
		case lockstep.Parked:
			if m.Before != nil || m.After == nil {
				continue
			}
			rec, err := version.DecodeRecord(m.ID, m.After)
			if err != nil {
				return nil, err
			}
			if p, err := change.ParseParked(rec, t.stable.Handler.Describe().Key); err != nil || !p.Blocked {
				t.parked++
			}
		case lockstep.Malformed:
		}
	}
	t.touched = slices.Delete(t.touched, 0, max(0, len(t.touched)-maxTouched))
	return out, nil
}

func itemOf(m *version.Mutation) (one changedItem, err error) {
	for _, side := range []struct {
		image []byte
		into  *lockstep.MirrorItem
	}{{m.Before, &one.before}, {m.After, &one.after}} {
		if side.image == nil {
			continue
		}
		rec, err := version.DecodeRecord(m.ID, side.image)
		if err != nil {
			return one, err
		}
		if *side.into, err = change.ParseMirror(rec); err != nil {
			return one, err
		}
	}
	return one, nil
}

// records follows which published records vanish. One whose own message removed an item
// of the table is accounted for; one that comes back is not lost.
func (t *tally) records(d *version.Delta, items map[int]changedItem) error {
	for i := range d.Mutations {
		m := &d.Mutations[i]
		if m.Collection.Builtin() {
			continue
		}
		lost := t.lost[m.Collection]
		if m.After != nil {
			delete(lost, m.ID)
			if err := t.keys(m); err != nil {
				return err
			}
			continue
		}
		if item, ok := items[m.Cause]; ok && item.after.Image == nil {
			t.removed[m.Collection]++
			continue
		}
		if lost == nil {
			lost = map[string]bool{}
			t.lost[m.Collection] = lost
		}
		if len(lost) < maxLost {
			lost[m.ID] = true
		}
	}
	return nil
}

// keys looks whether the candidate left out a metadata key that must not be lost.
func (t *tally) keys(m *version.Mutation) error {
	if len(t.keep) == 0 || m.Before == nil || t.candidate == "" || !release.SameRevision(m.Revision, t.candidate) {
		return nil
	}
	old, err := version.DecodeRecord(m.ID, m.Before)
	if err != nil {
		return err
	}
	now, err := version.DecodeRecord(m.ID, m.After)
	if err != nil {
		return err
	}
	t.compared++
	for _, key := range t.keep {
		_, had := old.Metadata.Get(key)
		if _, has := now.Metadata.Get(key); had && !has {
			t.keysLost++
			return nil
		}
	}
	return nil
}

// trialArms adds the units. Which messages had an effect is told by the mutations, and by
// whom by their revision; where a unit failed and stable covered it, these two do not
// belong together, and such a version says nothing about effects.
func (t *tally) trialArms(e *version.Entry, d *version.Delta) {
	if t.trial == "" || e.Trial == nil || e.Trial.Name != t.trial {
		return
	}
	covered := false
	messages := map[string]int64{}
	for i := range e.Trial.Arms {
		u := &e.Trial.Arms[i]
		name := t.armOf(u.Revision)
		a := t.arms[name]
		a.units, a.bad = a.units+int64(u.Units), a.bad+int64(u.Bad)
		covered = covered || u.Bad > 0
		for k, n := range u.Took {
			a.took[k] += n
		}
		for _, n := range u.Events {
			messages[name] += int64(n)
		}
	}
	if covered {
		return
	}
	applied := map[string]map[int]bool{armCandidate: {}, armStable: {}}
	for i := range d.Mutations {
		if m := &d.Mutations[i]; m.Revision != "" && !m.Collection.Builtin() {
			applied[t.armOf(m.Revision)][m.Cause] = true
		}
	}
	for name, n := range messages {
		a := t.arms[name]
		a.messages, a.applied = a.messages+n, a.applied+min(n, int64(len(applied[name])))
	}
}

func (t *tally) armOf(revision string) string {
	if release.SameRevision(revision, t.candidate) {
		return armCandidate
	}
	return armStable
}

// at returns the facts that the ledger holds.
func (t *tally) at(now time.Time) guard.Facts {
	f := guard.Facts{
		At: now, Candidate: t.arms[armCandidate].arm(), Stable: t.arms[armStable].arm(),
		ParkedEver: t.parked, Versions: t.versions, LastVersion: t.newest,
		RecordsCompared: t.compared, KeysLost: t.keysLost,
		ImportRuns: t.runs, ImportVectors: t.vectors, ImportsEmpty: t.empty,
	}
	for _, c := range slices.Sorted(maps.Keys(t.before)) {
		// Of the records that were there before: growth must not hide a loss.
		left := t.before[c] - t.removed[c] - int64(len(t.lost[c]))
		f.Collections = append(f.Collections, guard.Collection{Name: string(c), Before: t.before[c], After: left, Removed: t.removed[c]})
	}
	return f
}

func (a *armTally) arm() guard.Arm {
	return guard.Arm{
		Units: a.units, Failed: a.bad, Messages: a.messages, Unchanged: a.messages - a.applied,
		UnitP50: quantile(a.took, 0.5), UnitP90: quantile(a.took, 0.9),
	}
}

// quantile is the time within which a share of the units is done, to a quarter of an
// octave; 0 without units.
func quantile(took map[int]int, share float64) time.Duration {
	all := 0
	for _, n := range took {
		all += n
	}
	sum := 0
	for _, k := range slices.Sorted(maps.Keys(took)) {
		if sum += took[k]; float64(sum) >= share*float64(all) {
			return time.Duration(math.Exp2(float64(k)/4) * float64(time.Microsecond))
		}
	}
	return 0
}
