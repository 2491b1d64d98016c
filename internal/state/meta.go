package state

import (
	"encoding/json"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// meta says which version the other keys are the state of.
type meta struct {
	Store   string
	Version uint64
	Base    *version.BaseRef // the base the state was loaded from, where absent vectors are
	Tallies map[lockstep.Collection]*version.Tally
}

type metaJSON struct {
	Store   string                         `json:"store"`
	Version uint64                         `json:"version"`
	Base    *version.BaseRef               `json:"base,omitempty"`
	Sums    map[lockstep.Collection][]byte `json:"sums"`
	Records map[lockstep.Collection]int64  `json:"records"`
}

func metaKey() []byte { return []byte{keyMeta} }

func (m meta) encode() []byte {
	j := metaJSON{Store: m.Store, Version: m.Version, Base: m.Base, Sums: map[lockstep.Collection][]byte{}, Records: map[lockstep.Collection]int64{}}
	for c, t := range m.Tallies {
		j.Sums[c], j.Records[c] = t.Sum.Bytes(), t.Records
	}
	b, err := json.Marshal(j)
	if err != nil {
		panic(err) // plain data, always encodable
	}
	return b
}

func readMeta(r pebble.Reader) (meta, error) {
	v, closer, err := r.Get(metaKey())
	if err != nil {
		return meta{}, err
	}
	defer func() { _ = closer.Close() }() // gives memory back
	var j metaJSON
	if err := json.Unmarshal(v, &j); err != nil {
		return meta{}, fmt.Errorf("local state: %w: %w", lockstep.ErrCorrupt, err)
	}
	m := meta{Store: j.Store, Version: j.Version, Base: j.Base, Tallies: map[lockstep.Collection]*version.Tally{}}
	for c, b := range j.Sums {
		sum, err := version.SumOf(b)
		if err != nil {
			return meta{}, fmt.Errorf("local state: %w", err)
		}
		m.Tallies[c] = &version.Tally{Sum: sum, Records: j.Records[c]}
	}
	return m, nil
}

// with returns a copy that is at another version and has the tallies added
// (forward) or taken away (backward).
func (m meta) with(n uint64, change map[lockstep.Collection]*version.Tally, dir direction) meta {
	out := meta{Store: m.Store, Version: n, Base: m.Base, Tallies: make(map[lockstep.Collection]*version.Tally, len(m.Tallies))}
	for c, t := range m.Tallies {
		cp := *t
		out.Tallies[c] = &cp
	}
	for c, t := range change {
		if out.Tallies[c] == nil {
			out.Tallies[c] = &version.Tally{}
		}
		if dir == backward {
			out.Tallies[c].Sub(t)
		} else {
			out.Tallies[c].Add(t)
		}
	}
	return out
}
