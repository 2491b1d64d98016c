package release

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// outside is what lies outside of the ledger of releases.
type outside struct {
	fences map[string]int
	pins   map[string]uint64
	seen   Observation
	err    error // of the observer
	calls  []string
	fail   string // the call that fails from now on
}

func newOutside() *outside {
	return &outside{fences: map[string]int{}, pins: map[string]uint64{}, seen: good()}
}

func (o *outside) call(e Effect) error {
	call := string(e.Kind) + " " + e.Name()
	if o.fail == string(e.Kind) {
		return errors.New("out of order")
	}
	o.calls = append(o.calls, call)
	return nil
}

func (o *outside) Fence(_ context.Context, e Effect) error {
	if err := o.call(e); err != nil {
		return err
	}
	o.fences[e.Name()]++
	return nil
}

func (o *outside) Pin(_ context.Context, e Effect) error {
	if err := o.call(e); err != nil {
		return err
	}
	o.pins[e.Name()] = e.Pair.Version
	return nil
}

func (o *outside) Unpin(_ context.Context, e Effect) error {
	if err := o.call(e); err != nil {
		return err
	}
	delete(o.pins, e.Name())
	return nil
}

func (o *outside) Observe(ctx context.Context, s State) (Observation, error) {
	if err := ctx.Err(); err != nil {
		return Observation{}, err
	}
	seen := o.seen
	if r := s.Release; r != nil {
		seen.Fenced = o.fences[r.fence("", "").Name()] > 0
	}
	return seen, o.err
}

func newController(store blob.Store, o *outside) *Controller {
	return &Controller{Name: "ctl", Log: NewLog(store, ledger.Options{Prefetch: 1}), Fencer: o, Pinner: o, Observer: o}
}

// begun has a release under way whose pin is pending.
func begun(t *testing.T) (*Controller, *outside) {
	t.Helper()
	o := newOutside()
	c := newController(new(blob.Mem), o)
	do(t, c, func(s State) (Transition, error) { return Adopt(s, by("anna", 0), "dev", Pair{oldRev, 40}) })
	do(t, c, func(s State) (Transition, error) { return Start(s, by("anna", 0), request()) })
	return c, o
}

