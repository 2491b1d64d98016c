package github

import (
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/notify"
	"lockstep/internal/notify/notifytest"
	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

// world is an outbox whose courier knows one repository.
func world(t *testing.T, h *hub) *notify.Target {
	t.Helper()
	o := notify.NewOutbox(new(blob.Mem), ledger.Options{}, nil)
	c := &notify.Courier{Name: "test", Outbox: o, Senders: map[string]notify.Sender{"issue": mustNew(t, settings(h))}}
	return &notify.Target{Outbox: o, Courier: c, Item: rollback.ItemIssue, Now: func() time.Time { return time.Date(2026, 5, 4, 8, 6, 0, 0, time.UTC) }}
}

func step(t *testing.T) rollback.Step {
	t.Helper()
	s, err := notify.Plan("issue", notifytest.Message("incident prod-3 rolled-back"), []string{"issue"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheStepThatOpensAnIssueKeepsTheContract(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		return targettest.Case{Target: world(t, newHub(t)), Step: step(t)}
	})
}

// TestAStepThatIsKilledOpensOneIssue loses the answer of the creation, and all that the
// outbox knew of it.
func TestAStepThatIsKilledOpensOneIssue(t *testing.T) {
	h, s := newHub(t), step(t)
	h.set(notifytest.Cuts)
	if err := world(t, h).Do(t.Context(), rollback.At{Step: s}, &targettest.Keeper{}); err == nil {
		t.Fatal("no error, though the answer was lost")
	}
	h.set(notifytest.Works)
	again, k := world(t, h), &targettest.Keeper{}
	if err := again.Do(t.Context(), rollback.At{Step: s}, k); err != nil {
		t.Fatal(err)
	}
	sight, err := again.Look(t.Context(), rollback.At{Step: s, Kept: k.Kept})
	if err != nil || len(h.issues) != 1 || sight.State != notify.Told || sight.Evidence[0].Link != "https://github.com/acme/receipts/issues/1" || sight.Evidence[0].Item != rollback.ItemIssue {
		t.Errorf("%v: %d issues, %+v", err, len(h.issues), sight)
	}
}
