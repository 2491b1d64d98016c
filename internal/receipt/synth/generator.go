// Package synth invents receipts: the table items, the stream records and the
// embeddings of a receipt table, at the scale of DOMAIN 12, for tests, benchmarks
// and the demo. Nothing in it is taken from a real purchase.
//
// Everything follows from the seed: the i-th receipt is the same whatever was
// asked for before, and so is the n-th edit after the same edits.
package synth

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"time"

	"lockstep/internal/lockstep"
)

// Options say what to invent. The zero value is complete.
type Options struct {
	Receipts  int       // how many there are; 0: 10
	Lines     Range     // lines per receipt; zero: 40 to 84
	Words     Range     // words per line; zero: 1 to 4
	Dimension int       // components per vector; 0: 1536
	Labels    int       // per cent of words that have a label; 0: 30, negative: none
	Letters   int       // letters per word as items of their own; 0: none
	Place     Place     // which entity holds the merchant; "" is PlaceItems
	Start     time.Time // of the first record; zero: 2026-01-05 09:00 UTC
}

// Range is a number from Min to Max, both included.
type Range struct{ Min, Max int }

// Place chooses between the two generations of the merchant entity.
type Place string

// The choices.
const (
	PlaceItems    Place = "place"    // RECEIPT_PLACE (DOMAIN 1.2)
	MetadataItems Place = "metadata" // RECEIPT_METADATA (DOMAIN 1.1)
	BothItems     Place = "both"     // the time of the change-over
)

// Generator invents one table. It is not safe for concurrent use: edits change
// the receipts that it holds.
type Generator struct {
	seed   uint64
	opts   Options
	rng    *rand.Rand // of edits
	edited map[int]*Receipt
	edits  uint64
	runs   map[string]*run // re-embeddings, by run id
}

// New returns the generator of seed. Options out of range are brought into it:
// every count is at least 1, every range at least Min.
func New(seed uint64, opts Options) *Generator {
	opts.Receipts = atLeast(opts.Receipts, 10)
	opts.Dimension = atLeast(opts.Dimension, 1536)
	opts.Lines = opts.Lines.or(Range{40, 84})
	opts.Words = opts.Words.or(Range{1, 4})
	if opts.Labels == 0 {
		opts.Labels = 30
	}
	if opts.Place == "" {
		opts.Place = PlaceItems
	}
	if opts.Start.IsZero() {
		opts.Start = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	}
	return &Generator{
		seed:   seed,
		opts:   opts,
		rng:    rand.New(rand.NewPCG(seed, editStream)),
		edited: map[int]*Receipt{},
		runs:   map[string]*run{},
	}
}

// The streams of random numbers that must not meet: receipts use their own index.
const (
	editStream   = 1 << 62
	vectorStream = 1 << 63
)

func atLeast(n, otherwise int) int {
	if n < 1 {
		return otherwise
	}
	return n
}

func (r Range) or(otherwise Range) Range {
	if r.Min < 1 {
		return otherwise
	}
	return Range{r.Min, max(r.Min, r.Max)}
}

func (r Range) pick(rng *rand.Rand) int { return r.Min + rng.IntN(r.Max-r.Min+1) }

// Len returns the number of receipts.
func (g *Generator) Len() int { return g.opts.Receipts }

// Event is one stream record.
type Event struct {
	ID     string
	Change lockstep.Change // Entity is not set: classification is the reader's
}

// Events yields the creation of every receipt: its items as INSERTs, the run last.
// It does not see edits and may be ranged over any number of times.
func (g *Generator) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for i := range g.opts.Receipts {
			for _, e := range g.creation(i) {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// creation returns the INSERTs of receipt i. Their sequence numbers depend on i
// and the place in the list alone, and all are smaller than those of edits.
func (g *Generator) creation(i int) []Event {
	items := g.fresh(i).items(g.opts)
	events := make([]Event, len(items))
	for k, it := range items {
		seq := fmt.Sprintf("100000000%09d%06d", i, k)
		events[k] = Event{
			ID: "create-" + strconv.Itoa(i) + "-" + strconv.Itoa(k),
			Change: lockstep.Change{
				Key: it.key, Event: lockstep.Insert, Seq: lockstep.Sequence(seq), New: it.image,
				At: g.opts.Start.Add(time.Duration(i) * time.Minute),
			},
		}
	}
	return events
}

// Message returns the envelope of the event, as a decoder of AppendJSON would.
func (e Event) Message() lockstep.Message {
	return lockstep.Message{ID: e.ID, Group: e.Change.Key.Partition, Source: "synth", Change: e.Change, Body: e.AppendJSON(nil)}
}
