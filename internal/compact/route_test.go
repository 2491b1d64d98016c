package compact

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// candidate is kv with a mind of its own about some values.
type candidate struct {
	kv
	plan func(ctx context.Context, u handler.Unit, stable []lockstep.Mutation) ([]lockstep.Mutation, error)
}

func (c candidate) Describe() handler.Description {
	d := c.kv.Describe()
	d.Version = "2"
	return d
}

func (c candidate) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	muts, err := c.kv.Plan(ctx, u)
	if err != nil {
		return nil, err
	}
	return c.plan(ctx, u, muts)
}

// tilted is a router that can be changed between two batches.
type tilted struct{ Routing }

func (r *tilted) Route(context.Context) (Routing, error) { return r.Routing, nil }

// onTrial returns a rig in which the candidate decides about the keys of G1.
func onTrial(t *testing.T, plan func(context.Context, handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error)) (*rig, *tilted) {
	t.Helper()
	r := newRig(t, nil, kv{})
	router := &tilted{Routing{
		Stable: handler.NewRevision(kv{}), Candidate: handler.NewRevision(candidate{plan: plan}), Trial: "r1",
		Canary: func(key string) bool { return key == "G1" },
	}}
	r.router = router
	r.opts.CandidateBudget = 20 * time.Millisecond
	return r, router
}

func shout(_ context.Context, _ handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
	for i := range muts {
		muts[i].Record.Document += "!"
	}
	return muts, nil
}

// judged returns the units of the newest entry as "revision class: units bad both".
func judged(r *rig) []string {
	var out []string
	if r.Head().Entry.Trial == nil {
		return nil
	}
	for _, u := range r.Head().Entry.Trial.Arms {
		out = append(out, fmt.Sprintf("%.4s %d: %d %d %d", u.Revision, u.Class, u.Units, u.Bad, u.Both))
	}
	return out
}

func wantJudged(t *testing.T, r *rig, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, judged(r)); diff != "" {
		t.Errorf("units (-want +got):\n%s", diff)
	}
}

func TestTheCandidateDecidesAboutItsKeysAndIsNamedAsAuthor(t *testing.T) {
	r, _ := onTrial(t, shout)
	r.commit(set("G1", "K1", "a", 1), set("G1", "K2", "b", 2), set("G2", "K1", "c", 3))
	wantThings(t, r, "G1/K1=a! G1/K2=b! G2/K1=c")
	wantJudged(t, r, "kv@1 0: 1 0 0", "kv@2 1: 1 0 0")
	e := r.Head().Entry
	stable, cand := handler.NewRevision(kv{}).ID(), r.router.(*tilted).Candidate.ID()
	if diff := cmp.Diff(map[string]int{stable: 1, cand: 2}, e.Revisions); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	if e.Trial.Name != "r1" || e.Trial.Arms[1].Events["MODIFY"] != 2 {
		t.Errorf("trial %+v", e.Trial)
	}
	r.commit(set("G1", "K1", "a", 1)) // a redelivery is no unit
	if r.Head().Number() != 1 {
		t.Errorf("version %d", r.Head().Number())
	}
}

func TestStableCoversACandidateThatFailsInAnyWay(t *testing.T) {
	for name, plan := range map[string]func(context.Context, handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error){
		"error": func(context.Context, handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error) {
			return nil, errHandler
		},
		"offline": func(context.Context, handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error) {
			return nil, lockstep.ErrUnavailable
		},
		"panic": func(context.Context, handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error) { panic("no") },
		"hangs": func(ctx context.Context, _ handler.Unit, _ []lockstep.Mutation) ([]lockstep.Mutation, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"wrong dimension": func(_ context.Context, _ handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
			muts[0].Vector = []float32{1, 2, 3}
			return muts, nil
		},
		"delete of what it did not ask for": func(_ context.Context, _ handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
			return append(muts, lockstep.Mutation{Collection: "things", Op: lockstep.Delete, Record: lockstep.Record{ID: "elsewhere"}}), nil
		},
		"upsert of what it did not ask for": func(_ context.Context, _ handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
			return append(muts, lockstep.Mutation{Collection: "things", Op: lockstep.Upsert, Record: lockstep.Record{ID: "elsewhere"}, Vector: []float32{1, 2}}), nil
		},
		"foreign collection": func(_ context.Context, _ handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
			muts[0].Collection = "elsewhere"
			return muts, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := onTrial(t, plan)
			res := r.commit(set("G1", "K1", "a", 1), set("G2", "K1", "c", 2))
			if res.Counts[lockstep.Applied] != 2 {
				t.Errorf("result %+v", res)
			}
			wantThings(t, r, "G1/K1=a G2/K1=c")
			wantJudged(t, r, "kv@1 0: 1 0 0", "kv@2 0: 1 1 0")
			if keys := r.Head().Entry.Trial.Arms[1].Keys; len(keys) != 1 || keys[0] != version.KeyHash("G1") {
				t.Errorf("bad keys %v", keys)
			}
		})
	}
}

