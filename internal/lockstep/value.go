package lockstep

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Kind is the type of a metadata value. Chroma keeps 1 and 1.0 apart, so we do.
type Kind uint8

// The kinds, in the order of their tags in the canonical encoding
// (docs/format/record.md). The numbers never change.
const (
	KindString Kind = 1
	KindInt    Kind = 2
	KindFloat  Kind = 3
	KindBool   Kind = 4
	KindList   Kind = 5
)

func (k Kind) String() string {
	switch k {
	case KindString:
		return "string"
	case KindInt:
		return "int"
	case KindFloat:
		return "float"
	case KindBool:
		return "bool"
	case KindList:
		return "list"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Value is one metadata value: a string, an int64, a float64, a bool, or a
// non-empty list of values of one scalar kind. The zero Value is "no value" and
// is never stored. Values are immutable: do not change a list after List.
type Value struct {
	str  string
	list *[]Value // behind a pointer: lists are rare, and every field of every record pays for this size
	num  uint64
	kind Kind
}

// String returns a string value.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Int returns an integer value.
func Int(i int64) Value { return Value{kind: KindInt, num: uint64(i)} }

// Float returns a floating-point value; -0 becomes +0, because Chroma's stores
// do not keep the two apart and a digest must not either. NaN and infinities are
// representable here and refused by Check.
func Float(f float64) Value {
	if f == 0 {
		f = 0
	}
	return Value{kind: KindFloat, num: math.Float64bits(f)}
}

// Bool returns a boolean value.
func Bool(b bool) Value { //nolint:revive // b is the value, not a mode
	if b {
		return Value{kind: KindBool, num: 1}
	}
	return Value{kind: KindBool}
}

// List returns a list value that keeps elems as it is: the caller gives it away.
func List(elems []Value) Value { return Value{kind: KindList, list: &elems} }

// Strings returns a list of string values.
func Strings(ss ...string) Value {
	elems := make([]Value, len(ss))
	for i, s := range ss {
		elems[i] = String(s)
	}
	return List(elems)
}

// Kind returns the kind, 0 for the zero Value.
func (v Value) Kind() Kind { return v.kind }

// Str returns the string of a string value, and "" for any other.
func (v Value) Str() string { return v.str }

// Int returns the integer of an int value, and 0 for any other.
func (v Value) Int() int64 {
	if v.kind != KindInt {
		return 0
	}
	return int64(v.num)
}

// Float returns the number of a float value, and 0 for any other.
func (v Value) Float() float64 {
	if v.kind != KindFloat {
		return 0
	}
	return math.Float64frombits(v.num)
}

// Bool returns the truth of a bool value, and false for any other.
func (v Value) Bool() bool { return v.kind == KindBool && v.num == 1 }

// Elems returns the elements of a list value; the caller must not change them.
func (v Value) Elems() []Value {
	if v.list == nil {
		return nil
	}
	return *v.list
}

// Any returns v as string, int64, float64, bool, []any, or nil for the zero Value.
func (v Value) Any() any {
	switch v.kind {
	case KindString:
		return v.str
	case KindInt:
		return int64(v.num)
	case KindFloat:
		return math.Float64frombits(v.num)
	case KindBool:
		return v.num == 1
	case KindList:
		out := make([]any, len(v.Elems()))
		for i, e := range v.Elems() {
			out[i] = e.Any()
		}
		return out
	}
	return nil
}

// Equal says whether both values have the same kind and content.
func (v Value) Equal(w Value) bool {
	return v.kind == w.kind && v.num == w.num && v.str == w.str && slices.EqualFunc(v.Elems(), w.Elems(), Value.Equal)
}

// Check returns ErrInvalid for what Chroma would refuse, drop or change
// silently: no kind, text that is not UTF-8, NaN, an infinity, an empty list, a list
// in a list, a list of mixed kinds.
func (v Value) Check() error {
	switch v.kind {
	case KindInt, KindBool:
		return nil
	case KindString:
		if !utf8.ValidString(v.str) {
			return fmt.Errorf("%w value: %.40q is not UTF-8", ErrInvalid, v.str)
		}
		return nil
	case KindFloat:
		if f := math.Float64frombits(v.num); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%w value: %v is not a finite number", ErrInvalid, f)
		}
		return nil
	case KindList:
		return v.checkList()
	}
	return fmt.Errorf("%w value: no kind", ErrInvalid)
}

func (v Value) bytes() int {
	n := 8 + len(v.str)
	for _, e := range v.Elems() {
		n += e.bytes()
	}
	return n
}

func (v Value) checkList() error {
	elems := v.Elems()
	if len(elems) == 0 {
		return fmt.Errorf("%w value: an empty list cannot be stored by Chroma; remove the key instead", ErrInvalid)
	}
	for _, e := range elems {
		if e.kind == KindList {
			return fmt.Errorf("%w value: a list inside a list", ErrInvalid)
		}
		if e.kind != elems[0].kind {
			return fmt.Errorf("%w value: a list of %s and %s", ErrInvalid, elems[0].kind, e.kind)
		}
		if err := e.Check(); err != nil {
			return err
		}
	}
	return nil
}

// GoString renders the value for people and test failures.
func (v Value) GoString() string { return fmt.Sprintf("%s(%v)", v.kind, v.Any()) }

// Compare orders fields by key, for binary search.
func compareField(f Field, key string) int { return cmp.Compare(f.Key, key) }
