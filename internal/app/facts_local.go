package app

import (
	"context"
	"errors"
	gort "runtime/metrics"
	"slices"
	"sync"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/guard"
)

// vitals are what only the process knows that does the work: what waits, how long
// publishing takes, what failed. They are lost with it, and count from its start.
type vitals struct {
	now func() time.Time

	mu        sync.Mutex // guards everything below
	next      int64
	waiting   map[int64]waiting
	serving   bool            // a candidate decides for a share of the keys
	published []time.Duration // the last ones, while a candidate served
	before    []time.Duration // the same while none did
	memBefore int64
	failures  int64
	document  guard.Document
}

// waiting are changes of one submission that are in no version yet.
type waiting struct {
	changes int
	since   time.Time
}

// keptTimes is over how many commits the time to publish is taken.
const keptTimes = 200

func newVitals(now func() time.Time) *vitals { return &vitals{now: now, waiting: map[int64]waiting{}} }

// submitted notes that changes wait, until the function it returns is called.
func (v *vitals) submitted(changes int) (done func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := v.next
	v.next++
	v.waiting[id] = waiting{changes, v.now()}
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.waiting, id)
	}
}

// committed notes how a commit went. A commit that nobody waited for any more, because
// this process is about to end, is no failure.
func (v *vitals) committed(res compact.Result, err error, took time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			v.failures++
			v.document.LambdaError++
		}
		return
	}
	v.document.LambdaSuccess++
	for _, n := range res.Counts {
		v.document.ProcessedRecords += int64(n)
	}
	for entity, n := range res.ChangedBy {
		switch documentOf(entity) {
		case documentMetadata:
			v.document.MetadataUpdates += int64(n)
		case documentLabels:
			v.document.LabelUpdates += int64(n)
		}
	}
	list := &v.before
	if v.serving {
		list = &v.published
	}
	*list = append(*list, took)
	*list = slices.Delete(*list, 0, max(0, len(*list)-keptTimes))
}

// serve says whether a candidate decides for a share of the keys from now on. What was
// measured before it did is what it is compared with.
//
//nolint:revive // it is the fact that is noted, and no mode
func (v *vitals) serve(serving bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !serving {
		v.memBefore, v.published = memoryUsed(), nil
	}
	v.serving = serving
}

// baseline says whether this process saw stable work alone, so that there is something to
// compare with.
func (v *vitals) baseline() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.before) > 0 && v.memBefore > 0
}

// counted is how much waits, and since when.
func (v *vitals) counted() (changes int64, since time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, w := range v.waiting {
		changes += int64(w.changes)
		if since.IsZero() || w.since.Before(since) {
			since = w.since
		}
	}
	return changes, since
}

// add writes into f what is known here.
func (v *vitals) add(f *guard.Facts) {
	f.Waiting, f.OldestWaiting = v.counted()
	v.mu.Lock()
	defer v.mu.Unlock()
	f.PublishFailures = v.failures
	f.PublishP90Before, f.MemoryBytesBefore, f.MemoryBytes = ninetieth(v.before), v.memBefore, memoryUsed()
	f.PublishP90 = ninetieth(v.published)
	if !v.serving {
		f.PublishP90 = ninetieth(v.before)
	}
	doc := v.document
	f.Document = &doc
}

// ninetieth is the time within which nine of ten are done; 0 for none.
func ninetieth(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[(9*len(sorted)+9)/10-1]
}

// memoryUsed is what this process has of the system, in bytes. Processes of handlers are
// not in it: each has a limit of its own in the configuration.
func memoryUsed() int64 {
	s := []gort.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	gort.Read(s)
	if s[0].Value.Kind() != gort.KindUint64 || s[1].Value.Kind() != gort.KindUint64 {
		return 0
	}
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}

// What of the document's counters an entity belongs to.
const (
	documentMetadata = "metadata"
	documentLabels   = "labels"
)

func documentOf(entity string) string {
	switch entity {
	case "RECEIPT_METADATA", "RECEIPT_PLACE":
		return documentMetadata
	case "RECEIPT_WORD_LABEL":
		return documentLabels
	}
	return ""
}