// blind is kv that does not know items any more that end in 9.
type blind struct{ candidate }

func (b blind) Describe() handler.Description {
	d := b.candidate.Describe()
	d.Version, d.Entities = "3", []handler.EntityRule{{Entity: "", Partition: ".*", Sort: ".*9"}, d.Entities[0]}
	return d
}

// lost panics when it is asked what it reads.
type lost struct{ candidate }

func (lost) Reads([]lockstep.Message) handler.Reads { panic("nil map") }

func TestACandidateThatPanicsInReadsIsCovered(t *testing.T) {
	r, router := onTrial(t, shout)
	router.Candidate = handler.NewRevision(lost{candidate{plan: shout}})
	r.commit(set("G1", "K1", "a", 1))
	wantThings(t, r, "G1/K1=a")
	wantJudged(t, r, "kv@2 0: 1 1 0")
}

func TestWhatACandidateIgnoresAndStableMirrorsIsMirrored(t *testing.T) {
	r, router := onTrial(t, shout)
	router.Candidate = handler.NewRevision(blind{candidate{plan: shout}})
	r.commit(set("G1", "K9", "a", 1), set("G1", "K1", "b", 2), set("G2", "K9", "c", 3))
	wantThings(t, r, "G1/K1=b! G2/K9=c") // the index is as the candidate wants it
	if e, ok := r.Head().Entry.Collection(lockstep.Table); !ok || e.Records != 3 {
		t.Errorf("the mirror has %d items, want all 3: stable could not derive the one that is missing", e.Records)
	}
}

