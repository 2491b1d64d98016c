package simtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/zeebo/blake3"

	"lockstep/internal/blob"
	"lockstep/internal/change"
	"lockstep/internal/handler/handlertest"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// witness reads every entry of the log as soon as it exists, and says whether it may be.
// It trusts the codecs and nothing else: states are folded in maps, records are derived
// anew by the model of handlertest.
type witness struct {
	w        *world
	versions []*seen // by number; 0 is the empty index
	objects  map[string][32]byte
	hasher   version.Hasher
}

// row is one record of one version.
type row struct {
	image  []byte
	vector []byte
	author lockstep.Author
}

// seen is one version as the witness knows it.
type seen struct {
	n       uint64
	hash    [32]byte
	entry   *version.Entry
	delta   *version.Delta // nil: changes nothing
	parent  *seen
	rows    map[rowKey]row
	parked  map[string]*message // by id of the parked record
	effects map[string]uint64   // the version on this line in which a message had its effect
	model   *handlertest.Index  // fed with the messages that had one
	// In a world of rings: the same with all of them handled by the good revision, and how
	// many the bad one has decided that are not taken back.
	clean  *handlertest.Index
	spoilt int
}

func newWitness(w *world) *witness {
	zero := &seen{
		entry: &version.Entry{}, rows: map[rowKey]row{}, parked: map[string]*message{}, effects: map[string]uint64{},
		model: handlertest.NewIndex(w.feed.handler(false), w.feed.source),
	}
	if w.reverting {
		zero.clean = zero.model
	}
	return &witness{w: w, versions: []*seen{zero}, objects: map[string][32]byte{}}
}

func (x *witness) head() *seen { return x.versions[len(x.versions)-1] }

// remember keeps the hash of an object, which must never change (invariant 3).
func (x *witness) remember(key string, body []byte) {
	if _, known := x.objects[key]; known {
		x.w.violated(fmt.Errorf("object %s was created twice", key))
	}
	x.objects[key] = sha256.Sum256(body)
}

// unchanged compares every object with what it was (invariant 3).
func (x *witness) unchanged(ctx context.Context) error {
	for key, want := range x.objects {
		body, err := blob.ReadAll(ctx, x.w.store, key, 1<<30)
		if err != nil {
			return err
		}
		if sha256.Sum256(body) != want {
			return fmt.Errorf("object %s has changed", key)
		}
	}
	return nil
}

// entry judges a new entry of the log.
func (x *witness) entry(key string, body []byte) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(key, version.LogPrefix+"/"), 10, 64)
	if err != nil {
		return err
	}
	prev := x.head()
	if n != prev.n+1 {
		return fmt.Errorf("entry %d follows entry %d", n, prev.n)
	}
	le, err := ledger.Decode(body)
	if err != nil {
		return err
	}
	if le.N != n || le.Prev != prev.hash {
		return fmt.Errorf("entry %d says it is %d and follows %x; the one before is %x", n, le.N, le.Prev, prev.hash)
	}
	e, inline, err := version.DecodeEntry(le.Body)
	if err != nil {
		return err
	}
	s := &seen{n: n, hash: blake3.Sum256(body), entry: e}
	if err := x.place(s, prev); err != nil {
		return err
	}
	if s.delta, err = x.deltaOf(e, inline); err != nil {
		return err
	}
	x.show(s)
	for _, check := range []func(*seen) error{x.fold, x.sums, x.messages, x.order, x.derived, x.fences} {
		if err := check(s); err != nil {
			return fmt.Errorf("version %d (%s): %w", n, e.Kind, err)
		}
	}
	x.versions = append(x.versions, s)
	return x.discards(s, prev)
}

