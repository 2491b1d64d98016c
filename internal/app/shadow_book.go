package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/shadow"
)

// shadowPrefix begins the ledgers of comparisons, one per pair of revisions, and
// acceptedPrefix that of the differences that are expected (docs/format/shadow.md).
const (
	shadowPrefix   = "shadow"
	acceptedPrefix = shadowPrefix + "/accepted"
)

const shadowFormat = 1

// ShadowRecord is what is known about a candidate from comparing it with stable: one entry
// of the pair's ledger, complete, so that the newest says all.
type ShadowRecord struct {
	Format    int    `json:"format"`
	Stable    string `json:"stable"`
	Candidate string `json:"candidate"`
	// Through is the newest version that was looked at. Each is looked at once: an entry is
	// appended behind the one that it continues, so that of two comparers one goes on.
	Through uint64       `json:"through"`
	At      time.Time    `json:"at"`
	Step    *ShadowStep  `json:"step,omitempty"`
	Hard    []ShadowHard `json:"hard,omitempty"`
	Tally   shadow.Tally `json:"tally"`
	// Narrow is Tally without what was expected when it was compared. A tally keeps apart
	// only so many sets of classes; a migration, whose every unit differs in its own, has
	// more, and what is beyond them cannot be judged under acceptances any more.
	Narrow shadow.Tally `json:"narrow"`
}

// counts judges the units under the acceptances that hold at now: exactly, as long as the
// tally keeps them apart, and otherwise with those that held when they were compared.
func (r *ShadowRecord) counts(accepted shadow.Acceptances, now time.Time) (shadow.Counts, error) {
	body, err := json.Marshal(r.Tally)
	if err != nil {
		return shadow.Counts{}, fmt.Errorf("judge a comparison: %w", err)
	}
	var stored struct {
		Rest *json.RawMessage `json:"rest"`
		Sets []struct {
			More bool `json:"more"`
		} `json:"sets"`
	}
	if err := json.Unmarshal(body, &stored); err != nil {
		return shadow.Counts{}, fmt.Errorf("judge a comparison: %w", err)
	}
	beyond := stored.Rest != nil
	for _, s := range stored.Sets {
		beyond = beyond || s.More
	}
	if beyond {
		return r.Narrow.Counts(accepted, now), nil
	}
	return r.Tally.Counts(accepted, now), nil
}

// ShadowStep counts what was compared since a step of a release began.
type ShadowStep struct {
	Release string        `json:"release"`
	Attempt int           `json:"attempt"`
	Step    int           `json:"step"`
	Units   uint64        `json:"units"`
	Events  []ShadowEvent `json:"events,omitempty"` // sorted
}

// ShadowEvent counts the changes of one kind.
type ShadowEvent struct {
	Event lockstep.Event `json:"event"`
	Count uint64         `json:"count"`
}

// ShadowHard is a broken invariant that was seen again when the unit was run once more.
type ShadowHard struct {
	Class shadow.Class `json:"class"`
	Units int64        `json:"units"`
}

func (s *ShadowStep) of(r *release.Release) bool {
	return s != nil && s.Release == r.ID && s.Attempt == r.Attempt && s.Step == r.Step
}

// mix returns the kinds of change that were met.
func (s *ShadowStep) mix() []lockstep.Event {
	var out []lockstep.Event
	for _, e := range s.Events {
		out = append(out, e.Event)
	}
	return out
}

// after returns the record with what was seen up to version through, of which the step's
// share is step; nil when none of it is.
func (r *ShadowRecord) after(s *comparison, through uint64, step *ShadowStep) *ShadowRecord {
	next := *r
	next.Through = through
	next.Tally = shadow.Tally{}
	next.Tally.Merge(&r.Tally)
	next.Tally.Merge(&s.tally)
	next.Narrow = shadow.Tally{}
	next.Narrow.Merge(&r.Narrow)
	next.Narrow.Merge(&s.narrow)
	hard := maps.Clone(s.confirmed)
	for _, h := range r.Hard {
		hard[h.Class] += h.Units
	}
	next.Hard = nil
	for _, c := range slices.Sorted(maps.Keys(hard)) {
		next.Hard = append(next.Hard, ShadowHard{c, hard[c]})
	}
	next.Hard = next.Hard[:min(len(next.Hard), shadow.MaxClasses)]
	next.Step = step
	return &next
}