func TestWhatFailsWithBothJudgesNobodyAndIsParked(t *testing.T) {
	r, _ := onTrial(t, shout)
	res := r.commit(set("G1", "K1", "fail", 1), set("G2", "K1", "fail", 2), set("G1", "K2", "later", 3))
	if res.Counts[lockstep.ParkedAway] != 3 {
		t.Fatalf("result %+v", res)
	}
	wantJudged(t, r, "kv@1 0: 0 0 1", "kv@2 1: 0 0 1")
	r.commit(set("G1", "K3", "waits", 4)) // the key waits, and nobody is asked
	wantJudged(t, r)
	if _, err := r.Retry(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	wantJudged(t, r) // and a retry is not a first attempt
}

func TestAFailureOfStableAloneCountsAgainstStable(t *testing.T) {
	r, router := onTrial(t, shout)
	forgiving := candidate{kv{failing: "never"}, shout}
	router.Candidate = handler.NewRevision(forgiving)
	res := r.commit(set("G2", "K1", "fail", 1))
	if res.Counts[lockstep.ParkedAway] != 1 {
		t.Fatalf("result %+v", res)
	}
	wantThings(t, r, "") // the candidate's answer is evidence, not an effect
	wantJudged(t, r, "kv@1 0: 1 1 0")
}

func TestNothingPlannedBeforeAFenceIsPublishedBehindIt(t *testing.T) {
	r, _ := onTrial(t, shout)
	r.commit(set("G1", "K1", "a", 1))
	cand := r.router.(*tilted).Candidate.ID()
	if _, err := PutFence(t.Context(), r.vlog, FenceRequest{Trial: "r1", Revision: cand, Actor: "me", Reason: "bad", Now: time.Unix(3, 0)}); err != nil {
		t.Fatal(err)
	}
	// r does not know of the fence, and its router goes on naming the candidate: it plans,
	// loses its number to the fence, and plans again on stable.
	r.commit(set("G1", "K2", "b", 2), set("G2", "K1", "c", 3))
	wantThings(t, r, "G1/K1=a! G1/K2=b G2/K1=c")
	if n := r.Head().Entry.Revisions[cand]; n != 0 || r.Head().Number() != 3 {
		t.Errorf("version %d has %d mutations of the candidate", r.Head().Number(), n)
	}
	if f := r.Head().Entry.Fenced; len(f) != 1 || f[0] != (version.Fenced{Trial: "r1", Revision: cand, Reason: "bad", Since: 2}) {
		t.Errorf("fences %+v", f)
	}
	again, err := PutFence(t.Context(), r.vlog, FenceRequest{Trial: "r1", Revision: cand, Now: time.Unix(4, 0)})
	if err != nil || again.Number() != 3 {
		t.Errorf("the same fence again is version %d, %v", again.Number(), err)
	}
	r.router.(*tilted).Trial = "r1.2" // another attempt has the right to another judgement
	r.commit(set("G1", "K3", "d", 4))
	wantThings(t, r, "G1/K1=a! G1/K2=b G1/K3=d! G2/K1=c")
}

func TestAResetKeepsTheFences(t *testing.T) {
	r, _ := onTrial(t, shout)
	r.commit(set("G1", "K1", "a", 1))
	if _, err := PutFence(t.Context(), r.vlog, FenceRequest{Trial: "r1", Now: time.Unix(3, 0)}); err != nil {
		t.Fatal(err)
	}
	if _, head, err := DoReset(t.Context(), r.vlog, ResetRequest{To: 0, Mode: ResetReplay, Now: time.Unix(4, 0)}); err != nil || len(head.Entry.Fenced) != 1 {
		t.Fatalf("fences after the reset %+v, %v", head.Entry, err)
	}
	r.Poll()
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantThings(t, r, "G1/K1=a") // replayed by stable
}

func TestAUnitThatFailsWithNobodyElseToAskIsCountedAsThat(t *testing.T) {
	r, router := onTrial(t, shout)
	router.Candidate, router.Trial = handler.Revision{}, "watch-r1"
	r.commit(set("G1", "K1", "fail", 1), set("G2", "K1", "b", 2))
	wantJudged(t, r, "kv@1 0: 1 0 0")
	if e := r.Head().Entry; e.Trial.Name != "watch-r1" || e.Trial.Arms[0].Alone != 1 {
		t.Errorf("trial %+v", e.Trial)
	}
}

// A handler of which nobody knows what it touches cannot be stable either: its unit waits.
func TestAMutationOfWhatStableDidNotAskForParksTheUnit(t *testing.T) {
	r := newRig(t, nil, candidate{plan: func(_ context.Context, u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		if u.Messages[0].Group == "G2" {
			muts = append(muts, lockstep.Mutation{Collection: "things", Op: lockstep.Delete, Record: lockstep.Record{ID: "G1/K1"}})
		}
		return muts, nil
	}})
	res := r.commit(set("G1", "K1", "a", 1), set("G2", "K1", "b", 2))
	if res.Counts[lockstep.ParkedAway] != 1 || !strings.Contains(res.Outcomes[1].Reason, "did not ask for this record") {
		t.Errorf("result %+v", res)
	}
	wantThings(t, r, "G1/K1=a")
}

// A bad revision that has become stable ignores what the good one takes. A rollback can only
// bring back what was kept.
func TestWhatOnlyTheRevisionToReturnToKnowsIsKept(t *testing.T) {
	for keeps, want := range map[bool]int64{false: 1, true: 2} {
		r, router := onTrial(t, shout)
		router.Routing = Routing{Stable: handler.NewRevision(blind{candidate{plan: shout}})}
		if keeps {
			router.Keep = []handler.Revision{handler.NewRevision(kv{})}
		}
		r.commit(set("G1", "K9", "a", 1), set("G1", "K1", "b", 2))
		wantThings(t, r, "G1/K1=b!") // the index is as the one that decides wants it
		e := r.Head().Entry
		if c, ok := e.Collection(lockstep.Table); !ok || c.Records != want || int64(e.Delta.Messages) != want {
			t.Errorf("kept %t: %d items mirrored and %d messages archived, want %d", keeps, c.Records, e.Delta.Messages, want)
		}
	}
}
