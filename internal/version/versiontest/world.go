// Package versiontest builds histories for tests: real logs of versions with real
// deltas, beside a model in plain maps of what every version must contain.
package versiontest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// TB is the part of testing.TB that a World needs; rapid's T has it too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Key names one record.
type Key struct {
	Collection lockstep.Collection
	ID         string
}

// Row is one record as the model knows it.
type Row struct {
	Image  []byte // canonical record
	Vector []byte
	Author lockstep.Author
}

// World is a log and the model of every version in it. One goroutine each.
type World struct {
	Store blob.Store
	Log   *version.Log
	Bases Bases
	// Clock is the time of the next version's entry; Mem stores can share it by Now.
	Clock time.Time

	tb     TB
	head   version.Head
	states map[uint64]map[Key]Row
	framer *version.Framer
	rnd    *rand.Rand
	bases  int
}

// New returns an empty world in store. Its clock begins on 4 May 2026.
func New(tb TB, store blob.Store) *World {
	tb.Helper()
	f, err := version.NewFramer()
	if err != nil {
		tb.Fatalf("framer: %v", err)
	}
	w := &World{
		Store: store, Bases: Bases{store}, Clock: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), tb: tb, framer: f,
		states: map[uint64]map[Key]Row{0: {}}, rnd: rand.New(rand.NewPCG(1, 2)),
	}
	w.Log = version.NewLog(store, ledger.Options{Now: func() time.Time { return w.Clock }, Prefetch: 1})
	return w
}

// Reopen forgets everything that the log keeps in memory, as a new process would.
func (w *World) Reopen() {
	w.Log = version.NewLog(w.Store, ledger.Options{Now: func() time.Time { return w.Clock }, Prefetch: 1})
}

// Write is one record as a version shall leave it.
type Write struct {
	Collection lockstep.Collection
	ID         string
	Record     *lockstep.Record // nil deletes
	Vector     []float32        // nil keeps the one it has
	Message    string           // id of the message that caused it, "" for none
	Body       string           // what the archive keeps of the message
	Revision   string
}

// Rec returns a record with a document and, for each pair, a metadata string.
func Rec(id, document string, pairs ...string) *lockstep.Record {
	m := map[string]lockstep.Value{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = lockstep.String(pairs[i+1])
	}
	return &lockstep.Record{ID: id, Document: document, HasDocument: true, Metadata: lockstep.MetadataOf(m)}
}

// State returns the model of one version; do not change it.
func (w *World) State(n uint64) map[Key]Row { return w.states[n] }

// Head returns the newest version's number.
func (w *World) Head() uint64 { return w.head.Number() }

// Entry returns the head's entry.
func (w *World) Entry() *version.Entry { return w.head.Entry }

// Commit publishes a version with the writes and returns its number.
func (w *World) Commit(ctx context.Context, writes ...Write) uint64 {
	w.tb.Helper()
	d, next := w.Plan(writes...)
	return w.publish(ctx, w.entry(version.Compact, d, next), d, next)
}

// CommitLarge is Commit with a message so large that the delta becomes an object.
func (w *World) CommitLarge(ctx context.Context, writes ...Write) uint64 {
	w.tb.Helper()
	d, next := w.Plan(writes...)
	body := make([]byte, version.InlineBytes+1)
	for i := range body {
		body[i] = byte(w.rnd.Uint32())
	}
	d.Messages = append(d.Messages, version.Archived{ID: fmt.Sprintf("large-%d", w.Head()+1), Outcome: lockstep.Unchanged, Body: body})
	return w.publish(ctx, w.entry(version.Compact, d, next), d, next)
}

// Publish commits with an entry changed by change, for entries that Commit cannot make.
func (w *World) Publish(ctx context.Context, kind version.Kind, change func(*version.Entry), writes ...Write) uint64 {
	w.tb.Helper()
	d, next := w.Plan(writes...)
	if len(writes) == 0 {
		d = nil
	}
	e := w.entry(kind, d, next)
	change(e)
	return w.publish(ctx, e, d, next)
}

// Reset publishes the state of an earlier version, the messages since in a backlog.
func (w *World) Reset(ctx context.Context, to uint64, backlog ...version.Span) uint64 {
	w.tb.Helper()
	e := &version.Entry{Kind: version.Reset, Parent: to, Backlog: backlog, Cause: version.Cause{Command: "reset", Target: to}, At: w.Clock}
	e.Collections = describe(w.states[to], w.head.Entry)
	if to > 0 {
		t, err := w.Log.Read(ctx, to)
		if err != nil {
			w.tb.Fatalf("reset to %d: %v", to, err)
		}
		e.Base, e.SinceBase, e.Chain = t.Base, t.SinceBase, t.Chain
	}
	return w.publish(ctx, e, nil, w.states[to])
}

