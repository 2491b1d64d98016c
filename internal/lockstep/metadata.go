package lockstep

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// Field is one metadata key with its value.
type Field struct {
	Key   string
	Value Value
}

// Metadata is a record's metadata: fields sorted by key, each key once. Treat a
// Metadata as immutable; Editor makes a changed copy with one allocation.
type Metadata []Field

// MetadataOf returns the metadata that holds the pairs of m.
func MetadataOf(m map[string]Value) Metadata {
	out := make(Metadata, 0, len(m))
	for k, v := range m {
		out = append(out, Field{k, v})
	}
	slices.SortFunc(out, func(a, b Field) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// Get returns the value of key and whether it is present.
func (m Metadata) Get(key string) (Value, bool) {
	i, ok := slices.BinarySearchFunc(m, key, compareField)
	if !ok {
		return Value{}, false
	}
	return m[i].Value, true
}

// All yields the fields in key order.
func (m Metadata) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for _, f := range m {
			if !yield(f.Key, f.Value) {
				return
			}
		}
	}
}

// Equal says whether both hold the same fields.
func (m Metadata) Equal(n Metadata) bool {
	return slices.EqualFunc(m, n, func(a, b Field) bool { return a.Key == b.Key && a.Value.Equal(b.Value) })
}

// Map returns the fields as a new map of plain Go values, for JSON output.
func (m Metadata) Map() map[string]any {
	out := make(map[string]any, len(m))
	for _, f := range m {
		out[f.Key] = f.Value.Any()
	}
	return out
}

// With returns a copy in which key has the value v.
func (m Metadata) With(key string, v Value) Metadata {
	i, ok := slices.BinarySearchFunc(m, key, compareField)
	out := make(Metadata, 0, len(m)+1)
	out = append(out, m[:i]...)
	out = append(out, Field{key, v})
	if ok {
		i++
	}
	return append(out, m[i:]...)
}

// Without returns a copy that lacks the keys for which drop is true. It returns m
// itself when nothing is dropped.
func (m Metadata) Without(drop func(key string) bool) Metadata {
	i := slices.IndexFunc(m, func(f Field) bool { return drop(f.Key) })
	if i < 0 {
		return m
	}
	out := make(Metadata, i, len(m))
	copy(out, m[:i])
	for _, f := range m[i+1:] {
		if !drop(f.Key) {
			out = append(out, f)
		}
	}
	return out
}

// bytes returns the size of keys and values, in which a number counts 8.
func (m Metadata) bytes() int {
	n := 0
	for i := range m {
		n += len(m[i].Key) + m[i].Value.bytes()
	}
	return n
}

// ReservedPrefix marks keys that belong to Chroma itself. A record that carries
// one can stop every write of a server (TRAPS 4.10), so Check refuses it.
const ReservedPrefix = "chroma:"

// Check returns ErrInvalid, naming the key, when the fields are not sorted and
// unique, when a key is empty, reserved or not UTF-8, or when a value cannot be stored.
func (m Metadata) Check() error {
	for i, f := range m {
		if f.Key == "" {
			return fmt.Errorf("%w metadata: empty key", ErrInvalid)
		}
		if strings.HasPrefix(f.Key, ReservedPrefix) {
			return fmt.Errorf("%w metadata key %q: keys that begin with %q belong to Chroma", ErrInvalid, f.Key, ReservedPrefix)
		}
		if i > 0 && m[i-1].Key >= f.Key {
			return fmt.Errorf("%w metadata: key %q is repeated or out of order", ErrInvalid, f.Key)
		}
		if !utf8.ValidString(f.Key) {
			return fmt.Errorf("%w metadata key %.40q: not UTF-8", ErrInvalid, f.Key)
		}
		if err := f.Value.Check(); err != nil {
			return fmt.Errorf("metadata key %q: %w", f.Key, err)
		}
	}
	return nil
}
