package app

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/handler"
	"lockstep/internal/release"
)

// The risks that preflight can leave open, each to be accepted by its name.
const (
	// riskOldReadsNew: stable was not shown to go on from what the candidate wrote.
	riskOldReadsNew = "old-reads-new"
	// riskNewReadsOld: the candidate does not declare that it reads what is there.
	riskNewReadsOld = "new-reads-old"
	// riskNoTraffic: there are no recorded changes to try the candidate on.
	riskNoTraffic = "no-recorded-traffic"
	// riskUnfinished: there was not enough time to look at what is recorded.
	riskUnfinished = "preflight-unfinished"
	// riskDisk: the data directory may not have room for a release.
	riskDisk = "disk"
)

// cleared is what preflight says: why the candidate may not begin, or what it leaves open.
type cleared struct {
	bad   []string
	risks []release.OpenRisk
}

func (c *cleared) open(name, format string, args ...any) {
	c.risks = append(c.risks, release.OpenRisk{Name: name, Reason: fmt.Sprintf(format, args...)})
}

// preflight says whether the candidate may begin at all: whether it starts, means the same
// keys, keeps the contract of handlers, fails on nothing recorded that stable can do, and
// whether stable can go on from what it writes (invariant 11).
func (c *Control) preflight(ctx context.Context, s release.State) (release.Health, []release.OpenRisk, []string, error) {
	candidate, err := c.Revisions.Lookup(s.Release.Candidate)
	if err == nil {
		err = c.Revisions.Probe(ctx, candidate)
	}
	if err != nil {
		return unfit(err.Error())
	}
	stable, err := c.Revisions.Lookup(s.Stable.Revision)
	if err != nil {
		return unfit(err.Error())
	}
	if err := c.Probe(ctx); err != nil {
		return release.NoData, nil, nil, err
	}
	from, to := stable.Handler.Describe(), candidate.Handler.Describe()
	if from.Key != to.Key {
		return unfit(fmt.Sprintf("the key of the table is %+v for stable and %+v for the candidate: they do not mean the same keys", from.Key, to.Key))
	}
	out := &cleared{}
	if err := errors.Join(c.room(ctx, out), c.drilled(ctx, out)); err != nil {
		return release.NoData, nil, nil, err
	}
	proven, err := c.rehearse(ctx, s, stable, newPatient(candidate, c.cfg.Release.Budget), out)
	if err != nil {
		return release.NoData, nil, nil, err
	}
	if len(out.bad) > 0 {
		return unfit(out.bad...)
	}
	formats(from, to, proven, out)
	return release.Healthy, out.risks, nil, nil
}

// unfit is the answer that the candidate may not begin. It is an answer, and no error.
func unfit(why ...string) (release.Health, []release.OpenRisk, []string, error) {
	return release.Bad, nil, why, nil
}

// rehearse tries the candidate on what is recorded up to the known good version. proven
// says whether stable was shown to go on from its output.
func (c *Control) rehearse(ctx context.Context, s release.State, stable, candidate handler.Revision, out *cleared) (proven proof, err error) {
	defer func() { // nobody has seen the candidate at work yet
		if x := recover(); x != nil {
			out.bad = append(out.bad, fmt.Sprintf("it panicked on recorded changes: %v", x))
		}
	}()
	r, err := c.recorded(ctx, s.Release.KnownGood.Version, stable, candidate)
	if err != nil {
		return unproven, err
	}
	if len(r.fixture.Messages) == 0 {
		out.open(riskNoTraffic, "no change is recorded that stable has handled, so neither the candidate nor the way back was tried on anything")
		return unproven, nil
	}
	if err := c.tryRecorded(ctx, r.versions, stable, candidate, out); err != nil || len(out.bad) > 0 {
		return unproven, err
	}
	if err := keepsContract(ctx, stable, candidate, r.fixture, out); err != nil || len(out.bad) > 0 {
		return unproven, err
	}
	return wayBack(ctx, stable, candidate, r.fixture, out)
}

// formats says what may go wrong because of the record formats that two revisions
// declare: after a rollback stable has to read what the candidate wrote. What was shown
// counts more than what is declared.
func formats(stable, candidate handler.Description, proven proof, out *cleared) {
	if stable.WritesFormat == candidate.WritesFormat {
		return
	}
	if proven == unproven && stable.ReadsFormat != candidate.WritesFormat {
		out.open(riskOldReadsNew, "the candidate writes %q; stable declares that it reads %q, and would find the other after a rollback", candidate.WritesFormat, stable.ReadsFormat)
	}
	if candidate.ReadsFormat != stable.WritesFormat {
		out.open(riskNewReadsOld, "stable has written %q; the candidate declares that it reads %q", stable.WritesFormat, candidate.ReadsFormat)
	}
}
