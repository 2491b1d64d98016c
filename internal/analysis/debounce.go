package analysis

import (
	"encoding/json"
	"fmt"
	"slices"

	"lockstep/internal/lockstep"
)

// Debounce is a limit without statistics: it fires when at least M of the last N readings
// exceeded it. It is for what has no arms to compare, like the age of a backlog. A reading
// that could not be taken is not a good one: leave it out.
type Debounce struct {
	m, n   int
	recent []bool
}

// maxDebounce is the longest series a Debounce looks back on.
const maxDebounce = 1000

// NewDebounce returns a Debounce without readings. Errors: ErrInvalid unless
// 1 <= m <= n <= 1000.
func NewDebounce(m, n int) (Debounce, error) {
	if m < 1 || m > n || n > maxDebounce {
		return Debounce{}, fmt.Errorf("%w limit %d/%d: want 1 <= M <= N <= %d", lockstep.ErrInvalid, m, n, maxDebounce)
	}
	return Debounce{m: m, n: n}, nil
}

// Next returns the Debounce after one more reading; d itself stays as it is.
func (d Debounce) Next(exceeded bool) Debounce {
	recent := append(slices.Clone(d.recent), exceeded)
	d.recent = recent[max(0, len(recent)-d.n):]
	return d
}

// Exceeded returns how many of the last N readings exceeded the limit.
func (d Debounce) Exceeded() int {
	count := 0
	for _, e := range d.recent {
		if e {
			count++
		}
	}
	return count
}

// Fires says whether M of the last N readings exceeded the limit. A Debounce that was
// made by NewDebounce and has no readings does not fire.
func (d Debounce) Fires() bool { return d.m > 0 && d.Exceeded() >= d.m }

// String returns "M/N".
func (d Debounce) String() string { return fmt.Sprintf("%d/%d", d.m, d.n) }

type debounceState struct {
	M      int    `json:"m"`
	N      int    `json:"n"`
	Recent []bool `json:"recent,omitempty"` // oldest first
}

// MarshalJSON writes the state such that UnmarshalJSON restores it.
func (d Debounce) MarshalJSON() ([]byte, error) {
	return json.Marshal(debounceState{d.m, d.n, d.recent})
}

// UnmarshalJSON reads what MarshalJSON wrote, strictly. Errors: ErrCorrupt; the state is
// as before then.
func (d *Debounce) UnmarshalJSON(body []byte) error {
	var s debounceState
	if err := decodeStrict(body, &s); err != nil {
		return fmt.Errorf("read limit: %w", err)
	}
	if _, err := NewDebounce(s.M, s.N); err != nil || len(s.Recent) > s.N {
		return fmt.Errorf("read limit: %w: %d/%d with %d readings", lockstep.ErrCorrupt, s.M, s.N, len(s.Recent))
	}
	*d = Debounce{s.M, s.N, s.Recent}
	return nil
}
