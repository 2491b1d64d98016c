package guard

import "time"

// Debounce says that a guard fails when Fails of its last Of looks failed. The zero
// value means 1 of 1. A look counts when it saw a newer sample than the look before:
// looking twice at one sample is one look.
type Debounce struct {
	Fails int `json:"fails,omitempty"`
	Of    int `json:"of,omitempty"`
}

const maxLooks = 100

func (d Debounce) resolved() Debounce {
	if d.Of == 0 && d.Fails == 0 {
		return Debounce{Fails: 1, Of: 1}
	}
	return d
}

func (d Debounce) check(m *mistakes) {
	r := d.resolved()
	if r.Fails < 1 || r.Of < r.Fails || r.Of > maxLooks {
		m.add("debounce %d of %d: want 1 <= fails <= of <= %d", d.Fails, d.Of, maxLooks)
	}
}

// DebounceState is what a guard remembers between looks. It is plain data: store it
// as JSON and hand it back. The zero value is a guard that was never asked.
type DebounceState struct {
	Verdict Verdict   `json:"verdict,omitempty"` // the last one given; "" before the first
	Since   time.Time `json:"since"`             // since when it has been that
	Looks   []Look    `json:"looks,omitempty"`   // the last ones that counted, oldest first
}

// Look is one judged window.
type Look struct {
	At     time.Time `json:"at"` // of the newest sample it saw
	Failed bool      `json:"failed"`
}

// looked returns the looks after one more. A look at what was seen already replaces
// the last one, one at something older counts for nothing, and looks that are older
// than the windows of all of them together are forgotten. Looks that could not tell
// never get here: a gap neither clears a failure nor adds one. latest bounds what is
// believed of the stored looks, so that a clock that was ahead and has been put right
// does not make every later look an older one.
func (s DebounceState) looked(l Look, d Debounce, window time.Duration, latest time.Time) []Look {
	looks := make([]Look, 0, d.Of+1)
	horizon := l.At.Add(-window * time.Duration(d.Of))
	for _, old := range s.Looks {
		if old.At.After(horizon) && !old.At.After(latest) {
			looks = append(looks, old)
		}
	}
	n := len(looks)
	switch {
	case n > 0 && looks[n-1].At.Equal(l.At):
		looks[n-1] = l
	case n > 0 && looks[n-1].At.After(l.At):
	default:
		looks = append(looks, l)
	}
	return looks[max(0, len(looks)-d.Of):]
}

// failures returns how many looks failed and when the first of them was.
func failures(looks []Look) (n int, first time.Time) {
	for _, l := range looks {
		if l.Failed {
			if n == 0 {
				first = l.At
			}
			n++
		}
	}
	return n, first
}

// settle returns the state after verdict v; a verdict that goes on keeps its beginning.
func (s DebounceState) settle(v Verdict, since time.Time, looks []Look) DebounceState {
	if s.Verdict == v && !s.Since.IsZero() {
		since = s.Since
	}
	return DebounceState{Verdict: v, Since: since, Looks: looks}
}
