package retention

import (
	"fmt"
	"time"

	"lockstep/internal/lockstep"
)

// Policy says what is kept. The zero value means the defaults; it is stored with
// the plan, so that what was planned is what is carried out.
type Policy struct {
	// Keep is how long every version stays, since it was stored. Default 7 days.
	Keep time.Duration `json:"keep_ns"`
	// Orphans is how old an object that nothing refers to must be. It must exceed the
	// longest job: what a commit or a base under way has written looks just like it.
	// Default 7 days.
	Orphans time.Duration `json:"orphans_ns"`
	// Wait is how long a stored plan waits before it may be executed, so that whoever
	// was about to need something can say so. Default 24 hours; see NoWait.
	Wait time.Duration `json:"wait_ns"`
	// NoWait lets a plan be executed at once, for tests and for a person who knows
	// that nothing else runs.
	NoWait bool `json:"no_wait,omitempty"`
	// Bases is how many ways there must be to rebuild the head: as many bases, or all
	// deltas since the empty index. With 2, the default, a damaged base costs time and
	// not data (TRAPS 4.5). At most 16.
	Bases int `json:"bases"`
}

const (
	day         = 24 * time.Hour
	maxBases    = 16
	defaultKeep = 7 * day
	// pinGrace is how long a pin holds beyond its end: clocks differ.
	pinGrace = time.Hour
)

func (p Policy) resolved() (Policy, error) {
	if p.Keep < 0 || p.Orphans < 0 || p.Wait < 0 || p.Bases < 0 || p.Bases > maxBases {
		return p, fmt.Errorf("%w retention policy: keep %s, orphans %s, wait %s, bases %d: want nothing negative and at most %d bases",
			lockstep.ErrInvalid, p.Keep, p.Orphans, p.Wait, p.Bases, maxBases)
	}
	if p.Keep == 0 {
		p.Keep = defaultKeep
	}
	if p.Orphans == 0 {
		p.Orphans = 7 * day
	}
	if p.Wait == 0 {
		p.Wait = day
	}
	if p.NoWait {
		p.Wait = 0
	}
	if p.Bases == 0 {
		p.Bases = 2
	}
	return p, nil
}
