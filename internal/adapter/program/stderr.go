package program

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
)

// What is logged of standard error.
const (
	logBurst     = 20 // lines in a logPeriod
	logPeriod    = time.Second
	maxLogLine   = 1 << 10 // bytes
	failureLines = 20      // in a Failure
)

// tail reads the standard error of a process: it keeps the end of it and logs some
// of it. It never waits for anybody but the log, so the process never does either.
type tail struct {
	log  *slog.Logger
	size int

	mu   sync.Mutex // guards everything below
	kept []byte     // at most twice size; the end counts
}

// drain reads r to its end.
func (t *tail) drain(r io.Reader) {
	period := time.NewTicker(logPeriod)
	defer period.Stop()
	buf := make([]byte, 32<<10)
	l := lineLog{log: t.log, left: logBurst, period: period.C}
	for {
		n, err := r.Read(buf)
		if n > 0 {
			t.keep(buf[:n])
			l.write(buf[:n])
		}
		if err != nil {
			l.end()
			return
		}
	}
}

func (t *tail) keep(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(p) > t.size {
		p = p[len(p)-t.size:]
	}
	if len(t.kept)+len(p) > 2*t.size {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-t.size:]...)
	}
	t.kept = append(t.kept, p...)
}

// last returns the last lines, oldest first, made fit to be shown.
func (t *tail) last() []string {
	t.mu.Lock()
	kept := t.kept[max(0, len(t.kept)-t.size):]
	text := string(kept)
	cut := len(kept) < len(t.kept)
	t.mu.Unlock()
	var lines []string
	for line := range strings.Lines(text) {
		if line = plain(line); line != "" {
			lines = append(lines, line)
		}
	}
	if cut && len(lines) > 1 {
		lines = lines[1:] // its beginning is gone
	}
	return lines[max(0, len(lines)-failureLines):]
}

// plain removes what a terminal or a log would act on, and bounds the length.
func plain(line string) string {
	if len(line) > maxLogLine {
		line = line[:maxLogLine] + "…"
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?")))
}

// lineLog logs lines as they are completed, a few in each period.
type lineLog struct {
	log     *slog.Logger
	left    int // lines that may still be logged in this period
	missed  int
	partial []byte
	period  <-chan time.Time
}

func (l *lineLog) write(p []byte) {
	for len(p) > 0 {
		head, rest, ended := bytes.Cut(p, []byte{'\n'})
		if room := maxLogLine + 1 - len(l.partial); room > 0 {
			l.partial = append(l.partial, head[:min(room, len(head))]...)
		}
		if !ended {
			return
		}
		l.line()
		p = rest
	}
}

func (l *lineLog) line() {
	select {
	case <-l.period:
		l.tell()
		l.left = logBurst
	default:
	}
	if text := plain(string(l.partial)); text != "" {
		if l.left > 0 {
			l.left--
			l.log.Info("the program writes", "line", text)
		} else {
			l.missed++
		}
	}
	l.partial = l.partial[:0]
}

func (l *lineLog) tell() {
	if l.missed > 0 {
		l.log.Warn("the program writes too much: lines were not logged", "lines", l.missed)
	}
	l.missed = 0
}

func (l *lineLog) end() {
	if len(l.partial) > 0 {
		l.line()
	}
	l.tell()
}
