package compact

import (
	"context"
	"errors"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// tried is how one revision fared with a job.
type tried struct {
	out    *planned
	failed int // index of the first message that failed, the number of messages for none
	reason string
	took   time.Duration
}

func (t *tried) whole(j *job) bool { return t.failed == len(j.messages) }

// decided has the revision decide that the routing names. A candidate that fails, is too
// slow or breaks a rule does not fail the batch: the unit is run again on stable. What
// fails with both is bad data, and judges nobody.
func (p *planner) decided(ctx context.Context, j *job) (*tried, error) {
	if j.retry == nil && p.parked[j.group] { // it waits, and nobody is asked
		return p.tryArm(ctx, j, p.arms.stable)
	}
	first, other := p.arms.of(j.group), (*arm)(nil)
	if p.arms.trial != "" && j.retry == nil {
		other = p.arms.other(first)
	}
	got, err := p.tryArm(ctx, j, first)
	if err != nil {
		return nil, err
	}
	if first != p.arms.stable && !got.whole(j) {
		other = p.arms.stable // it covers, whatever is counted
	}
	if got.whole(j) {
		p.count(got, first, verdictGood)
		return got, nil
	}
	if other == nil {
		p.count(got, first, verdictAlone)
		return got, nil
	}
	second, err := p.tryArm(ctx, j, other)
	if err != nil {
		return nil, err
	}
	p.arm = p.arms.stable // whoever failed, what is kept is stable's
	judged := verdictBoth
	if second.whole(j) {
		judged = verdictBad
	}
	kept := got
	if first != p.arms.stable {
		kept = second
	}
	// Counted with what is published, though about the one that failed.
	kept.took = got.took
	p.count(kept, first, judged)
	return kept, nil
}

// tryArm has one revision handle the job: stable as far as it comes, a candidate all or
// nothing, since stable takes over from the start.
func (p *planner) tryArm(ctx context.Context, j *job, a *arm) (*tried, error) {
	p.arm = a
	start := p.clock()
	var t tried
	var err error
	if a == p.arms.stable {
		t.out, t.failed, t.reason, err = p.attempt(ctx, j)
	} else {
		t.out, t.failed, t.reason, err = p.attemptWhole(ctx, j)
	}
	t.took = p.clock().Sub(start)
	return &t, err
}

// attemptWhole handles all messages of the job or none. Nothing but the end of ctx and
// a local state that cannot be read is an error: the candidate has no other excuse.
func (p *planner) attemptWhole(ctx context.Context, j *job) (out *planned, failed int, reason string, err error) {
	out, err = p.handle(ctx, j, len(j.messages))
	if err == nil {
		return out, len(j.messages), "", nil
	}
	var fault parkError
	if ctx.Err() != nil || !errors.As(err, &fault) && !errors.Is(err, lockstep.ErrUnavailable) {
		return nil, 0, "", err
	}
	return newPlanned(j), 0, err.Error(), nil
}

// verdict is what became of a unit.
type verdict int

const (
	verdictGood  verdict = iota
	verdictBad           // the revision failed, the other one did not
	verdictBoth          // both failed
	verdictAlone         // it failed, and there was no other
)

// count notes a unit for the release in progress. A job about which no handler was asked,
// or was asked before, is none.
func (p *planner) count(t *tried, a *arm, v verdict) {
	j := t.out.job
	if p.arms.trial == "" || j.retry != nil || !t.out.asked && v == verdictGood {
		return
	}
	u := &version.Units{Revision: a.id, Class: version.UnitClass(len(j.messages))}
	switch v {
	case verdictBoth:
		u.Both = 1
	case verdictAlone:
		u.Alone = 1
	case verdictBad:
		u.Bad, u.Keys = 1, []string{version.KeyHash(j.group)}
		fallthrough
	case verdictGood:
		u.Units, u.Took = 1, map[int]int{version.TookKey(t.took): 1}
		u.Events = map[string]int{}
		for i := range j.messages {
			u.Events[string(j.messages[i].Change.Event)]++
		}
	}
	t.out.unit = u
}
