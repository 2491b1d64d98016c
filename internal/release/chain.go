package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Link is one environment of a chain.
type Link struct {
	Environment string
	// Occupancy is how long a revision has to have been here alone, without a break,
	// before the next environment may start it.
	Occupancy time.Duration
}

// Chain is the order in which environments get a revision.
type Chain []Link

// DefaultChain is dev for 48 hours, staging for 24 hours, prod.
func DefaultChain() Chain {
	return Chain{{"dev", 48 * time.Hour}, {"staging", 24 * time.Hour}, {"prod", 0}}
}

// Check returns ErrInvalid unless the chain has environments with distinct, valid
// names and no negative time.
func (c Chain) Check() error {
	if len(c) == 0 {
		return fmt.Errorf("%w chain: no environment", lockstep.ErrInvalid)
	}
	for i, l := range c {
		if err := CheckEnvironment(l.Environment); err != nil {
			return fmt.Errorf("chain: %w", err)
		}
		if l.Occupancy < 0 {
			return fmt.Errorf("chain: %w occupancy %s of %s", lockstep.ErrInvalid, l.Occupancy, l.Environment)
		}
		if c.index(l.Environment) != i {
			return fmt.Errorf("chain: %w: %s is in it twice", lockstep.ErrInvalid, l.Environment)
		}
	}
	return nil
}

func (c Chain) index(environment string) int {
	return slices.IndexFunc(c, func(l Link) bool { return l.Environment == environment })
}

// Before returns the environment that a revision has to have been in before it may
// come to environment, false for the first one. lockstep.ErrNotFound lists the
// chain.
func (c Chain) Before(environment string) (Link, bool, error) {
	i := c.index(environment)
	switch {
	case i < 0:
		return Link{}, false, fmt.Errorf("environment %.80q: %w in the chain %s", environment, lockstep.ErrNotFound, c)
	case i == 0:
		return Link{}, false, nil
	}
	return c[i-1], true, nil
}

// String is the chain in words: "dev 48h -> staging 24h -> prod".
func (c Chain) String() string {
	parts := make([]string, len(c))
	for i, l := range c {
		parts[i] = l.Environment
		if l.Occupancy > 0 {
			parts[i] += " " + span(l.Occupancy)
		}
	}
	return strings.Join(parts, " -> ")
}

// Gate returns why revision may not yet come to the environment after the one of
// upstream, whose latest state that is; none when it may. It is judged by the hash
// of the content. An upstream that does not say what is asked is a reason.
func (l Link) Gate(revision string, upstream State, now time.Time) []string {
	if upstream.Environment != l.Environment {
		return []string{fmt.Sprintf("%s has to come first, and its ledger of releases is not there", l.Environment)}
	}
	var reasons []string
	if q, bad := upstream.Quarantined(revision); bad {
		reasons = append(reasons, fmt.Sprintf("%s has it in quarantine, by %s: %s", l.Environment, q.By, q.Reason))
	}
	ran := upstream.Occupied(revision, now)
	live := upstream.Live()
	switch {
	case ran >= l.Occupancy && (ran > 0 || l.Occupancy > 0):
	case ran > 0:
		reasons = append(reasons, fmt.Sprintf("it was alone in %s for %s of %s", l.Environment, span(ran), span(l.Occupancy)))
	case SameRevision(upstream.Stable.Revision, revision):
		if l.Occupancy > 0 {
			reasons = append(reasons, fmt.Sprintf("it was alone in %s for 0s of %s", l.Environment, span(l.Occupancy)))
		}
	case live != nil && SameRevision(live.Candidate, revision):
		reasons = append(reasons, fmt.Sprintf("release %s of it is still under way in %s, in %s at %s", live.ID, l.Environment, live.Phase, live.Weight))
	default:
		reasons = append(reasons, fmt.Sprintf("it is not stable in %s, where %s is", l.Environment, upstream.Stable.Revision))
	}
	return reasons
}
