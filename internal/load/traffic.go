package load

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

// KeyPrefix begins the partition key of everything that a load test writes. No image
// of the table has such an id, for these are UUIDs.
const KeyPrefix = "IMAGE#" + marker

const (
	marker      = "lockstep-load-"
	imagePrefix = "IMAGE#"
	entityRun   = "COMPACTION_RUN"
)

// Shape says what traffic looks like. The zero Shape is complete but for Epoch.
type Shape struct {
	Seed      uint64
	Keys      int     // receipts; 0: 50
	Skew      float64 // 0: every receipt as often as any other; 1: Zipf's law
	Mix       Mix     // zero: DefaultMix
	Dimension int     // components per vector; 0: 8
	Lines     int     // lines per receipt, with one to three words each; 0: 12
	// Epoch is where sequence numbers begin: greater than those of every earlier run,
	// such as the time in nanoseconds.
	Epoch uint64
}

// Limits of a shape.
const (
	MaxKeys  = 100_000
	maxSkew  = 10
	maxLines = 1000
)

func (s Shape) complete() (Shape, error) {
	if s.Keys == 0 {
		s.Keys = 50
	}
	if s.Lines == 0 {
		s.Lines = 12
	}
	if s.Dimension == 0 {
		s.Dimension = 8
	}
	if s.Mix == (Mix{}) {
		s.Mix = DefaultMix()
	}
	switch {
	case s.Keys < 1 || s.Keys > MaxKeys:
		return s, fmt.Errorf("%w keys %d: want 1 to %d", lockstep.ErrInvalid, s.Keys, MaxKeys)
	case !(s.Skew >= 0 && s.Skew <= maxSkew):
		return s, fmt.Errorf("%w skew %g: want 0 to %d", lockstep.ErrInvalid, s.Skew, maxSkew)
	case s.Lines < 1 || s.Lines > maxLines:
		return s, fmt.Errorf("%w lines %d: want 1 to %d", lockstep.ErrInvalid, s.Lines, maxLines)
	case s.Dimension < 1 || s.Dimension > lockstep.MaxDimension:
		return s, fmt.Errorf("%w dimension %d: want 1 to %d", lockstep.ErrInvalid, s.Dimension, lockstep.MaxDimension)
	case s.Epoch > math.MaxInt64:
		return s, fmt.Errorf("%w epoch %d", lockstep.ErrInvalid, s.Epoch)
	}
	return s, nil
}

// Traffic invents the changes of one run: first the receipts, then what happens to
// them. It is not safe for concurrent use.
type Traffic struct {
	shape Shape
	gen   *synth.Generator
	rng   *rand.Rand
	keys  keys
	sent  uint64        // changes made so far: the number of the newest
	queue []synth.Event // of a deed that is several changes
	done  Done
}

// Done counts changes by what they did to their item.
type Done struct {
	Inserts int `json:"inserts"`
	Edits   int `json:"edits"`
	Deletes int `json:"deletes"`
}

// trafficStream keeps the random numbers apart from those of arrivals and of synth.
const (
	trafficStream = 0x10ad
	arrivalStream = 0xa41
)

// NewTraffic returns the traffic of a shape. ErrInvalid: the shape is out of range.
func NewTraffic(s Shape) (*Traffic, error) {
	s, err := s.complete()
	if err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	lines := synth.Range{Min: max(1, s.Lines-s.Lines/4), Max: s.Lines + s.Lines/4}
	return &Traffic{
		shape: s,
		gen:   synth.New(s.Seed, synth.Options{Receipts: s.Keys, Lines: lines, Words: synth.Range{Min: 1, Max: 3}, Dimension: s.Dimension, Start: time.Unix(0, int64(s.Epoch)).UTC()}),
		rng:   rand.New(rand.NewPCG(s.Seed, trafficStream)),
		keys:  newKeys(s.Keys, s.Skew),
	}, nil
}

// Shape returns what the traffic looks like, with every field set.
func (t *Traffic) Shape() Shape { return t.shape }

// Done returns what the changes of Batch so far were.
func (t *Traffic) Done() Done { return t.done }

