package compact

import (
	"testing"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

func wantThings(t *testing.T, r *rig, want string) {
	t.Helper()
	if got := r.things(); got != want {
		t.Fatalf("things are %q, want %q", got, want)
	}
}

func TestChangesBecomeVersions(t *testing.T) {
	r := newRig(t, nil, kv{})
	res := r.commit(set("G1", "K1", "a", 1), set("G2", "K1", "b", 2), set("X", "K1", "b", 3))
	if res.Version != 1 || res.Counts[lockstep.Applied] != 2 || res.Counts[lockstep.Ignored] != 1 {
		t.Fatalf("result %+v", res)
	}
	wantThings(t, r, "G1/K1=a G2/K1=b")
	r.commit(set("G1", "K1", "", 4), set("G1", "K2", "c", 5))
	wantThings(t, r, "G1/K2=c G2/K1=b")
}

func TestRedeliveredAndReorderedChangesHaveNoSecondEffect(t *testing.T) {
	r := newRig(t, nil, kv{})
	r.commit(set("G1", "K1", "new", 5))
	res := r.commit(set("G1", "K1", "new", 5), set("G1", "K1", "old", 3))
	if res.Version != 1 || res.Counts[lockstep.Duplicate] != 1 || res.Counts[lockstep.Stale] != 1 {
		t.Fatalf("result %+v", res)
	}
	wantThings(t, r, "G1/K1=new")
}

func TestAFailingMessageParksItsKeyAndNothingElse(t *testing.T) {
	r := newRig(t, nil, kv{})
	res := r.commit(set("G1", "K1", "a", 1), set("G1", "K2", "fail", 2), set("G1", "K3", "c", 3), set("G2", "K1", "b", 4), "{broken")
	if res.Counts[lockstep.Applied] != 2 || res.Counts[lockstep.ParkedAway] != 2 || res.Counts[lockstep.BadInput] != 1 {
		t.Fatalf("result %+v", res)
	}
	wantThings(t, r, "G1/K1=a G2/K1=b")
	// Later messages of the key wait, also in later versions; a redelivery is not parked twice.
	res = r.commit(set("G1", "K1", "z", 9), set("G1", "K2", "fail", 2), set("G2", "K1", "y", 10))
	if res.Counts[lockstep.ParkedAway] != 1 || res.Counts[lockstep.Duplicate] != 1 || res.Counts[lockstep.Applied] != 1 {
		t.Fatalf("result %+v", res)
	}
	wantThings(t, r, "G1/K1=a G2/K1=y")
}

func TestResetReplaysWhatCameAfter(t *testing.T) {
	for _, mode := range []ResetMode{ResetReplay, ResetHold, ResetDiscard} {
		t.Run(string(mode), func(t *testing.T) {
			r := newRig(t, nil, kv{})
			r.commit(set("G1", "K1", "a", 1))
			at1 := r.Head().Entry.Digests()
			r.commit(set("G1", "K1", "b", 2), set("G2", "K1", "x", 3), "{broken")
			r.commit(set("G1", "K2", "c", 4))
			want := version.IndexDigest(r.Head().Entry.Digests())
			plan, head, err := DoReset(t.Context(), r.vlog, ResetRequest{To: 1, Mode: mode, Now: time.Unix(1, 0)})
			if err != nil {
				t.Fatal(err)
			}
			if version.IndexDigest(head.Entry.Digests()) != version.IndexDigest(at1) || plan.Messages != 4 {
				t.Fatalf("plan %+v", plan)
			}
			r.Poll()
			if err := r.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if mode != ResetReplay {
				wantThings(t, r, "G1/K1=a")
			}
			if mode == ResetHold {
				if _, err := Release(t.Context(), r.vlog, "me", "", time.Unix(2, 0)); err != nil {
					t.Fatal(err)
				}
				r.Poll()
				if err := r.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := version.IndexDigest(r.Head().Entry.Digests()); mode != ResetDiscard && got != want {
				t.Fatalf("digest %s after the replay, want %s", got, want)
			}
			if len(r.Head().Entry.Backlog) != 0 {
				t.Fatalf("backlog %+v", r.Head().Entry.Backlog)
			}
		})
	}
}

func TestALoserRebasesOnTheWinner(t *testing.T) {
	a := newRig(t, nil, kv{})
	b := newRig(t, a.store, kv{})
	a.commit(set("G1", "K1", "a", 1))
	b.commit(set("G1", "K1", "b", 2), set("G2", "K1", "x", 3))
	// a still believes in version 1: it plans there, loses, and rebases.
	a.fresh = true
	a.commit(set("G3", "K1", "y", 4), set("G1", "K1", "old", 1))
	wantThings(t, a, "G1/K1=b G2/K1=x G3/K1=y")
	b.Poll()
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantThings(t, b, "G1/K1=b G2/K1=x G3/K1=y")
}
