package mapping

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/lockstep"
)

// path leads through maps to an attribute.
type path []string

func parsePath(s string) path { return strings.Split(s, ".") }

// find returns the attribute; ok is false when it is absent or NULL, or when the
// path leads through something that is not a map.
func (p path) find(it lockstep.Item) (lockstep.Attr, bool) {
	var a lockstep.Attr
	for i, name := range p {
		next, ok := it[name]
		if !ok || next.Type == lockstep.AttrNull {
			return a, false
		}
		if i < len(p)-1 && next.Type != lockstep.AttrM {
			return a, false
		}
		a, it = next, next.Map
	}
	return a, true
}

// field is one metadata key and where its value comes from.
type field struct {
	key       string
	attribute path
	kind      lockstep.Kind
	of        lockstep.Kind  // of the elements of a list
	fallback  lockstep.Value // when the item has no value; none: the key is unset
	omitEmpty bool
}

// value derives the key's value from a living item. ok is false when the key is to
// be unset. lockstep.ErrInvalid says that the attribute has another type.
func (f field) value(it lockstep.Item) (lockstep.Value, bool, error) {
	a, found := f.attribute.find(it)
	if found {
		v, err := f.convert(a)
		if err != nil {
			return v, false, fmt.Errorf("attribute %s for metadata key %q: %w", strings.Join(f.attribute, "."), f.key, err)
		}
		if !f.empty(v) {
			return v, true, nil
		}
	}
	return f.fallback, f.fallback.Kind() != 0, nil
}

// empty says whether v stands for no value. An empty list always does: Chroma
// cannot store it.
func (f field) empty(v lockstep.Value) bool {
	switch v.Kind() {
	case lockstep.KindList:
		return len(v.Elems()) == 0
	case lockstep.KindString:
		return f.omitEmpty && v.Str() == ""
	case lockstep.KindInt, lockstep.KindFloat, lockstep.KindBool:
	}
	return false
}

func (f field) convert(a lockstep.Attr) (lockstep.Value, error) {
	if f.kind != lockstep.KindList {
		return scalar(a, f.kind)
	}
	var attrs []lockstep.Attr
	switch a.Type {
	case lockstep.AttrL:
		attrs = a.List
	case lockstep.AttrSS, lockstep.AttrNS:
		element := lockstep.AttrS
		if a.Type == lockstep.AttrNS {
			element = lockstep.AttrN
		}
		// A set has no order of its own; the one it was sent in must not show.
		for _, text := range slices.Sorted(slices.Values(a.Set)) {
			attrs = append(attrs, lockstep.Attr{Type: element, Text: text})
		}
	case lockstep.AttrS, lockstep.AttrN, lockstep.AttrB, lockstep.AttrBool, lockstep.AttrNull, lockstep.AttrM, lockstep.AttrBS:
		return lockstep.Value{}, fmt.Errorf("%w: want a list or a set, found %s", lockstep.ErrInvalid, a.Type)
	}
	elems := make([]lockstep.Value, 0, len(attrs))
	for i, e := range attrs {
		v, err := scalar(e, f.of)
		if err != nil {
			return v, fmt.Errorf("element %d: %w", i, err)
		}
		elems = append(elems, v)
	}
	return lockstep.List(elems), nil
}

func scalar(a lockstep.Attr, kind lockstep.Kind) (lockstep.Value, error) {
	switch {
	case kind == lockstep.KindString && (a.Type == lockstep.AttrS || a.Type == lockstep.AttrN):
		return lockstep.String(a.Text), nil
	case kind == lockstep.KindBool && a.Type == lockstep.AttrBool:
		return lockstep.Bool(a.Truth), nil
	case kind == lockstep.KindInt && a.Type == lockstep.AttrN:
		if i, ok := integer(a.Text); ok {
			return lockstep.Int(i), nil
		}
	case kind == lockstep.KindFloat && a.Type == lockstep.AttrN:
		if f, err := strconv.ParseFloat(a.Text, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return lockstep.Float(f), nil
		}
	}
	return lockstep.Value{}, fmt.Errorf("%w: want %s, found %s %.60q", lockstep.ErrInvalid, kind, a.Type, a.Text)
}

// integer reads a decimal that has no fraction but zeros. It does not go through
// float64, which cannot tell large integers apart.
func integer(s string) (int64, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if strings.Trim(fraction, "0") != "" {
		return 0, false
	}
	i, err := strconv.ParseInt(whole, 10, 64)
	return i, err == nil
}
