package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// bar shows progress on one line of stderr, for people only, and only when a thing
// takes longer than two seconds.
type bar struct {
	w     io.Writer // nil: nobody watches
	now   func() time.Time
	what  string
	start time.Time
	last  time.Time
	shown bool
}

const (
	barAfter = 2 * time.Second
	barEvery = 100 * time.Millisecond
	barWidth = 30
)

func (c *session) progress(what string) *bar {
	b := &bar{now: c.env.Now, what: what, start: c.env.Now()}
	if c.env.Terminal {
		b.w = c.env.Stderr
	}
	return b
}

// at says how far it is; total 0 means that nobody knows.
func (b *bar) at(done, total int) {
	now := b.now()
	if b.w == nil || now.Sub(b.start) < barAfter || now.Sub(b.last) < barEvery {
		return
	}
	b.last, b.shown = now, true
	rate := float64(done) / now.Sub(b.start).Seconds()
	if total <= 0 {
		fmt.Fprintf(b.w, "\r%s %d, %.0f/s\x1b[K", b.what, done, rate)
		return
	}
	full := min(barWidth, barWidth*done/total)
	fmt.Fprintf(b.w, "\r%s %s%s %d of %d, %.0f/s\x1b[K", b.what, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), done, total, rate)
}

func (b *bar) done() {
	if b.shown {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
