package change

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"

	"github.com/zeebo/blake3"
)

// piece is a stretch of input as it was read: a line or a document.
type piece struct {
	text []byte // cut to MaxMalformedBytes when sum is set
	size int64
	sum  string // hash of the whole, when it was too long to keep
}

// lines reads the lines of an input that are not blank, none longer than limit.
type lines struct {
	in    *bufio.Reader
	limit int
	buf   []byte
	back  []piece // read ahead and given back; read again first
	begun bool
}

const byteOrderMark = "\uFEFF"

// next returns the next line without its line break, or io.EOF. The text is valid
// until the next call, unless it is kept.
func (l *lines) next(ctx context.Context) (piece, error) {
	if len(l.back) > 0 {
		p := l.back[0]
		l.back = l.back[1:]
		return p, nil
	}
	for {
		if err := ctx.Err(); err != nil {
			return piece{}, err
		}
		p, err := l.read(ctx)
		if err != nil {
			return piece{}, err
		}
		if !l.begun {
			l.begun = true
			if text, ok := bytes.CutPrefix(p.text, []byte(byteOrderMark)); ok && p.sum == "" {
				p = whole(text)
			}
		}
		if skipBlank(p.text, 0) < len(p.text) || p.sum != "" {
			return p, nil
		}
	}
}

// kept makes the line outlive the next call.
func (p piece) kept() piece {
	p.text = bytes.Clone(p.text)
	return p
}

// unread gives lines back, to be read before all others.
func (l *lines) unread(ps ...piece) { l.back = append(ps, l.back...) }

// read returns the next line. Of one that is longer than the limit it keeps the
// beginning, the size and the hash.
func (l *lines) read(ctx context.Context) (piece, error) {
	l.buf = l.buf[:0]
	var size int64
	var h *blake3.Hasher
	for {
		part, err := l.in.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full && !errors.Is(err, io.EOF) {
			return piece{}, err
		}
		if err != nil && len(part) == 0 && size == 0 {
			return piece{}, io.EOF
		}
		if !full {
			part = trimBreak(part)
			if size == 0 && len(part) <= l.limit { // it stands whole in the reader's buffer
				return whole(part), nil
			}
		}
		size += int64(len(part))
		keep := part
		if h == nil && size > int64(l.limit) {
			h = blake3.New()
			_, _ = h.Write(l.buf) // a hash does not fail
		}
		if h != nil {
			_, _ = h.Write(part)
			keep = part[:min(len(part), max(0, MaxMalformedBytes-len(l.buf)))]
			if err := ctx.Err(); err != nil {
				return piece{}, err
			}
		}
		l.buf = append(l.buf, keep...)
		switch {
		case full:
		case h == nil:
			return whole(l.buf), nil
		default:
			return piece{text: l.buf, size: size, sum: hex.EncodeToString(h.Sum(nil))}, nil
		}
	}
}

func whole(text []byte) piece { return piece{text: text, size: int64(len(text))} }

func trimBreak(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte{'\n'})
	return bytes.TrimSuffix(b, []byte{'\r'})
}

// rest reads everything that is left and returns it as one piece that begins with
// head.
func (l *lines) rest(ctx context.Context, head []byte) (piece, error) {
	h := blake3.New()
	p := piece{text: bytes.Clone(head[:min(len(head), MaxMalformedBytes)]), size: int64(len(head))}
	_, _ = h.Write(head)
	for {
		line, err := l.next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return piece{}, err
		}
		for _, b := range [][]byte{{'\n'}, line.text} {
			_, _ = h.Write(b)
			p.text = append(p.text, b[:min(len(b), MaxMalformedBytes-len(p.text))]...)
		}
		_, _ = io.WriteString(h, line.sum) // stands for what of the line was cut
		p.size += line.size + 1
	}
	p.sum = hex.EncodeToString(h.Sum(nil))
	return p, nil
}
