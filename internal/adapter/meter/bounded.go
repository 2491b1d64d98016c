package meter

import (
	"bytes"
	"errors"
)

var errTooLong = errors.New("output too long")

// bounded keeps output up to a limit and ends the run beyond it.
type bounded struct {
	body     bytes.Buffer
	left     int64
	exceeded bool
	over     func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		b.exceeded = true
		b.over()
		return 0, errTooLong
	}
	b.left -= int64(len(p))
	return b.body.Write(p)
}

// tail keeps the end of what was written: a traceback says what is wrong in its last
// line. A word that its beginning cuts is dropped, since it could be half a secret.
type tail struct {
	text []byte
	cut  bool
}

func (t *tail) String() string {
	if !t.cut {
		return string(t.text)
	}
	if i := bytes.IndexAny(t.text, " \n"); i >= 0 {
		return string(t.text[i:])
	}
	return ""
}

func (t *tail) Write(p []byte) (int, error) {
	t.cut = t.cut || len(t.text)+len(p) > stderrKept
	t.text = append(t.text, p[max(0, len(p)-stderrKept):]...)
	t.text = t.text[max(0, len(t.text)-stderrKept):]
	return len(p), nil
}