// Receipts yields the changes that bring each receipt into being, the run that
// announces its embeddings last. They are meant to be sent once, before Batch.
func (t *Traffic) Receipts() iter.Seq2[int, []synth.Event] {
	return func(yield func(int, []synth.Event) bool) {
		i := 0
		var events []synth.Event
		for e := range t.gen.Events() {
			e = t.own(e, e.Change.At)
			events = append(events, e)
			if e.Change.New.Str("TYPE") != entityRun {
				continue
			}
			if !yield(i, events) {
				return
			}
			i, events = i+1, nil
		}
	}
}

// Objects returns the embeddings that the run of receipt i announces, as objects of
// the bucket that imports are read from.
func (t *Traffic) Objects(i int) []synth.Object {
	r := t.gen.Receipt(i)
	var out []synth.Object
	for _, c := range []lockstep.Collection{"lines", "words"} {
		es := t.gen.Embeddings(r, c)
		for j := range es {
			es[j] = ownEmbedding(es[j])
		}
		out = append(out, synth.Object{Key: t.location(string(c), r.RunID) + "delta.ndjson", Body: synth.AppendNDJSON(nil, es...)})
	}
	return out
}

// Batch appends the next n changes, as lines of stream records that were written at
// the given time.
func (t *Traffic) Batch(dst []byte, n int, at time.Time) []byte {
	for range n {
		e := t.next()
		switch e.Change.Event {
		case lockstep.Insert:
			t.done.Inserts++
		case lockstep.Modify:
			t.done.Edits++
		case lockstep.Remove:
			t.done.Deletes++
		}
		dst = append(t.own(e, at).AppendJSON(dst), '\n')
	}
	return dst
}

func (t *Traffic) next() synth.Event {
	for len(t.queue) == 0 {
		edit, err := t.gen.Edit(t.keys.draw(t.rng), t.shape.Mix.draw(t.rng))
		if err != nil { // both are ours, and a test makes every deed
			panic(err)
		}
		t.queue = edit.Events
	}
	e := t.queue[0]
	t.queue = t.queue[1:]
	return e
}

// own moves an event under KeyPrefix, and gives it the next number of this run. The
// images are copied: synth may hold them.
func (t *Traffic) own(e synth.Event, at time.Time) synth.Event {
	t.sent++
	c := &e.Change
	c.Key.Partition = ownPartition(c.Key.Partition)
	c.Seq = lockstep.Sequence(strconv.FormatUint(t.shape.Epoch+t.sent, 10))
	c.At = at
	e.ID = fmt.Sprintf("load-%d-%d", t.shape.Epoch, t.sent)
	if c.New.Str("TYPE") == entityRun {
		id := c.New.Str("run_id")
		run := t.runID(id)
		c.Key.Sort = strings.Replace(c.Key.Sort, id, run, 1)
		c.New = maps.Clone(c.New)
		c.New["run_id"] = text(run)
		c.New["lines_delta_prefix"] = text(t.location("lines", id))
		c.New["words_delta_prefix"] = text(t.location("words", id))
	}
	c.Old, c.New = ownImage(c.Old, c.Key), ownImage(c.New, c.Key)
	return e
}

// runID names the run of a receipt: by the epoch too, because an import belongs to the
// first insert of its run, which must not be that of an earlier load test.
func (t *Traffic) runID(id string) string {
	return fmt.Sprintf("%s%d-%s", marker, t.shape.Epoch, id)
}

func (t *Traffic) location(collection, run string) string {
	return collection + "/delta/" + t.runID(run) + "/"
}

func ownImage(it lockstep.Item, key lockstep.ItemKey) lockstep.Item {
	if it == nil {
		return nil
	}
	it = maps.Clone(it)
	it["PK"], it["SK"] = text(key.Partition), text(key.Sort)
	if id := it.Str("image_id"); id != "" {
		it["image_id"] = text(marker + id)
	}
	return it
}

// ownPartition also serves record ids, which begin with the partition.
func ownPartition(s string) string { return KeyPrefix + strings.TrimPrefix(s, imagePrefix) }

func ownEmbedding(e handler.Embedding) handler.Embedding {
	e.ID = ownPartition(e.ID)
	if v, ok := e.Metadata.Get("image_id"); ok {
		e.Metadata = e.Metadata.With("image_id", lockstep.String(marker+v.Str()))
	}
	return e
}

func text(s string) lockstep.Attr { return lockstep.Attr{Type: lockstep.AttrS, Text: s} }
