package recovery

import (
	"fmt"
	"time"

	"lockstep/internal/lockstep"
)

// moment reads a day or a time; "" is the zero time.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%w time %.40q: want a day like 2026-11-25, or a time like 2026-11-25T08:00:00Z", lockstep.ErrInvalid, s)
}
