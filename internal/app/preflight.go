package app

import (
	"context"
	"fmt"

	"lockstep/internal/handler"
	"lockstep/internal/release"
)

// preflight says whether the candidate may begin at all.
func (c *Control) preflight(ctx context.Context, s release.State) (release.Health, []release.OpenRisk, []string, error) {
	candidate, err := c.Revisions.Lookup(s.Release.Candidate)
	if err == nil {
		err = c.Revisions.Probe(ctx, candidate)
	}
	if err != nil {
		return release.Bad, nil, []string{err.Error()}, nil
	}
	stable, err := c.Revisions.Lookup(s.Stable.Revision)
	if err != nil {
		return release.Bad, nil, []string{err.Error()}, nil
	}
	if err := c.Probe(ctx); err != nil {
		return release.NoData, nil, nil, err
	}
	from, to := stable.Handler.Describe(), candidate.Handler.Describe()
	if from.Key != to.Key {
		why := fmt.Sprintf("the key of the table is %+v for stable and %+v for the candidate: they do not mean the same keys", from.Key, to.Key)
		return release.Bad, nil, []string{why}, nil
	}
	return release.Healthy, formats(from, to), nil, nil
}

// The risks that somebody can accept by name.
const (
	riskOldReadsNew = "old-reads-new"
	riskNewReadsOld = "new-reads-old"
)

// formats says what may go wrong because of the record formats that two revisions
// declare: after a rollback stable has to read what the candidate wrote (invariant 11).
func formats(stable, candidate handler.Description) []release.OpenRisk {
	var risks []release.OpenRisk
	if stable.WritesFormat != candidate.WritesFormat && stable.ReadsFormat != candidate.WritesFormat {
		risks = append(risks, release.OpenRisk{
			Name:   riskOldReadsNew,
			Reason: fmt.Sprintf("the candidate writes %q; stable declares that it reads %q, and would find the other after a rollback", candidate.WritesFormat, stable.ReadsFormat),
		})
	}
	if stable.WritesFormat != candidate.WritesFormat && candidate.ReadsFormat != stable.WritesFormat {
		risks = append(risks, release.OpenRisk{
			Name:   riskNewReadsOld,
			Reason: fmt.Sprintf("stable has written %q; the candidate declares that it reads %q", stable.WritesFormat, candidate.ReadsFormat),
		})
	}
	return risks
}
