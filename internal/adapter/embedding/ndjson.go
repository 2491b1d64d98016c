package embedding

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"lockstep/internal/chromadir"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// ndjson reads one embedding per line. Errors name the line.
func (im *Importer) ndjson(ctx context.Context, body io.Reader) ([]handler.Embedding, error) {
	in := bufio.NewScanner(body)
	in.Buffer(make([]byte, 0, 64<<10), im.opts.MaxLineBytes)
	var out []handler.Embedding
	line := 0
	for in.Scan() {
		line++
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(out) == im.opts.MaxEmbeddings {
			return nil, fmt.Errorf("line %d: %w: more than %d embeddings", line, lockstep.ErrInvalid, im.opts.MaxEmbeddings)
		}
		e, err := parseLine(in.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		out = append(out, e)
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d: %w: longer than %d bytes", line+1, lockstep.ErrInvalid, im.opts.MaxLineBytes)
	}
	return out, in.Err()
}

// parseLine reads one object. Its fields are read one by one, because
// encoding/json would let a repeated field pass and turn a null in a vector into 0.
func parseLine(line []byte) (handler.Embedding, error) {
	var e handler.Embedding
	if err := checkText(line); err != nil {
		return e, err
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return e, fmt.Errorf("%w: want one JSON object", lockstep.ErrInvalid)
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return e, fmt.Errorf("%w: %w", lockstep.ErrInvalid, err)
		}
		field, _ := t.(string) // the decoder yields nothing else in this place
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return e, fmt.Errorf("field %q: %w: %w", field, lockstep.ErrInvalid, err)
		}
		if seen[field] {
			return e, fmt.Errorf("field %q: %w: it is repeated", field, lockstep.ErrInvalid)
		}
		seen[field] = true
		if err := setField(&e, field, raw); err != nil {
			return e, fmt.Errorf("field %q: %w", field, err)
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return e, fmt.Errorf("%w: the line is torn", lockstep.ErrInvalid)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return e, fmt.Errorf("%w: text after the object", lockstep.ErrInvalid)
	}
	return e, check(e)
}

func setField(e *handler.Embedding, field string, raw json.RawMessage) error {
	null := string(raw) == "null"
	var err error
	switch field {
	case "id":
		e.ID, err = parseString(raw)
	case "document":
		if null {
			return nil
		}
		e.HasDocument = true
		e.Document, err = parseString(raw)
	case "embedding":
		e.Vector, err = parseVector(raw)
	case "metadata":
		if null {
			return nil
		}
		e.Metadata, err = parseFields(raw)
	default:
		return fmt.Errorf("%w: unknown; known are id, document, embedding, metadata", lockstep.ErrInvalid)
	}
	return err
}

func parseString(raw json.RawMessage) (string, error) {
	var s string
	if raw[0] != '"' {
		return "", fmt.Errorf("%w: want a string", lockstep.ErrInvalid)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("%w: %w", lockstep.ErrInvalid, err)
	}
	return s, nil
}

// parseVector reads the numbers as the nearest float32. raw is known to be JSON, so
// whatever stands between the commas of a flat list is a number or refused as none.
func parseVector(raw json.RawMessage) ([]float32, error) {
	if raw[0] != '[' {
		return nil, fmt.Errorf("%w: want a list of numbers", lockstep.ErrInvalid)
	}
	inner := bytes.TrimSpace(raw[1 : len(raw)-1])
	n := bytes.Count(inner, []byte{','}) + 1
	if len(inner) == 0 || n > lockstep.MaxDimension {
		return nil, fmt.Errorf("%w: want 1 to %d numbers", lockstep.ErrInvalid, lockstep.MaxDimension)
	}
	v := make([]float32, 0, n)
	for part := range bytes.SplitSeq(inner, []byte{','}) {
		x, err := strconv.ParseFloat(string(bytes.TrimSpace(part)), 32)
		if err != nil {
			return nil, fmt.Errorf("%w: component %d, %.40q, is no number within float32", lockstep.ErrInvalid, len(v), part)
		}
		v = append(v, float32(x))
	}
	return v, nil
}

// parseFields reads metadata in the notation of Chroma's queue. A null value means
// that the key is absent, which is what Chroma makes of it.
func parseFields(raw []byte) (lockstep.Metadata, error) {
	all, err := chromadir.ParseMetadata(raw)
	if err != nil {
		return nil, err
	}
	out := make(lockstep.Metadata, 0, len(all))
	for _, f := range all {
		if f.Value.Kind() != 0 {
			out = append(out, f)
		}
	}
	return out, nil
}

// checkText refuses what encoding/json would silently replace by U+FFFD: bytes that
// are not UTF-8, and escapes of half a surrogate pair.
func checkText(text []byte) error {
	if !utf8.Valid(text) {
		return fmt.Errorf("%w: not UTF-8", lockstep.ErrInvalid)
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		hi, ok := escaped(text[i:])
		i++ // past the escaped character, which may be a backslash
		if !ok || hi&0xf800 != 0xd800 {
			continue
		}
		i += 4
		lo, ok := escaped(text[min(i+1, len(text)):])
		if !ok || hi >= 0xdc00 || lo&0xfc00 != 0xdc00 {
			return fmt.Errorf("%w: half a surrogate pair, \\u%04x", lockstep.ErrInvalid, hi)
		}
		i += 6
	}
	return nil
}

// escaped reads an escape \uXXXX at the start of text.
func escaped(text []byte) (uint64, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return v, err == nil
}
