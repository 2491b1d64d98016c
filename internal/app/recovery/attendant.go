package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/rollback"
)

// Attendant is what a server does about incidents while nobody watches: it opens the
// incident of a release that guards have taken back, takes the data back when the
// configuration says so, and delivers messages that were not delivered yet. Any number may
// attend one store: what one of them does the others find done.
type Attendant struct {
	Assembly *Assembly
	Desk     *Desk
	Log      *slog.Logger
	Every    time.Duration

	said map[string]string // why recipients cannot be told, as logged last
}

// deliverEvery is how often messages that wait are tried again, at most.
const deliverEvery = 5 * time.Second

// Run attends until ctx ends. What cannot be done now is tried at the next look.
func (t *Attendant) Run(ctx context.Context) error {
	tick := time.NewTicker(t.Every)
	defer tick.Stop()
	var delivered time.Time
	for {
		if err := t.look(ctx); err != nil && ctx.Err() == nil {
			t.Log.WarnContext(ctx, "incidents cannot be attended now", "error", err)
		}
		if now := t.Assembly.Now(); now.Sub(delivered) >= deliverEvery {
			delivered = now
			if err := t.deliver(ctx, now); err != nil && ctx.Err() == nil {
				t.Log.WarnContext(ctx, "messages cannot be delivered now", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (t *Attendant) look(ctx context.Context) error {
	head, err := t.Assembly.Control.Releases.Head(ctx)
	if err != nil {
		return err
	}
	s := head.State()
	in, opened, err := t.Desk.Tick(ctx, s)
	if err != nil {
		return err
	}
	if opened {
		t.Log.WarnContext(ctx, "an incident is open", "incident", in.ID, "release", s.Release.ID, "reason", s.Release.Ending.Reason)
	}
	if !t.Assembly.Config.Rollback.Automatic || !byVerdict(s.Release) {
		return nil
	}
	return t.takeBack(ctx, s.Release, in.ID)
}

// takeBack walks the plan of a release that guards have taken back, which it names after
// the attempt: so that it is made once, and gone on with by whoever finds it half done.
func (t *Attendant) takeBack(ctx context.Context, r *release.Release, incident string) error {
	id := fmt.Sprintf("auto-%s-%d", r.ID, r.Attempt)
	e, err := t.Assembly.Engine(nil)
	if err != nil {
		return err
	}
	s, err := e.State(ctx, id)
	switch {
	case errors.Is(err, lockstep.ErrNotFound):
		plan, err := t.Assembly.Plan(ctx, id, Request{
			Request: rollback.Request{Procedure: rollback.Quick}, By: t.Assembly.Actor, Reason: "release " + r.ID + ": " + r.Ending.Reason, Incident: incident,
		})
		if err != nil {
			return err
		}
		if s, err = e.Start(ctx, plan); err != nil && !errors.Is(err, lockstep.ErrConflict) {
			return err
		}
	case err != nil:
		return err
	}
	if o := s.Outcome(); o != rollback.Planned && o != rollback.Running {
		return nil
	}
	s, err = e.Run(ctx, id)
	if errors.Is(err, rollback.ErrElsewhere) {
		return nil // another server walks it
	}
	if err == nil {
		t.Log.InfoContext(ctx, "the data was taken back", "plan", id, "outcome", string(s.Outcome()))
	}
	return err
}

func (t *Attendant) deliver(ctx context.Context, now time.Time) error {
	if len(t.Assembly.Config.Rollback.Notify) == 0 && t.Assembly.Config.Rollback.Issue == nil {
		return nil
	}
	courier, unset := t.Assembly.Courier()
	for name, err := range unset {
		if t.said[name] == err.Error() {
			continue // it is looked every few seconds, and said once
		}
		if t.said == nil {
			t.said = map[string]string{}
		}
		t.said[name] = err.Error()
		t.Log.WarnContext(ctx, "a recipient cannot be told", "recipient", name, "error", err)
	}
	_, err := courier.Deliver(ctx, now)
	return err
}

// drillEvery is how often it is looked whether a drill is due.
const drillEvery = time.Minute

// Drills practises the way back when it is due, until ctx ends. It is apart from Run, since
// a drill takes its time.
func (t *Attendant) Drills(ctx context.Context) error {
	if t.Assembly.Config.Rollback.Drill.Every == 0 {
		return nil
	}
	tick := time.NewTicker(drillEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		d, ran, err := t.Assembly.DrillWhenDue(ctx, Exercise{By: t.Assembly.Actor})
		switch {
		case err != nil && ctx.Err() == nil:
			t.Log.WarnContext(ctx, "the drill could not be held", "error", err)
		case ran:
			t.Log.InfoContext(ctx, "a drill was held", "drill", d.ID, "outcome", string(d.Outcome), "why", d.Why)
		}
	}
}