func do(t *testing.T, c *Controller, order func(State) (Transition, error)) Head {
	t.Helper()
	h, err := c.Do(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func tick(t *testing.T, c *Controller, d time.Duration) string {
	t.Helper()
	got, err := c.Tick(t.Context(), at(d))
	if err != nil {
		t.Fatal(err)
	}
	if got.Transition == nil {
		return ""
	}
	return string(got.Transition.Entry.Kind)
}

func TestTheControllerWalksAReleaseToItsEnd(t *testing.T) {
	c, o := begun(t)
	var got []string
	for d := time.Duration(0); d < 100*time.Minute; d += time.Minute {
		if d == 75*time.Minute {
			do(t, c, func(s State) (Transition, error) { return Approve(s, by("bert", d)) })
		}
		if kind := tick(t, c, d); kind != "" {
			got = append(got, kind)
		}
	}
	if want := "carried" + strings.Repeat(" advance", 4) + " promote carried"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if calls := strings.Join(o.calls, ", "); calls != "pin release-dev-1.1, unpin release-dev-1.1" || len(o.pins) != 0 {
		t.Errorf("effects %s, pins %v", calls, o.pins)
	}
	h, err := c.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h.Entry.Actor != "ctl" || h.State().Stable.Revision != newRev || h.Routing("").Number != h.Number() {
		t.Errorf("%+v", h.Entry)
	}
	var history strings.Builder
	for e, err := range c.Log.Range(t.Context(), 1, h.Number()) {
		if err != nil {
			t.Fatal(err)
		}
		history.WriteString(e.Describe() + "\n")
		history.WriteString(indent(e.State.Describe(e.At)))
		history.WriteString(indent(e.State.Outlook(e.At)))
	}
	golden(t, "history.golden", history.String())
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ") + "\n"
}

func TestAnAbortFencesBeforeItSaysSo(t *testing.T) {
	c, o := begun(t)
	for range 4 {
		tick(t, c, 0)
	}
	o.fail = "fence"
	o.seen.Verdict = Bad
	if d, err := c.Tick(t.Context(), at(time.Minute)); err == nil || d.Transition.Entry.Kind != KindAbort {
		t.Fatalf("%s, %v", d.Describe(), err)
	}
	if h, err := c.Log.Head(t.Context()); err != nil || h.State().Live() == nil {
		t.Fatalf("the abort is in the ledger without its fence: %v", err)
	}
	o.fail = ""
	if got := tick(t, c, 2*time.Minute); got != "abort" || o.fences["release-dev-1.1"] != 1 {
		t.Errorf("%s, fences %v", got, o.fences)
	}
}

func TestAFenceWithoutAnAbortIsGoneOnWith(t *testing.T) {
	c, o := begun(t)
	for range 4 {
		tick(t, c, 0)
	}
	o.fences["release-dev-1.1"] = 1 // somebody was killed right after it
	if got := tick(t, c, time.Minute); got != "abort" || o.fences["release-dev-1.1"] != 1 {
		t.Errorf("%s, fences %v", got, o.fences)
	}
}

func TestAnObserverThatFailsStopsEverythingButAnAbort(t *testing.T) {
	c, o := begun(t)
	o.err = errors.New("no metrics")
	if d, err := c.Tick(t.Context(), t0()); !errors.Is(err, o.err) || d.Transition != nil || len(o.pins) != 0 {
		t.Errorf("%s, %v, pins %v", d.Describe(), err, o.pins)
	}
	// The candidate is refused, which the ledger alone says.
	h, err := c.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := h.State().clone()
	s.quarantine(Quarantined{Revision: newRev, By: "anna", Reason: "smells"})
	if _, err := c.Log.Append(t.Context(), h, Entry{Kind: KindJail, Actor: "anna", Reason: "r", At: t0(), State: s}); err != nil {
		t.Fatal(err)
	}
	if got := tick(t, c, time.Minute); got != "abort" {
		t.Errorf("%q, want the abort", got)
	}
}

func TestOneWinsAndTheOtherSaysSo(t *testing.T) {
	c, _ := begun(t)
	h, err := c.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tick(t, c, 0)
	_, err = c.Log.Append(t.Context(), h, *h.Entry)
	if !errors.Is(err, ledger.ErrHeadMoved) || !errors.Is(err, lockstep.ErrConflict) || lockstep.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
	// The same through a command whose state grew old under it.
	_, err = c.Do(t.Context(), func(s State) (Transition, error) {
		tick(t, c, 0)
		return Pause(s, by("anna", 0))
	})
	if !errors.Is(err, ledger.ErrHeadMoved) {
		t.Errorf("%v", err)
	}
}

func TestTheCalendarKeepsARelaseFromAdvancingAndNotFromAborting(t *testing.T) {
	c, o := begun(t)
	cal, err := NewCalendar([]Rule{{Name: "mondays", Days: []string{"mon"}}})
	if err != nil {
		t.Fatal(err)
	}
	c.Calendar = cal
	tick(t, c, 0)
	d, err := c.Look(t.Context(), at(time.Hour))
	if err != nil || d.Transition != nil || !d.Until.Equal(at(16*time.Hour)) || d.Describe() != "nothing yet: frozen: mondays, until 2026-05-05 00:00:00Z" {
		t.Errorf("%s %v", d.Describe(), err)
	}
	o.seen.Preflight = Bad
	if got := tick(t, c, 2*time.Hour); got != "abort" {
		t.Errorf("%q", got)
	}
}

func TestTheLogRefusesWhatItCouldNotRead(t *testing.T) {
	c, _ := begun(t)
	h, err := c.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := *h.Entry
	e.State = e.State.clone()
	e.State.Release.Weight = 20000
	if _, err := c.Log.Append(t.Context(), h, e); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if again, err := c.Log.Head(t.Context()); err != nil || again.Number() != h.Number() {
		t.Errorf("entry %d was appended, %v", again.Number(), err)
	}
	if _, err := c.Log.At(t.Context(), 99); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if first, err := c.Log.At(t.Context(), 1); err != nil || first.Entry.Kind != KindAdopt {
		t.Errorf("%v %v", first, err)
	}
}

func TestAnEmptyLedgerHasNothingToSay(t *testing.T) {
	c := newController(new(blob.Mem), newOutside())
	if got := tick(t, c, 0); got != "" {
		t.Errorf("%q", got)
	}
	h, err := c.Log.Head(t.Context())
	if err != nil || h.Number() != 0 || h.State().Describe(t0()) != "nothing is adopted yet\n" {
		t.Errorf("%v %v", h, err)
	}
}

func TestACancelledContextStopsEverything(t *testing.T) {
	c, _ := begun(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := Head{}
	_, terr := c.Tick(ctx, t0())
	_, lerr := c.Look(ctx, t0())
	_, derr := c.Do(ctx, func(s State) (Transition, error) { return Pause(s, by("anna", 0)) })
	_, herr := c.Log.Head(ctx)
	_, aerr := c.Log.At(ctx, 1)
	_, perr := c.Log.Append(ctx, h, Entry{Kind: KindAdopt, Actor: "a", Reason: "r", At: t0(), State: adopted(t)})
	_, oerr := c.Observe(ctx, started(t), t0())
	var rerr error
	for _, err := range c.Log.Range(ctx, 1, 2) {
		rerr = err
	}
	for name, err := range map[string]error{"tick": terr, "look": lerr, "do": derr, "head": herr, "at": aerr, "append": perr, "observe": oerr, "range": rerr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
