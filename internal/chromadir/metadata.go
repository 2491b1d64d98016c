package chromadir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/lockstep"
)

// Keys under which Chroma keeps a record's own fields among its metadata.
const (
	documentKey = "chroma:document"
	uriKey      = "chroma:uri"
)

// ParseMetadata reads metadata as Chroma's queue writes it: one flat JSON object
// of strings, numbers, booleans, lists of one of these, and null. A number with
// none of . e E is an integer, as in Chroma, which keeps 1 and 1.0 apart. Null
// becomes the zero Value and an empty list stays one, for the caller to judge.
// What breaks this, a repeated key and an integer beyond 64 bits is ErrInvalid.
func ParseMetadata(text []byte) (lockstep.Metadata, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := expect(dec, '{'); err != nil {
		return nil, err
	}
	var out lockstep.Metadata
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		key, _ := t.(string) // the decoder yields nothing else in this place
		v, err := parseValue(dec)
		if err != nil {
			return nil, fmt.Errorf("metadata key %q: %w", key, err)
		}
		if out = append(out, lockstep.Field{Key: key, Value: v}); len(out) > lockstep.MaxMetadataKeys {
			return nil, fmt.Errorf("%w metadata: more than %d keys", lockstep.ErrInvalid, lockstep.MaxMetadataKeys)
		}
	}
	if err := expect(dec, '}'); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w metadata: text after the object", lockstep.ErrInvalid)
	}
	slices.SortFunc(out, func(a, b lockstep.Field) int { return strings.Compare(a.Key, b.Key) })
	for i := 1; i < len(out); i++ {
		if out[i].Key == out[i-1].Key {
			return nil, fmt.Errorf("%w metadata: key %q is repeated", lockstep.ErrInvalid, out[i].Key)
		}
	}
	return out, nil
}

func notJSON(err error) error { return fmt.Errorf("%w metadata: %w", lockstep.ErrInvalid, err) }

func expect(dec *json.Decoder, want json.Delim) error {
	t, err := dec.Token()
	if err != nil {
		return notJSON(err)
	}
	if t != want {
		return fmt.Errorf("%w metadata: found %v, want one JSON object", lockstep.ErrInvalid, t)
	}
	return nil
}

func parseValue(dec *json.Decoder) (lockstep.Value, error) {
	t, err := dec.Token()
	if err != nil {
		return lockstep.Value{}, notJSON(err)
	}
	if t != json.Delim('[') {
		return scalar(t)
	}
	elems := []lockstep.Value{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return lockstep.Value{}, notJSON(err)
		}
		v, err := scalar(t)
		if err != nil {
			return lockstep.Value{}, err
		}
		if v.Kind() == 0 {
			return lockstep.Value{}, fmt.Errorf("%w value: null in a list", lockstep.ErrInvalid)
		}
		elems = append(elems, v)
	}
	if _, err := dec.Token(); err != nil { // the closing bracket
		return lockstep.Value{}, notJSON(err)
	}
	return lockstep.List(elems), nil
}

func scalar(t json.Token) (lockstep.Value, error) {
	switch t := t.(type) {
	case nil:
		return lockstep.Value{}, nil
	case string:
		return lockstep.String(t), nil
	case bool:
		return lockstep.Bool(t), nil
	case json.Number:
		return number(t.String())
	}
	return lockstep.Value{}, fmt.Errorf("%w value: metadata is flat, found a nested %v", lockstep.ErrInvalid, t)
}

func number(s string) (lockstep.Value, error) {
	if !strings.ContainsAny(s, ".eE") {
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return lockstep.Value{}, fmt.Errorf("%w value: the integer %.40s has more than 64 bits, which Chroma would turn into a float", lockstep.ErrInvalid, s)
		}
		return lockstep.Int(i), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return lockstep.Value{}, fmt.Errorf("%w value: the number %.40s is out of range", lockstep.ErrInvalid, s)
	}
	return lockstep.Float(f), nil
}
