package retention

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob/blobtest"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

func TestAPinTakenBetweenPlanAndExecutionWins(t *testing.T) {
	w, _ := aged(t)
	plan := stored(t, w, Policy{})
	p := Pin{Name: "known-good", Version: 4, Holder: "test", At: w.Clock}
	if plan.Low <= 4 {
		t.Fatalf("the plan keeps version 4: low %d", plan.Low)
	}
	if err := SetPin(t.Context(), w.Log, p); err != nil {
		t.Fatal(err)
	}
	w.Clock = w.Clock.Add(25 * time.Hour)
	if _, err := Execute(t.Context(), w.Log, plan.N, w.Clock, nil); !errors.Is(err, ErrCancelled) {
		t.Fatalf("executed: %v, want ErrCancelled", err)
	}
	collect(t, w, Policy{})
	s := newState(t, w)
	rebuild(t, w, s, 4)
	rebuild(t, w, s, w.Head())
	if err := RemovePin(t.Context(), w.Log, "known-good", "test", w.Clock); err != nil {
		t.Fatal(err)
	}
	collect(t, w, Policy{})
	if err := SetPin(t.Context(), w.Log, p); !errors.Is(err, version.ErrRetired) {
		t.Errorf("pin a retired version: %v, want ErrRetired", err)
	}
}

func TestAPinDoesNotCancelAPlanThatLeavesItAlone(t *testing.T) {
	w, _ := aged(t)
	plan := stored(t, w, Policy{})
	if err := SetPin(t.Context(), w.Log, Pin{Name: "p", Version: w.Head(), Holder: "test"}); err != nil {
		t.Fatal(err)
	}
	w.Clock = w.Clock.Add(25 * time.Hour)
	if _, err := Execute(t.Context(), w.Log, plan.N, w.Clock, nil); err != nil {
		t.Error(err)
	}
}

func TestAPinDuringAnExecutionIsRefusedAndDoesNotStay(t *testing.T) {
	w, mem := aged(t)
	plan := stored(t, w, Policy{NoWait: true})
	f := blobtest.NewFaulty(mem, func(op, key string) blobtest.Fault {
		if op == "delete" {
			return blobtest.FailBefore
		}
		return blobtest.None
	})
	killed := version.NewLog(f, ledger.Options{})
	if _, err := Execute(t.Context(), killed, plan.N, w.Clock, nil); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Fatalf("killed: %v", err)
	}
	// The base of version 2 is in the plan and still there, but may go any moment.
	p := Pin{Name: "late", Version: 2, Base: "u0001", Holder: "test"}
	if err := SetPin(t.Context(), w.Log, p); !errors.Is(err, ErrBusy) {
		t.Fatalf("pin: %v, want ErrBusy", err)
	}
	if pins, err := Pins(t.Context(), w.Log); err != nil || len(pins) != 0 {
		t.Errorf("pins %v, %v", pins, err)
	}
	if _, err := Execute(t.Context(), w.Log, plan.N, w.Clock, nil); err != nil {
		t.Fatal(err)
	}
	if err := SetPin(t.Context(), w.Log, p); !errors.Is(err, version.ErrRetired) {
		t.Errorf("pin: %v, want ErrRetired", err)
	}
}

func TestAnExpiredLeaseKeepsNothingAndItsObjectsGo(t *testing.T) {
	w, mem := aged(t)
	set := func(p Pin) {
		if err := SetPin(t.Context(), w.Log, p); err != nil {
			t.Fatal(err)
		}
	}
	set(Pin{Name: "lease-x", Version: 1, Holder: "test", Expires: w.Clock.Add(time.Hour), At: w.Clock})
	if err := Renew(t.Context(), w.Log, "lease-x", w.Clock.Add(40*time.Hour), w.Clock); err != nil {
		t.Fatal(err)
	}
	if d := collect(t, w, Policy{}); d.Low > 1 {
		t.Errorf("a lease that holds was ignored: low %d", d.Low)
	}
	w.Clock = w.Clock.Add(17 * time.Hour)
	if d := collect(t, w, Policy{}); d.Low <= 1 {
		t.Errorf("a lease that ran out keeps low at %d", d.Low)
	}
	w.Clock = w.Clock.Add(20 * day)
	if collect(t, w, Policy{}); len(keys(t, mem, "pin/")) != 0 {
		t.Errorf("left: %v", keys(t, mem, "pin/"))
	}
	if err := Renew(t.Context(), w.Log, "lease-x", w.Clock, w.Clock); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("renew what is gone: %v", err)
	}
}

func TestAPinOfABaseKeepsThatBaseOnly(t *testing.T) {
	w, mem := aged(t)
	if err := SetPin(t.Context(), w.Log, Pin{Name: "lease-state", Version: 2, Base: "u0001", Holder: "test", Expires: w.Clock.Add(100 * day)}); err != nil {
		t.Fatal(err)
	}
	d := collect(t, w, Policy{})
	if d.Low <= 3 || len(keys(t, mem, "base/00000000000000000002/u0001/")) != 2 {
		t.Errorf("low %d, left %v", d.Low, keys(t, mem, "base/"))
	}
}

func TestPinsAreListedRenewedAndRemoved(t *testing.T) {
	w, mem := aged(t)
	ctx := t.Context()
	a := Pin{Name: "a", Version: 3, Holder: "test", Reason: "because", At: w.Clock}
	b := Pin{Name: "lease-b", Version: 4, Holder: "test", Expires: w.Clock.Add(time.Minute), At: w.Clock}
	for _, p := range []Pin{a, b} {
		if err := SetPin(ctx, w.Log, p); err != nil {
			t.Fatal(err)
		}
	}
	a.Version = 5
	if err := SetPin(ctx, w.Log, a); err != nil {
		t.Fatal(err)
	}
	b.Expires, b.At = w.Clock.Add(time.Hour), w.Clock.Add(2*time.Minute)
	if err := Renew(ctx, w.Log, "lease-b", b.Expires, b.At); err != nil {
		t.Fatal(err)
	}
	got, err := Pins(ctx, w.Log)
	if diff := cmp.Diff([]Pin{a, b}, got); diff != "" || err != nil {
		t.Errorf("pins: %v (-want +got):\n%s", err, diff)
	}
	if err := mem.Create(ctx, pinKey("a", 3), nil); err != nil { // an empty body unpins
		t.Fatal(err)
	}
	if err := RemovePin(ctx, w.Log, "lease-b", "test", w.Clock); err != nil {
		t.Fatal(err)
	}
	if got, err := Pins(ctx, w.Log); err != nil || len(got) != 0 {
		t.Errorf("pins left: %v, %v", got, err)
	}
	if err := RemovePin(ctx, w.Log, "lease-b", "test", w.Clock); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	for _, p := range []Pin{
		{Name: "", Version: 1, Holder: "h"},
		{Name: "../x", Version: 1, Holder: "h"},
		{Name: "UPPER", Version: 1, Holder: "h"},
		{Name: strings.Repeat("x", 101), Version: 1, Holder: "h"},
		{Name: "x", Version: 0, Holder: "h"},
		{Name: "x", Version: 1},
		{Name: "lease-x", Version: 1, Holder: "h"},
	} {
		if err := SetPin(ctx, w.Log, p); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", p, err)
		}
	}
	if err := SetPin(ctx, w.Log, Pin{Name: "x", Version: 999, Holder: "h"}); !errors.Is(err, lockstep.ErrNotFound) || errors.Is(err, version.ErrRetired) {
		t.Errorf("pin of a version to come: %v", err)
	}
}
