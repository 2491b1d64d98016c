package analysis

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Heavy finds the keys that have most of the units, in little room: the space-saving
// algorithm of Metwally, Agrawal and El Abbadi. A key with more than one in MaxHeavy of the
// units is always among those kept. The zero value has seen nothing. The same keys in the
// same order give the same state.
type Heavy struct{ state heavyState }

// MaxHeavy is how many keys are kept.
const MaxHeavy = 64

type heavyState struct {
	Units int64      `json:"units"`
	Keys  []heavyKey `json:"keys,omitempty"` // by key
}

// heavyKey says that the key has had at most Units and at least Units - Over of the units.
type heavyKey struct {
	Key   string `json:"key"`
	Units int64  `json:"units"`
	Over  int64  `json:"over,omitempty"`
}

// Add counts one unit of a key.
func (h *Heavy) Add(key string) {
	h.state.Units = plus(h.state.Units, 1)
	i, found := slices.BinarySearchFunc(h.state.Keys, key, func(k heavyKey, key string) int { return strings.Compare(k.Key, key) })
	if found {
		h.state.Keys[i].Units = plus(h.state.Keys[i].Units, 1)
		return
	}
	one := heavyKey{Key: key, Units: 1}
	if len(h.state.Keys) == MaxHeavy {
		least := 0
		for j, k := range h.state.Keys {
			if k.Units < h.state.Keys[least].Units {
				least = j
			}
		}
		one.Over = h.state.Keys[least].Units
		one.Units += one.Over
		h.state.Keys = slices.Delete(h.state.Keys, least, least+1)
		if least < i {
			i--
		}
	}
	h.state.Keys = slices.Insert(h.state.Keys, i, one)
}

// AddOthers counts units of keys of which each has too few to matter.
func (h *Heavy) AddOthers(units int64) { h.state.Units = plus(h.state.Units, units) }

// Units returns how many units were counted.
func (h *Heavy) Units() int64 { return h.state.Units }

// Top returns the key that is sure to have the largest share of the units, and that share:
// what it may have had besides is not counted, so that no verdict is held by a guess.
func (h *Heavy) Top() (key string, share float64) {
	if h.state.Units == 0 {
		return "", 0
	}
	top := slices.MaxFunc(append([]heavyKey{{}}, h.state.Keys...), func(a, b heavyKey) int {
		return cmp.Or(cmp.Compare(a.Units-a.Over, b.Units-b.Over), strings.Compare(b.Key, a.Key))
	})
	return top.Key, float64(top.Units-top.Over) / float64(h.state.Units)
}

// MarshalJSON writes the state such that UnmarshalJSON restores it.
func (h *Heavy) MarshalJSON() ([]byte, error) { return json.Marshal(h.state) }

// UnmarshalJSON reads what MarshalJSON wrote, strictly. Errors: ErrCorrupt; the state is as
// before then.
func (h *Heavy) UnmarshalJSON(body []byte) error {
	var s heavyState
	if err := decodeStrict(body, &s); err != nil {
		return fmt.Errorf("read heavy keys: %w", err)
	}
	sum := int64(0)
	for i, k := range s.Keys {
		if k.Units < 1 || k.Over < 0 || k.Over >= k.Units || k.Units > s.Units || (i > 0 && s.Keys[i-1].Key >= k.Key) {
			return fmt.Errorf("read heavy keys: %w: key %.40q, %d units of %d", lockstep.ErrCorrupt, k.Key, k.Units, s.Units)
		}
		sum = plus(sum, k.Units)
	}
	if len(s.Keys) > MaxHeavy || sum > s.Units || s.Units < 0 || s.Units > maxTotal {
		return fmt.Errorf("read heavy keys: %w: %d keys, %d units of %d", lockstep.ErrCorrupt, len(s.Keys), sum, s.Units)
	}
	h.state = s
	return nil
}
