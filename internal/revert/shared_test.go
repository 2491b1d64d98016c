package revert

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/branch"
	"lockstep/internal/change"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// ring is a handler in which keys meet: key Gi writes its own record, adds its value to a
// record that it shares with two neighbours, and copies into its own what another key's
// record said at the time. Order matters, so that a closure which is too small shows.
type ring struct {
	name  string
	worse int64
}

func (r ring) Describe() handler.Description {
	return handler.Description{
		Name: "ring", Version: r.name, ReadsFormat: "ring/1", WritesFormat: "ring/1", Code: "test " + r.name,
		Collections: []handler.CollectionSpec{{Name: "things"}},
		Entities:    []handler.EntityRule{{Entity: "THING", Partition: "G.*", Sort: "K.*"}},
	}
}

const ringKeys = 24

func ringOf(group string) (own, shared, read string) {
	n, _ := strconv.Atoi(group[1:])
	return group, fmt.Sprintf("shared%d", n/3), fmt.Sprintf("G%d", (n+5)%ringKeys)
}

func (ring) Reads(ms []lockstep.Message) handler.Reads {
	own, shared, read := ringOf(ms[0].Group)
	var out handler.Reads
	for _, id := range []string{own, shared} {
		out.Records = append(out.Records, handler.RecordRange{Collection: "things", ID: id})
	}
	if len(ms[0].Change.New.Str("v"))%2 == 0 { // not every change looks at the neighbour
		out.Records = append(out.Records, handler.RecordRange{Collection: "things", ID: read})
	}
	return out
}

func (r ring) Plan(_ context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	own, shared, read := ringOf(u.Messages[0].Group)
	last := len(u.Messages) - 1
	sum := func(id string) int64 {
		rec, _ := u.View.Record("things", id)
		v, _ := rec.Metadata.Get("n")
		return v.Int()
	}
	mine, all := sum(own), sum(shared)
	for i := range u.Messages {
		v := int64(len(u.Messages[i].Change.New.Str("v"))) + r.worse
		mine, all = mine*3+v, all*2+v
	}
	mine += sum(read) % 1000
	record := func(id string, n int64) lockstep.Mutation {
		return lockstep.Mutation{Op: lockstep.Upsert, Collection: "things", Cause: last, Vector: []float32{1}, Record: lockstep.Record{
			ID: id, Document: "x", HasDocument: true, Metadata: lockstep.Metadata{{Key: "at", Value: lockstep.Int(u.Now.Unix())}, {Key: "n", Value: lockstep.Int(n % 1_000_003)}},
		}}
	}
	return []lockstep.Mutation{record(own, mine), record(shared, all)}, nil
}

// rung is one index of a ring.
type rung struct {
	*compact.Compactor
	t      *testing.T
	log    *version.Log
	state  *state.State
	router *routed
	now    time.Time
}

func newRung(t *testing.T) *rung {
	t.Helper()
	x := &rung{t: t, now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	blobs := &blob.Mem{}
	x.log = version.NewLog(blobs, ledger.Options{Now: func() time.Time { return x.now }})
	var err error
	if x.state, err = state.Open(t.TempDir()+"/state", "s", nil, state.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.state.Close(); err != nil {
			t.Error(err)
		}
	})
	x.router = &routed{compact.Routing{Stable: handler.NewRevision(ring{"good", 0}), Candidate: handler.NewRevision(ring{"bad", 7}), Trial: "r.1", Canary: func(string) bool { return false }}}
	x.Compactor, err = compact.New(x.log, x.state, x.router, nil, compact.Options{Actor: "test", Now: func() time.Time { return x.now }, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *rung) commit(messages []lockstep.Message) {
	x.t.Helper()
	x.now = x.now.Add(time.Minute)
	in := make([]compact.Input, len(messages))
	for i := range messages {
		in[i].Message = messages[i]
	}
	if _, err := x.Commit(x.t.Context(), in); err != nil {
		x.t.Fatal(err)
	}
}

// ringBatch makes n changes of different keys, so that a batch is one unit each.
func ringBatch(t *testing.T, rng *rand.Rand, seq *int) []lockstep.Message {
	t.Helper()
	var out []lockstep.Message
	for _, g := range rng.Perm(ringKeys)[:1+rng.IntN(3)] {
		*seq++
		group := fmt.Sprintf("G%d", g)
		v := slices.Repeat([]byte("v"), 1+rng.IntN(9))
		body := fmt.Sprintf(`{"eventID":"e%d","eventName":"MODIFY","dynamodb":{"Keys":{"PK":{"S":%q},"SK":{"S":"K"}},"NewImage":{"PK":{"S":%q},"SK":{"S":"K"},"v":{"S":%q}},"OldImage":{"PK":{"S":%q},"SK":{"S":"K"}},"SequenceNumber":"%d"}}`,
			*seq, group, group, v, group, *seq)
		m, err := compact.MessageOf(t.Context(), &version.Archived{ID: group, Body: []byte(body), Source: "test"}, change.Schema{})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// Keys that share records and read each other's are taken back together, as far as it is
// needed and no further: what comes out is what the good revision alone makes, whatever
// the order, and it is proven by the whole history.
func TestKeysThatMeetAreRevertedTogether(t *testing.T) {
	closures, whole := 0, 0
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 1))
		x, alone := newRung(t), newRung(t)
		seq := 0
		bad := map[string]bool{fmt.Sprintf("G%d", rng.IntN(ringKeys)): true}
		if rng.IntN(3) == 0 {
			bad[fmt.Sprintf("G%d", rng.IntN(ringKeys))] = true
		}
		from, to := 5+rng.IntN(20), 30+rng.IntN(10)
		for i := range 40 {
			batch := ringBatch(t, rng, &seq)
			on := i >= from && i < to
			x.router.Canary = func(key string) bool { return on && bad[key] }
			x.commit(batch)
			alone.commit(batch)
		}
		want := version.IndexDigest(alone.Head().Entry.Digests())
		before := version.IndexDigest(x.Head().Entry.Digests())
		if before == want {
			continue // the bad one was not asked
		}
		from2 := branch.Origin{Log: x.log, State: x.state, Dir: t.TempDir()}
		req := Request{Bad: Bad{Revision: x.router.Candidate.ID()}, Good: x.router.Stable, Now: x.now}
		out, err := Do(t.Context(), x.Compactor, from2, req)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if got := version.IndexDigest(x.Head().Entry.Digests()); got != want || out.Digest != got {
			t.Fatalf("seed %d: digest %s, the good revision alone has %s (%d keys, %d joined, %d tainted)", seed, got, want, out.Keys, out.Joined, out.Tainted)
		}
		p, err := Prove(t.Context(), from2, ProofRequest{Since: out.Since, Through: out.Through, Digests: out.Digests, Good: x.router.Stable})
		if err != nil || !p.Equal {
			t.Fatalf("seed %d: not proven: %+v, %v", seed, p, err)
		}
		req.Bad = Bad{Version: out.Version}
		if _, err := Do(t.Context(), x.Compactor, from2, req); err != nil {
			t.Fatalf("seed %d: undo: %v", seed, err)
		}
		if got := version.IndexDigest(x.Head().Entry.Digests()); got != before {
			t.Fatalf("seed %d: undone it has digest %s, before %s", seed, got, before)
		}
		closures++
		if out.Keys == ringKeys {
			whole++
		}
	}
	if closures < 10 || whole == closures {
		t.Errorf("%d reverts, %d of them of every key: the test shows little", closures, whole)
	}
}