// show tells whoever watches what a version says it does.
func (x *witness) show(s *seen) {
	if x.w.log == nil {
		return
	}
	x.w.note("version %d: %s of %d, %s, backlog %+v", s.n, s.entry.Kind, s.parent.n, s.entry.Cause.Command, s.entry.Backlog)
	if s.delta == nil {
		return
	}
	for i := range s.delta.Messages {
		m := &s.delta.Messages[i]
		if m.Outcome == lockstep.Rederived {
			x.w.note("  %s of key %s is %s", m.ID, m.Group, m.Outcome)
			continue
		}
		x.w.note("  %s is %s", x.w.feed.byID[m.ID].name(), m.Outcome)
	}
	for i := range s.delta.Mutations {
		m := &s.delta.Mutations[i]
		x.w.note("  %s %s: %t -> %t, because of %d", m.Collection, m.ID, m.Before != nil, m.After != nil, m.Cause)
	}
}

// place finds the version whose state the new one starts from.
func (x *witness) place(s, prev *seen) error {
	want := prev.n
	if s.entry.Kind == version.Reset {
		want = s.entry.Cause.Target
	}
	if s.entry.Number != s.n || s.entry.Parent != want || want >= s.n {
		return fmt.Errorf("%s entry %d says version %d with parent %d, want parent %d", s.entry.Kind, s.n, s.entry.Number, s.entry.Parent, want)
	}
	s.parent = x.versions[want]
	return nil
}

func (x *witness) deltaOf(e *version.Entry, inline []byte) (*version.Delta, error) {
	if e.Delta == nil {
		return nil, nil
	}
	if e.Kind != version.Compact && e.Kind != version.Revert {
		return nil, fmt.Errorf("a %s entry with a delta", e.Kind)
	}
	body := inline
	if e.Delta.Key != "" {
		var err error
		if body, err = blob.ReadAll(x.w.ctx, x.w.store, e.Delta.Key, 1<<30); err != nil {
			return nil, fmt.Errorf("the delta that the entry names: %w", err)
		}
		x.w.count.large++
	}
	return version.DecodeDelta(body)
}

// fold applies the delta in maps. What it says was there before must have been there.
func (x *witness) fold(s *seen) error {
	s.rows, s.parked, s.effects, s.model = s.parent.rows, s.parent.parked, s.parent.effects, s.parent.model
	s.clean, s.spoilt = s.parent.clean, s.parent.spoilt
	if s.delta == nil {
		return nil
	}
	s.rows, s.parked, s.effects = maps.Clone(s.rows), maps.Clone(s.parked), maps.Clone(s.effects)
	touched := map[rowKey]bool{}
	for i := range s.delta.Mutations {
		m := &s.delta.Mutations[i]
		k := rowKey{m.Collection, m.ID}
		if touched[k] {
			return fmt.Errorf("%v is changed twice", k)
		}
		touched[k] = true
		old, had := s.rows[k]
		switch {
		case had != (m.Before != nil) || !bytes.Equal(old.image, m.Before):
			return fmt.Errorf("%v: the image before is not what was there (there: %t, says: %t)", k, had, m.Before != nil)
		case had && old.author != m.Author:
			return fmt.Errorf("%v: the author before is %+v, says %+v", k, old.author, m.Author)
		case m.VectorBefore != nil && !bytes.Equal(m.VectorBefore, old.vector):
			return fmt.Errorf("%v: the vector before is not what was there", k)
		}
		next, err := after(s, i, old)
		if err != nil {
			return fmt.Errorf("%v: %w", k, err)
		}
		if m.After == nil {
			delete(s.rows, k)
		} else {
			s.rows[k] = next
		}
		if err := x.park(s, k, m); err != nil {
			return err
		}
	}
	return nil
}

