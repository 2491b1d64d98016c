package blob_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
)

func TestProbeRefusesABackendThatIgnoresConditions(t *testing.T) {
	bad := blobtest.NewFaulty(new(blob.Mem), onCreate(blobtest.IgnoreCondition))
	v, err := blob.Probe(t.Context(), bad, "n")
	if err != nil || v.Passed {
		t.Fatalf("Probe = %+v, %v; want it not passed", v, err)
	}
	want := []string{"second create is refused", "first create is read back", "concurrent creates have one winner"}
	if diff := cmp.Diff(want, v.Failed()); diff != "" {
		t.Errorf("failed checks (-want +got):\n%s", diff)
	}
}

// A gateway that is right one by one and wrong under concurrency is the dangerous
// one (versitygw PR 2288).
func TestProbeRefusesABackendThatIsOnlyRightOneByOne(t *testing.T) {
	var races atomic.Int32
	bad := blobtest.NewFaulty(new(blob.Mem), func(op, key string) blobtest.Fault {
		if op == "create" && key == "probe/n-race" && races.Add(1) == 3 {
			return blobtest.IgnoreCondition
		}
		return blobtest.None
	})
	v, err := blob.Probe(t.Context(), bad, "n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"concurrent creates have one winner"}, v.Failed()); diff != "" {
		t.Errorf("failed checks (-want +got):\n%s", diff)
	}
}

func TestProbeJudgesALostAnswerByWhatIsThere(t *testing.T) {
	racing := blobtest.NewFaulty(new(blob.Mem), func(op, key string) blobtest.Fault {
		if op == "create" && key == "probe/n-race" {
			return blobtest.LoseAnswer
		}
		return blobtest.None
	})
	if v, err := blob.Probe(t.Context(), racing, "n"); err != nil || !v.Passed {
		t.Errorf("Probe = %+v, %v; want it passed: one object is there and one racer wrote it", v, err)
	}
}

func TestProbeOfASilentStoreIsNoVerdict(t *testing.T) {
	for _, key := range []string{"probe/n-twice", "probe/n-race"} {
		silent := blobtest.NewFaulty(new(blob.Mem), func(op, k string) blobtest.Fault {
			if op == "create" && k == key {
				return blobtest.FailBefore
			}
			return blobtest.None
		})
		if v, err := blob.Probe(t.Context(), silent, "n"); !errors.Is(err, lockstep.ErrUnavailable) {
			t.Errorf("%s silent: Probe = %+v, %v; want ErrUnavailable", key, v, err)
		}
	}
}

func TestProbeRefusesAForeignNonceAndACancelledContext(t *testing.T) {
	for _, nonce := range []string{"", "a/b", "a b", "~"} {
		if _, err := blob.Probe(t.Context(), new(blob.Mem), nonce); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("Probe with nonce %q = %v, want ErrInvalid", nonce, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := blob.Probe(ctx, new(blob.Mem), "n"); !errors.Is(err, context.Canceled) {
		t.Errorf("Probe with a cancelled context = %v", err)
	}
}

func TestVerdictSurvivesJSON(t *testing.T) {
	want, err := blob.Probe(t.Context(), new(blob.Mem), "n")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got blob.Verdict
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
}

func onCreate(f blobtest.Fault) func(op, key string) blobtest.Fault {
	return func(op, _ string) blobtest.Fault {
		if op == "create" {
			return f
		}
		return blobtest.None
	}
}
