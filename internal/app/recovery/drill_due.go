package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/drill"
	"lockstep/internal/incident"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// occupied says why no drill may begin now, "" when one may: what it would practise is
// needed, or is being used.
func (a *Assembly) occupied(ctx context.Context) (string, error) {
	_, s, err := a.Control.Standing(ctx)
	if err != nil {
		return "", err
	}
	if r := s.Live(); r != nil {
		return fmt.Sprintf("release %s of %s is under way", r.ID, r.Candidate), nil
	}
	j := a.Journals()
	ids, err := j.IDs(ctx)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	// Only the newest can be under way: one that is stuck needs a person, and no silence.
	p, err := (&rollback.Engine{Journals: j}).State(ctx, ids[0])
	if err != nil {
		return "", err
	}
	if p.Outcome() == rollback.Running {
		return fmt.Sprintf("rollback %s is under way", p.Plan.ID), nil
	}
	return "", nil
}

// busy says whether a schedule has to wait: a release, a rollback or an incident is under way.
func (a *Assembly) busy(ctx context.Context) (bool, error) {
	why, err := a.occupied(ctx)
	if err != nil || why != "" {
		return why != "", err
	}
	all, err := incident.NewBook(a.Control.Blobs, nil, ledger.Options{Now: a.Now}).List(ctx, a.Config.Environment)
	if err != nil {
		return false, err
	}
	for i := range all {
		if all[i].Open() {
			return true, nil
		}
	}
	return false, nil
}

// ScheduleOf is when drills are run by themselves: rollback.drill.every, in whole days, at
// least one. The zero Schedule, which never lets one begin, when the configuration asks for none.
func ScheduleOf(every time.Duration) (drill.Schedule, error) {
	if every <= 0 {
		return drill.Schedule{}, nil
	}
	days := int((every + 24*time.Hour - 1) / (24 * time.Hour))
	return drill.NewSchedule(drill.Rule{Every: days, Jitter: min(every/10, time.Hour)})
}

// DrillDue says whether a drill shall begin now. It changes nothing.
func (a *Assembly) DrillDue(ctx context.Context) (drill.Call, error) {
	schedule, err := ScheduleOf(a.Config.Rollback.Drill.Every)
	if err != nil {
		return drill.Call{}, err
	}
	if a.Config.Rollback.Drill.Every <= 0 {
		return drill.Book{}.Due(a.Now(), schedule, false), ctx.Err()
	}
	book, err := a.Control.Drills(ctx, a.Config.Environment)
	if err != nil {
		return drill.Call{}, err
	}
	busy, err := a.busy(ctx)
	if err != nil {
		return drill.Call{}, err
	}
	return book.Due(a.Now(), schedule, busy), nil
}

// DrillWhenDue runs a drill when one is due, and is made to be called every minute or so; ran
// is false when none was. Drills of several processes get their turn by the book: one that is
// under way counts as one that was tried. Errors as Drill; one that a release came before is none.
func (a *Assembly) DrillWhenDue(ctx context.Context, x Exercise) (d drill.Drill, ran bool, err error) {
	call, err := a.DrillDue(ctx)
	if err != nil || !call.Due {
		return d, false, err
	}
	d, err = a.Drill(ctx, x)
	if d.ID == "" && errors.Is(err, lockstep.ErrRefused) {
		return d, false, nil
	}
	return d, d.ID != "", err
}
