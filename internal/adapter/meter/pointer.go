package meter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"lockstep/internal/lockstep"
)

// plain reads a body that is a number.
func plain(body []byte) (v float64, known bool, err error) {
	v, err = parseNumber(string(bytes.TrimSpace(body)))
	return v, err == nil, err
}

// member reads the number that the pointer leads to, "" for the whole body. known is
// false for null.
func member(body []byte, pointer string) (v float64, known bool, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return 0, false, fmt.Errorf("%w answer: not JSON", lockstep.ErrInvalid)
	}
	if _, err := d.Token(); err != io.EOF {
		return 0, false, fmt.Errorf("%w answer: something follows the JSON", lockstep.ErrInvalid)
	}
	at, err := follow(doc, pointer)
	if err != nil {
		return 0, false, err
	}
	return numeric(at, pointer)
}

// follow walks an RFC 6901 pointer.
func follow(doc any, pointer string) (any, error) {
	if pointer == "" {
		return doc, nil
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch d := doc.(type) {
		case map[string]any:
			next, ok := d[token]
			if !ok {
				return nil, fmt.Errorf("member %.80q of %.80q: %w", token, pointer, lockstep.ErrNotFound)
			}
			doc = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(d) || strconv.Itoa(i) != token {
				return nil, fmt.Errorf("element %.80q of %.80q: %w", token, pointer, lockstep.ErrNotFound)
			}
			doc = d[i]
		default:
			return nil, fmt.Errorf("member %.80q of %.80q: %w: its parent has no members", token, pointer, lockstep.ErrNotFound)
		}
	}
	return doc, nil
}

func numeric(at any, pointer string) (v float64, known bool, err error) {
	switch x := at.(type) {
	case nil:
		return 0, false, nil
	case bool:
		if x {
			return 1, true, nil
		}
		return 0, true, nil
	case json.Number:
		v, err = parseNumber(x.String())
		return v, err == nil, err
	case string:
		v, err = parseNumber(x)
		return v, err == nil, err
	}
	return 0, false, fmt.Errorf("%w answer: %.80q is neither a number nor a text with one", lockstep.ErrInvalid, pointer)
}
