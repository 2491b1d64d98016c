package version

import (
	"cmp"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/blake3"
)

// Fenced is a trial that is over: its candidate may not write any more, whatever the
// routing says. It is the first write of an abort, and the one that counts. Later entries
// carry it on.
type Fenced struct {
	Trial    string `json:"trial"`    // one attempt of one release
	Revision string `json:"revision"` // handler.Revision.ID of its candidate
	Reason   string `json:"reason,omitempty"`
	Since    uint64 `json:"since"` // the version that put it up
}

// MaxFenced is how many fences an entry carries on, the newest: what was planned so many
// trials ago cannot be published any more for other reasons.
const MaxFenced = 32

// Trial is how the units of work went that an entry publishes, by who decided them, while
// a release is in progress. It is the evidence that the release is judged by: in the entry
// itself, so that a unit counts exactly when it was published.
type Trial struct {
	Name string  `json:"name"` // of one attempt of one release
	Arms []Units `json:"arms,omitempty"`
	// Keys says which keys went where, while the candidate decides for a share of them.
	Keys *Keys `json:"keys,omitempty"`
}

// Keys are the partition keys that had work in an entry, by whom the routing gave them to,
// whoever did it in the end. They are hashes (KeyHash) in order, at most MaxKeys together:
// the least ones, so that where a key went has no say in whether it is listed.
type Keys struct {
	// Weight is the share of the keys that the candidate was to get, in basis points;
	// absent when something besides the weight has decided, so that shares mean nothing.
	Weight    *uint32  `json:"weight,omitempty"`
	Candidate []string `json:"candidate,omitempty"`
	Stable    []string `json:"stable,omitempty"`
	More      int      `json:"more,omitempty"` // keys that are not listed
}

// MaxKeys bounds the lists of Keys. A key that is not listed is one of more than so many,
// so that no key that has much of the work stays unseen.
const MaxKeys = 64

// KeyHash stands for a partition key in an entry: enough to tell keys apart, and not the
// key itself, which may be personal.
func KeyHash(key string) string {
	b := make([]byte, 0, len(keyDomain)+len(key))
	h := blake3.Sum256(append(append(b, keyDomain...), key...))
	return hex.EncodeToString(h[:8])
}

const keyDomain = "lockstep/key/1 "

// Units counts units of work of one revision and one class of size. A unit is what one
// partition key had in one batch and a handler was asked about for the first time: what
// is tried again is not counted again.
type Units struct {
	Revision string `json:"revision"`
	Class    int    `json:"class"` // UnitClass of its messages
	Units    int    `json:"units"`
	// Bad units failed with this revision and not with the other one. Both counts those
	// that failed with both: bad data, which judges nobody; they are not among Units.
	Bad  int `json:"bad,omitempty"`
	Both int `json:"both,omitempty"`
	// Alone counts those that failed while there was no other to ask; they are not among
	// Units either.
	Alone int `json:"alone,omitempty"`
	// Took counts units by duration, in quarters of an octave: TookKey.
	Took map[int]int `json:"took,omitempty"`
	// Events counts messages by kind of event, so that a bake can tell what it has seen.
	Events map[string]int `json:"events,omitempty"`
	// Keys are hashes of the keys of bad units, at most MaxBadKeys of them: a key that
	// always fails is one unit and not one for every batch.
	Keys []string `json:"keys,omitempty"`
}

// TookKey is the key of Units.Took for a duration: the least k for which it is less than
// 2^(k/4) microseconds.
func TookKey(d time.Duration) int {
	return int(math.Ceil(4 * math.Log2(float64(max(0, d.Microseconds())+1))))
}

// MaxBadKeys bounds Units.Keys.
const MaxBadKeys = 16

// UnitClass is the class of size of a unit of so many messages: 0 for one, 1 up to 4, 2
// up to 16, 3 for more. A larger unit fails more often whatever the code, so that units
// are compared within a class.
func UnitClass(messages int) int {
	switch {
	case messages <= 1:
		return 0
	case messages <= 4:
		return 1
	case messages <= 16:
		return 2
	}
	return 3
}

// Add counts the units of u, which has one revision and class, among those of t.
func (t *Trial) Add(u *Units) {
	i, found := slices.BinarySearchFunc(t.Arms, u, func(a Units, u *Units) int {
		return cmp.Or(strings.Compare(a.Revision, u.Revision), cmp.Compare(a.Class, u.Class))
	})
	if !found {
		t.Arms = slices.Insert(t.Arms, i, Units{Revision: u.Revision, Class: u.Class, Took: map[int]int{}, Events: map[string]int{}})
	}
	a := &t.Arms[i]
	a.Units, a.Bad, a.Both, a.Alone = a.Units+u.Units, a.Bad+u.Bad, a.Both+u.Both, a.Alone+u.Alone
	for k, n := range u.Took {
		a.Took[k] += n
	}
	for k, n := range u.Events {
		a.Events[k] += n
	}
	for _, k := range u.Keys {
		if len(a.Keys) < MaxBadKeys && !slices.Contains(a.Keys, k) {
			a.Keys = append(a.Keys, k)
		}
	}
}
