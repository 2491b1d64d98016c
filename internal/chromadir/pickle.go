package chromadir

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"lockstep/internal/lockstep"
)

// Limits of a pickle. Nesting is 3 in every pickle that Chroma wrote; the size
// allows about ten million ids.
const (
	maxPickleBytes = 1 << 30
	maxPickleMarks = 16
	maxGlobalName  = 256
)

// The values that a pickle can hold here: nil, int64, string, tuple, *dict,
// class, *object.
type (
	tuple []any
	class struct{ module, name string }
	entry struct{ key, value any }
	dict  struct{ entries []entry }
	// object is an instance of a class that is only named, never looked up.
	object struct {
		class class
		state *dict
	}
)

// unpickler executes the data-building opcodes of Python's pickle protocols 2 to
// 5 (CPython Lib/pickletools.py) and no other: there is no opcode here that could
// call anything. Memory stays within a small multiple of the input, because every
// opcode pushes at most one value and a text is never longer than what is left.
type unpickler struct {
	in    *bufio.Reader
	name  string // of the file, for errors
	size  int64
	at    int64 // offset of the next byte
	stack []any
	marks []int // stack heights
	memo  []any
}

// unpickle reads the one value in r, which holds size bytes. Everything that is
// not a whole pickle of known opcodes is ErrCorrupt, with file and offset.
func unpickle(r io.Reader, name string, size int64) (any, error) {
	u := &unpickler{in: bufio.NewReaderSize(r, 64<<10), name: name, size: size}
	if size > maxPickleBytes {
		return nil, u.corrupt("%d bytes, at most %d are read", size, int64(maxPickleBytes))
	}
	for {
		op, err := u.byte()
		if err != nil {
			return nil, err
		}
		if op == opStop {
			return u.finish()
		}
		if err := u.step(op); err != nil {
			return nil, err
		}
	}
}

func (u *unpickler) finish() (any, error) {
	if len(u.stack) != 1 || len(u.marks) != 0 {
		return nil, u.corrupt("stops with %d values and %d marks open", len(u.stack), len(u.marks))
	}
	if u.at != u.size {
		return nil, u.corrupt("%d bytes after the end", u.size-u.at)
	}
	return u.stack[0], nil
}

func (u *unpickler) corrupt(format string, args ...any) error {
	return fmt.Errorf("%s: %w at offset %d: %s", u.name, lockstep.ErrCorrupt, u.at, fmt.Sprintf(format, args...))
}

func (u *unpickler) byte() (byte, error) {
	b, err := u.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// take returns the next n bytes. The check against what is left comes first, so
// that a torn file or an invented length costs nothing.
func (u *unpickler) take(n uint64) ([]byte, error) {
	if n > uint64(u.size-u.at) {
		return nil, u.corrupt("wants %d bytes, %d are left: the file is torn", n, u.size-u.at)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(u.in, b); err != nil {
		return nil, u.corrupt("read %d bytes: %v", n, err)
	}
	u.at += int64(n)
	return b, nil
}

// number reads a little-endian unsigned number of width bytes.
func (u *unpickler) number(width uint64) (uint64, error) {
	b, err := u.take(width)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// text reads a text whose length is stated in width bytes.
func (u *unpickler) text(width uint64) (string, error) {
	n, err := u.number(width)
	if err != nil {
		return "", err
	}
	b, err := u.take(n)
	return string(b), err
}

// line reads a name that ends with a newline.
func (u *unpickler) line() (string, error) {
	var name []byte
	for len(name) <= maxGlobalName {
		c, err := u.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(name), nil
		}
		name = append(name, c)
	}
	return "", u.corrupt("a name of more than %d bytes", maxGlobalName)
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

// pop takes the top n values, never below the newest mark.
func (u *unpickler) pop(n int) ([]any, error) {
	floor := 0
	if len(u.marks) > 0 {
		floor = u.marks[len(u.marks)-1]
	}
	if len(u.stack)-n < floor {
		return nil, u.corrupt("takes %d values from %d", n, len(u.stack)-floor)
	}
	top := u.stack[len(u.stack)-n:]
	u.stack = u.stack[:len(u.stack)-n]
	return top, nil
}

// popMark takes everything above the newest mark, and the mark.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, u.corrupt("no mark")
	}
	m := u.marks[len(u.marks)-1]
	u.marks = u.marks[:len(u.marks)-1]
	top := u.stack[m:]
	u.stack = u.stack[:m]
	return top, nil
}
