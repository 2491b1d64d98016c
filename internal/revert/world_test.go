package revert

import (
	"context"
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// spoilt is receipts@2 with something wrong.
type spoilt struct {
	handler.Handler
	spoil func(u handler.Unit, muts []lockstep.Mutation) []lockstep.Mutation
}

func (s spoilt) Describe() handler.Description {
	d := s.Handler.Describe()
	d.Version = "bad"
	return d
}

// Reads asks for the extra records too: what a handler writes it must have asked for.
func (s spoilt) Reads(ms []lockstep.Message) handler.Reads {
	r := s.Handler.Reads(ms)
	for _, rr := range slices.Clip(r.Records) {
		if !rr.Prefix {
			rr.ID += "-extra"
			r.Records = append(r.Records, rr)
		}
	}
	return r
}

func (s spoilt) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	muts, err := s.Handler.Plan(ctx, u)
	if err != nil {
		return nil, err
	}
	return s.spoil(u, muts), nil
}

// routed sends the keys that canary names to the candidate.
type routed struct{ compact.Routing }

func (r *routed) Route(context.Context) (compact.Routing, error) { return r.Routing, nil }

// importing takes embeddings from the generator.
type importing struct{ *synth.Generator }

func (i importing) Import(_ context.Context, ref handler.ImportRef) (handler.Import, error) {
	return i.Generator.Import(ref)
}

// world is an index with its traffic.
type world struct {
	*compact.Compactor
	t      *testing.T
	blobs  *blob.Mem
	log    *version.Log
	state  *state.State
	router *routed
	synth  *synth.Generator
	now    time.Time
}

func newWorld(t *testing.T, good, bad handler.Handler, receipts int) *world {
	t.Helper()
	w := &world{t: t, blobs: &blob.Mem{}, now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	w.synth = synth.New(11, synth.Options{Receipts: receipts, Lines: synth.Range{Min: 1, Max: 3}, Words: synth.Range{Min: 1, Max: 3}, Dimension: 3, Labels: 30})
	w.log = version.NewLog(w.blobs, ledger.Options{Now: w.clock})
	var err error
	if w.state, err = state.Open(t.TempDir()+"/state", "s", state.NewBases(w.blobs), state.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.state.Close(); err != nil {
			t.Error(err)
		}
	})
	w.router = &routed{compact.Routing{Stable: handler.NewRevision(good), Candidate: handler.NewRevision(bad), Trial: "r.1", Canary: func(string) bool { return false }}}
	w.Compactor, err = compact.New(w.log, w.state, w.router, importing{w.synth}, compact.Options{Actor: "test", Now: w.clock, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) commit(events []synth.Event) {
	w.t.Helper()
	var in []compact.Input
	for _, e := range events {
		in = append(in, compact.Input{Message: e.Message()})
	}
	w.now = w.now.Add(time.Second)
	if _, err := w.Commit(w.t.Context(), in); err != nil {
		w.t.Fatal(err)
	}
}

// traffic creates all receipts and then edits them, n edits of some in each of k batches.
// All worlds of a test see the same.
func (w *world) traffic(batches, edits int) {
	w.t.Helper()
	for part := range slices.Chunk(slices.Collect(w.synth.Events()), 200) {
		w.commit(part)
	}
	for range batches {
		w.edits(edits)
	}
}

func (w *world) edits(n int) {
	var events []synth.Event
	for _, e := range w.synth.Edits(n) {
		events = append(events, e.Events...)
	}
	w.commit(events)
}

// share sends so many percent of the keys to the candidate.
func (w *world) share(percent uint32) {
	w.router.Canary = func(key string) bool {
		h := fnv.New32a()
		_, _ = h.Write([]byte(key)) // never fails
		return h.Sum32()%100 < percent
	}
}

func (w *world) origin() branch.Origin {
	return branch.Origin{Log: w.log, State: w.state, Importer: importing{w.synth}, Dir: w.t.TempDir()}
}

func (w *world) digest() string { return version.IndexDigest(w.Head().Entry.Digests()) }

func (w *world) request() Request {
	return Request{Bad: Bad{Revision: w.router.Candidate.ID()}, Good: w.router.Stable, Actor: "tester", Reason: "a test", Now: w.now}
}

func (w *world) revert(req Request) Outcome {
	w.t.Helper()
	out, err := Do(w.t.Context(), w.Compactor, w.origin(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := w.digest(); got != out.Digest {
		w.t.Fatalf("the index has digest %s, the plan said %s", got, out.Digest)
	}
	return out
}

func (w *world) prove(out Outcome) Proof {
	w.t.Helper()
	p, err := Prove(w.t.Context(), w.origin(), ProofRequest{Since: out.Since, Through: out.Through, Digests: out.Digests, Good: w.router.Stable})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func v2() handler.Handler { return receipt.V2(receipt.V2Config{}) }