// after returns a record as mutation i leaves it, with its author (invariant 5).
func after(s *seen, i int, old row) (row, error) {
	m := &s.delta.Mutations[i]
	if m.Before == nil && m.After == nil {
		return row{}, errors.New("neither before nor after")
	}
	author := s.delta.AuthorAfter(i, s.n)
	if !m.Collection.Builtin() && (author.Message == "" || author.Revision == "") || m.Collection == lockstep.Table && author.Message == "" {
		return row{}, fmt.Errorf("no author: %+v", author)
	}
	if m.After == nil {
		if old.vector != nil && m.VectorBefore == nil {
			return row{}, errors.New("the vector of a deleted record is forgotten")
		}
		return row{}, nil
	}
	rec, err := version.DecodeRecord(m.ID, m.After)
	if err != nil {
		return row{}, err
	}
	vector := old.vector
	if m.VectorAfter != nil {
		if vector = m.VectorAfter; old.vector != nil && m.VectorBefore == nil {
			return row{}, errors.New("the vector that is replaced is forgotten")
		}
	}
	if version.RefOf(vector) != rec.Vector {
		return row{}, errors.New("the record does not name the vector it has")
	}
	return row{m.After, vector, author}, nil
}

// park follows which messages are parked.
func (x *witness) park(s *seen, k rowKey, m *version.Mutation) error {
	if k.c != lockstep.Parked {
		return nil
	}
	if m.After == nil {
		delete(s.parked, k.id)
		return nil
	}
	rec, err := version.DecodeRecord(k.id, m.After)
	if err != nil {
		return err
	}
	pk, err := change.ParseParked(rec, change.Schema{})
	if err != nil {
		return err
	}
	s.parked[k.id] = x.w.feed.byID[pk.Message.ID]
	if s.parked[k.id] == nil {
		return fmt.Errorf("%v: nobody sent message %s", k, pk.Message.ID)
	}
	return nil
}

// sums recomputes the digests of the collections that changed (invariant 6).
func (x *witness) sums(s *seen) error {
	changed := map[lockstep.Collection]bool{}
	if s.delta != nil {
		for i := range s.delta.Mutations {
			changed[s.delta.Mutations[i].Collection] = true
		}
	}
	for _, c := range s.entry.Collections {
		if changed[c.Name] {
			delete(changed, c.Name)
			if n, digest := x.digest(s, c.Name); n != c.Records || digest != c.Digest {
				return fmt.Errorf("%s: it says %d records with digest %s, there are %d with %s", c.Name, c.Records, version.Short(c.Digest), n, version.Short(digest))
			}
			continue
		}
		was, _ := s.parent.entry.Collection(c.Name)
		if was.Digest == "" {
			was.Digest = version.EmptyDigest()
		}
		if was.Digest != c.Digest || was.Records != c.Records {
			return fmt.Errorf("%s: it did not change and has another digest", c.Name)
		}
	}
	for c := range changed {
		return fmt.Errorf("collection %s is not described", c)
	}
	return nil
}

func (x *witness) digest(s *seen, c lockstep.Collection) (int64, string) {
	var t version.Tally
	for k, r := range s.rows {
		if k.c == c {
			x.hasher.Add(&t.Sum, k.id, r.image)
			t.Records++
		}
	}
	return t.Records, t.Sum.Digest()
}

// sameState compares a local state with the version it says it shows.
func (x *witness) sameState(ctx context.Context, st *state.State) error {
	r, err := st.Read()
	if err != nil {
		return err
	}
	return errors.Join(x.sameView(ctx, r), r.Close())
}

func (x *witness) sameView(ctx context.Context, r *state.Reader) error {
	s, n := x.versions[r.Version()], 0
	for _, c := range r.Collections() {
		err := r.Scan(ctx, c, "", func(got state.Row) error {
			n++
			want, ok := s.rows[rowKey{c, string(got.ID)}]
			if !ok || !bytes.Equal(want.image, got.Record) || want.author != got.Author() {
				return fmt.Errorf("version %d: %s %q is not what the version says", s.n, c, got.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if n != len(s.rows) {
		return fmt.Errorf("version %d: %d records, want %d", s.n, n, len(s.rows))
	}
	return nil
}
