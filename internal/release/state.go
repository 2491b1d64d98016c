package release

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Pair is a revision and a version of the index: what a rollback can return to.
type Pair struct {
	Revision string `json:"revision"` // handler.Revision.ID
	Version  uint64 `json:"version"`  // 0: the empty index
}

// State is everything that is true about releases in one environment. A State is
// a value: no function of this package changes one that it was given.
type State struct {
	Environment string `json:"environment"`
	// Stable is the revision that decides for every key the candidate does not, and
	// the version of the index that was newest when it became stable.
	Stable Pair `json:"stable"`
	// KnownGood is the pair that the latest release found when it started.
	KnownGood Pair `json:"known_good"`
	// Releases counts the releases that were ever started here.
	Releases uint64 `json:"releases"`
	// Release is the latest release, under way or over; nil before the first.
	Release *Release `json:"release,omitempty"`
	// Occupancy is how long Stable has been stable; times in which the line was stopped
	// are left out.
	Occupancy Clock `json:"occupancy"`
	// Past are the stables before, latest first, at most MaxTenures.
	Past       []Tenure      `json:"past,omitempty"`
	Quarantine []Quarantined `json:"quarantine,omitempty"`
	Stop       *Stop         `json:"stop,omitempty"`
	// Pins are the pins that have to hold: that of the release under way, or of one that
	// was aborted and whose data nobody has called clean.
	Pins []Effect `json:"pins,omitempty"`
	// Pending are effects that the ledger asks for and that no entry has confirmed.
	Pending []Effect `json:"pending,omitempty"`
}

// Tenure is the time for which one revision was stable.
type Tenure struct {
	Revision string        `json:"revision"`
	Version  uint64        `json:"version"` // newest when it became stable
	Ran      time.Duration `json:"ran_ns"`
	Until    time.Time     `json:"until"`
}

// Quarantined is a revision that is refused everywhere, by the hash in its ID.
type Quarantined struct {
	Revision string    `json:"revision"`
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
}

// Stop stops the line: nothing starts and nothing advances. Aborts do.
type Stop struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until,omitzero"` // zero: until somebody lifts it
}

// Bounds of a state, so that one entry stays small.
const (
	MaxTenures     = 16
	MaxQuarantined = 1 << 10
	MaxText        = 1 << 10   // bytes of a name or a reason
	MaxEvidence    = 256 << 10 // bytes of Release.Evidence
)

var environmentName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// CheckEnvironment returns ErrInvalid unless name can name an environment: 1 to 32
// of a-z 0-9 -, a letter or digit at both ends.
func CheckEnvironment(name string) error {
	if !environmentName.MatchString(name) {
		return fmt.Errorf("%w environment %.80q: want 1 to 32 of a-z 0-9 -, a letter or digit at both ends", lockstep.ErrInvalid, name)
	}
	return nil
}

var revisionID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}@[A-Za-z0-9][A-Za-z0-9._-]{0,62}\+[0-9a-f]{12}$`)

// CheckRevision returns ErrInvalid unless id is that of a revision, as
// handler.Revision.ID gives it: "receipts@2+3fa9c1d2e4f5".
func CheckRevision(id string) error {
	if !revisionID.MatchString(id) {
		return lockstep.Hint(fmt.Errorf("%w revision %.200q: want name@version+hash with 12 digits", lockstep.ErrInvalid, id), `"lockstep revision list" shows the ids`)
	}
	return nil
}

// hashDigits is how many digits of a revision's hash its ID carries. Fewer are not
// taken for a hash.
const hashDigits = 12

// SameRevision says whether two revisions have the same content: equal IDs, or the
// same hash behind the plus sign, which may be given in full or by its first 12
// digits. Names do not count.
func SameRevision(a, b string) bool {
	if a == b {
		return true
	}
	ha, hb := hashOf(a), hashOf(b)
	n := min(len(ha), len(hb))
	return n >= hashDigits && ha[:n] == hb[:n]
}

func hashOf(revision string) string {
	if _, hash, ok := strings.Cut(revision, "+"); ok {
		return strings.ToLower(hash)
	}
	return ""
}

// Quarantined returns why revision is refused here, if it is.
func (s State) Quarantined(revision string) (Quarantined, bool) {
	for _, q := range s.Quarantine {
		if SameRevision(q.Revision, revision) {
			return q, true
		}
	}
	return Quarantined{}, false
}

// Live returns the release that is under way, nil when there is none.
func (s State) Live() *Release {
	if s.Release == nil || s.Release.Phase.Final() {
		return nil
	}
	return s.Release
}

// Stopped returns what stops the line at now, nil when it runs.
func (s State) Stopped(now time.Time) *Stop {
	if s.Stop == nil || (!s.Stop.Until.IsZero() && !now.Before(s.Stop.Until)) {
		return nil
	}
	return s.Stop
}

// Occupied returns for how long, at now, revision has been alone in this
// environment without a break: as stable, or as a candidate with all of the keys.
// Of several times, the longest counts, also one that is over. Held times are not
// counted.
func (s State) Occupied(revision string, now time.Time) time.Duration {
	var longest time.Duration
	if SameRevision(s.Stable.Revision, revision) {
		longest = s.Occupancy.Elapsed(now)
		if s.Stop != nil && s.Stopped(now) == nil && s.Occupancy.Since.IsZero() {
			// The stop has run out, and no entry has said so yet.
			longest += now.Sub(s.Stop.Until)
		}
	}
	if r := s.Live(); r != nil && SameRevision(r.Candidate, revision) {
		longest = max(longest, r.Full.Elapsed(now))
	}
	for _, p := range s.Past {
		if SameRevision(p.Revision, revision) {
			longest = max(longest, p.Ran)
		}
	}
	return longest
}

// enthrone makes pair stable at now, with ran as its occupancy so far.
func (s *State) enthrone(pair Pair, occupancy Clock, now time.Time) {
	if s.Stable.Revision != "" {
		old := Tenure{Revision: s.Stable.Revision, Version: s.Stable.Version, Ran: s.Occupancy.Elapsed(now), Until: now}
		s.Past = append([]Tenure{old}, s.Past...)
		s.Past = s.Past[:min(len(s.Past), MaxTenures)]
	}
	s.Stable = pair
	if s.Stopped(now) != nil {
		s.Occupancy = occupancy.Stand(now)
		return
	}
	s.Occupancy = occupancy.Run(now)
}

// dethrone is enthrone in place of a revision that was taken back: the time for
// which that one was stable counts for nothing in any chain.
func (s *State) dethrone(pair Pair, now time.Time) {
	gone := s.Stable.Revision
	s.enthrone(pair, Clock{}, now)
	for i, p := range s.Past {
		if SameRevision(p.Revision, gone) {
			s.Past[i].Ran = 0
		}
	}
}

// clone copies everything that a transition may change.
func (s State) clone() State {
	if s.Release != nil {
		r := s.Release.clone()
		s.Release = &r
	}
	if s.Stop != nil {
		stop := *s.Stop
		s.Stop = &stop
	}
	s.Past = slices.Clone(s.Past)
	s.Quarantine = slices.Clone(s.Quarantine)
	s.Pins = slices.Clone(s.Pins)
	s.Pending = slices.Clone(s.Pending)
	return s
}