// Base writes a base of version n and publishes the entry that names it.
func (w *World) Base(ctx context.Context, n uint64) uint64 {
	w.tb.Helper()
	ref := w.WriteBase(ctx, n)
	return w.Publish(ctx, version.BaseSet, func(e *version.Entry) { e.Base = &ref })
}

// WriteBase writes a base of version n and does not publish it.
func (w *World) WriteBase(ctx context.Context, n uint64) version.BaseRef {
	w.tb.Helper()
	w.bases++
	ref := version.BaseRef{Version: n, Unique: fmt.Sprintf("u%04d", w.bases)}
	size, err := w.Bases.write(ctx, w.framer, ref, w.states[n])
	if err != nil {
		w.tb.Fatalf("base of %d: %v", n, err)
	}
	ref.Bytes = size
	return ref
}

// Plan returns the delta that the writes make on the head's state, and that state
// afterwards.
func (w *World) Plan(writes ...Write) (*version.Delta, map[Key]Row) {
	n := w.Head() + 1
	d, next, causes := &version.Delta{}, maps.Clone(w.states[w.Head()]), map[string]int{}
	for _, wr := range writes {
		k := Key{wr.Collection, wr.ID}
		old, had := next[k]
		m := version.Mutation{Collection: wr.Collection, ID: wr.ID, Cause: -1, Revision: wr.Revision}
		if wr.Message != "" {
			i, ok := causes[wr.Message]
			if !ok {
				i = len(d.Messages)
				causes[wr.Message] = i
				d.Messages = append(d.Messages, version.Archived{ID: wr.Message, Group: "g", Source: "test", Outcome: lockstep.Applied, Body: []byte(wr.Body)})
			}
			m.Cause = i
		}
		if had {
			m.Before, m.Author = old.Image, old.Author
		}
		row := Row{Author: lockstep.Author{Version: n, Message: wr.Message, Revision: wr.Revision}}
		if wr.Record != nil {
			rec := *wr.Record
			row.Vector = old.Vector
			if wr.Vector != nil {
				row.Vector = version.AppendVector(nil, wr.Vector)
			}
			rec.Vector = version.RefOf(row.Vector)
			row.Image = version.AppendRecord(nil, &rec)
			m.After = row.Image
		}
		if !bytes.Equal(old.Vector, row.Vector) {
			m.VectorBefore, m.VectorAfter = old.Vector, row.Vector
		}
		if m.Before == nil && m.After == nil {
			continue
		}
		d.Mutations = append(d.Mutations, m)
		if next[k] = row; m.After == nil {
			delete(next, k)
		}
	}
	return d, next
}

func (w *World) entry(kind version.Kind, d *version.Delta, next map[Key]Row) *version.Entry {
	e := &version.Entry{Kind: kind, Parent: w.Head(), At: w.Clock, Cause: version.Cause{Actor: "test"}}
	if prev := w.head.Entry; prev != nil {
		e.Base, e.Backlog, e.SinceBase, e.Chain = prev.Base, slices.Clone(prev.Backlog), prev.SinceBase, prev.Chain
	}
	if d != nil {
		e.Delta = &version.DeltaRef{Messages: len(d.Messages), Mutations: len(d.Mutations)}
		e.Chain++
	}
	e.Collections = describe(next, w.head.Entry)
	return e
}

func (w *World) publish(ctx context.Context, e *version.Entry, d *version.Delta, next map[Key]Row) uint64 {
	w.tb.Helper()
	var body []byte
	var err error
	if d != nil {
		if body, err = w.framer.EncodeDelta(d); err != nil {
			w.tb.Fatalf("encode delta: %v", err)
		}
	}
	head, err := w.Log.Publish(ctx, w.head, e, body)
	if err != nil {
		w.tb.Fatalf("publish version %d: %v", e.Number, err)
	}
	w.head, w.states[head.Number()] = head, next
	return head.Number()
}

// describe computes the collections of a state from nothing, those of prev included.
func describe(rows map[Key]Row, prev *version.Entry) []version.CollectionState {
	var h version.Hasher
	tallies := map[lockstep.Collection]*version.Tally{}
	if prev != nil {
		for _, c := range prev.Collections {
			tallies[c.Name] = &version.Tally{}
		}
	}
	for k, r := range rows {
		if tallies[k.Collection] == nil {
			tallies[k.Collection] = &version.Tally{}
		}
		t := tallies[k.Collection]
		h.Add(&t.Sum, k.ID, r.Image)
		t.Records++
	}
	out := make([]version.CollectionState, 0, len(tallies))
	for c, t := range tallies {
		out = append(out, version.CollectionState{Name: c, Records: t.Records, Digest: t.Sum.Digest()})
	}
	slices.SortFunc(out, func(a, b version.CollectionState) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return out
}
