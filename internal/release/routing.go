package release

import (
	"encoding/binary"
	"slices"

	"github.com/zeebo/blake3"
)

// Bucket places a key in one of 2^32 buckets. It depends on nothing but the release
// and the key, so a key never flips back while weights grow, a retry of its message
// meets the same revision, and two releases burden different keys.
func Bucket(release, key string) uint32 {
	b := make([]byte, 0, 3*8+len(bucketDomain)+len(release)+len(key))
	for _, s := range []string{bucketDomain, release, key} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	sum := blake3.Sum256(b)
	return binary.BigEndian.Uint32(sum[:])
}

const bucketDomain = "lockstep/release-bucket/1"

// Arm is one of the roles that can decide for a key.
type Arm uint8

// The arms.
const (
	ArmStable    Arm = iota // Routing.Stable decides
	ArmCandidate            // Routing.Candidate decides
	ArmForced               // Routing.Forced decides, a revision in neither role
)

func (a Arm) String() string {
	switch a {
	case ArmStable:
		return "stable"
	case ArmCandidate:
		return "candidate"
	case ArmForced:
		return "forced"
	}
	return "unknown"
}

// Routing says which revision decides for which key. It is read for every batch,
// and two routings are compared by Number, never by a clock.
type Routing struct {
	Number    uint64 // of the entry in the ledger of releases; 0: none yet
	Release   string // ID; "" when no release is under way
	Attempt   int
	Phase     Phase
	Stable    string // revision ID
	Candidate string // revision ID; "" when none may run at all
	Weight    Weight // 0 unless Phase.Serves
	Allow     []string
	Deny      []string // both sorted
	Forced    string   // revision ID; "" unless somebody forces it
	Watch     string   // the trial that units of stable are counted for after its promotion; "": none
}

// RoutingOf returns the routing that entry number with that state asks for. Forced
// is the ID of the revision that the environment of the process forces on it
// (LOCKSTEP_REVISION), "" for none. A quarantined revision decides for nothing,
// forced or not; the caller sees that it was ignored by an empty Routing.Forced.
func RoutingOf(number uint64, s State, forced string) Routing {
	r := Routing{Number: number, Stable: s.Stable.Revision, Forced: forced}
	if _, bad := s.Quarantined(forced); bad {
		r.Forced = ""
	}
	live := s.Live()
	if live == nil {
		if w := s.Watched(); w != nil {
			r.Watch = w.WatchName()
		}
		return r
	}
	r.Release, r.Attempt, r.Phase = live.ID, live.Attempt, live.Phase
	if _, bad := s.Quarantined(live.Candidate); bad {
		return r
	}
	r.Candidate = live.Candidate
	if live.Phase.Serves() {
		r.Weight = live.Weight
		r.Allow, r.Deny = sorted(live.Plan.Allow), sorted(live.Plan.Deny)
	}
	return r
}

func sorted(keys []string) []string {
	c := slices.Clone(keys)
	slices.Sort(c)
	return c
}

// Arm returns who decides for key, the partition key of the item: what is forced;
// else stable for a denied key, the candidate for an allowed one; else the bucket
// against the weight.
func (r Routing) Arm(key string) Arm {
	if r.Forced != "" {
		switch {
		case SameRevision(r.Forced, r.Stable):
			return ArmStable
		case r.Candidate != "" && SameRevision(r.Forced, r.Candidate):
			return ArmCandidate
		}
		return ArmForced
	}
	switch {
	case r.Candidate == "" || has(r.Deny, key):
		return ArmStable
	case has(r.Allow, key):
		return ArmCandidate
	case uint64(Bucket(r.Release, key)) < share(r.Weight):
		return ArmCandidate
	}
	return ArmStable
}

// Revision returns the ID of the revision that decides for key.
func (r Routing) Revision(key string) string {
	switch r.Arm(key) {
	case ArmStable:
	case ArmCandidate:
		return r.Candidate
	case ArmForced:
		return r.Forced
	}
	return r.Stable
}

func has(keys []string, key string) bool {
	_, found := slices.BinarySearch(keys, key)
	return found
}

// share is how many of the 2^32 buckets a weight takes: none at 0, all at All.
func share(w Weight) uint64 { return uint64(min(w, All)) << 32 / uint64(All) }