// plus returns the step with further units.
func (s *ShadowStep) plus(units uint64, events map[lockstep.Event]uint64) *ShadowStep {
	next := *s
	next.Units += units
	all := maps.Clone(events)
	for _, e := range s.Events {
		all[e.Event] += e.Count
	}
	next.Events = nil
	for _, e := range slices.Sorted(maps.Keys(all)) {
		next.Events = append(next.Events, ShadowEvent{e, all[e]})
	}
	return &next
}

// shadowBook is the ledger of one pair.
type shadowBook struct {
	log               *ledger.Log
	stable, candidate string
}

func contentOf(revision string) string {
	_, hash, _ := strings.Cut(revision, "+")
	return hash
}

func shadowPairPrefix(stable, candidate string) string {
	return fmt.Sprintf("%s/%s.%s", shadowPrefix, contentOf(candidate), contentOf(stable))
}

// ComparisonsInUse returns the prefixes of the comparisons that the release under way rests
// on, and those of the latest one that is over: "analysis explain" shows them.
func (s *Store) ComparisonsInUse(ctx context.Context) ([]string, error) {
	head, err := release.NewLog(s.Blobs, ledger.Options{}).Head(ctx)
	if err != nil {
		return nil, err
	}
	r := head.State().Release
	if r == nil {
		return nil, nil
	}
	return []string{shadowPairPrefix(r.KnownGood.Revision, r.Candidate)}, nil
}

// newShadowBook opens the ledger of a pair, by content: a retry, and another release of the
// same two, go on where the last one was. A bad candidate is not tried until chance lets it
// through.
func newShadowBook(store blob.Store, now func() time.Time, stable, candidate string) *shadowBook {
	return &shadowBook{ledger.New(store, shadowPairPrefix(stable, candidate), ledger.Options{Now: now}), stable, candidate}
}

// head returns the newest record, an empty one when nothing was compared yet.
func (b *shadowBook) head(ctx context.Context) (ledger.Entry, *ShadowRecord, error) {
	le, err := b.log.Head(ctx)
	if errors.Is(err, lockstep.ErrNotFound) {
		return ledger.Entry{}, &ShadowRecord{Format: shadowFormat, Stable: b.stable, Candidate: b.candidate}, nil
	}
	if err != nil {
		return le, nil, fmt.Errorf("comparisons of %s: %w", b.candidate, err)
	}
	r, err := DecodeShadowRecord(le.Body)
	if err != nil {
		return le, nil, fmt.Errorf("comparisons of %s, entry %d: %w", b.candidate, le.N, err)
	}
	return le, r, nil
}

// append writes r behind prev. Errors as ledger.Log.Append.
func (b *shadowBook) append(ctx context.Context, prev ledger.Entry, r *ShadowRecord) (ledger.Entry, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return prev, fmt.Errorf("keep a comparison: %w", err)
	}
	le, err := b.log.Append(ctx, prev, append(body, '\n'))
	if err != nil {
		return prev, fmt.Errorf("keep a comparison: %w", err)
	}
	return le, nil
}

// DecodeShadowRecord reads a stored comparison, strictly. ErrCorrupt, or ErrRefused for
// another version of the format.
func DecodeShadowRecord(body []byte) (*ShadowRecord, error) {
	r := &ShadowRecord{}
	if err := decodeStored(body, r); err != nil {
		return nil, err
	}
	if r.Stable == "" || r.Candidate == "" || contentOf(r.Candidate) == "" || contentOf(r.Stable) == "" {
		return nil, fmt.Errorf("comparison: %w: it does not say of what", lockstep.ErrCorrupt)
	}
	for _, h := range r.Hard {
		if err := h.Class.Check(); err != nil || !h.Class.Hard() || h.Units <= 0 {
			return nil, fmt.Errorf("comparison: %w: %q is no broken invariant", lockstep.ErrCorrupt, h.Class)
		}
	}
	return r, nil
}

// decodeStored reads one JSON object of the formats of this file.
func decodeStored(body []byte, into any) error {
	var probe struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(body, &probe); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if probe.Format != shadowFormat {
		return fmt.Errorf("%w: format %d, this program reads %d", lockstep.ErrRefused, probe.Format, shadowFormat)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows it", lockstep.ErrCorrupt)
	}
	return nil
}
