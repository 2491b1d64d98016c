package contract

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// maxDifferences and maxShown keep an error readable.
const (
	maxDifferences = 5
	maxShown       = 200 // bytes of one value
)

// difference says where a and b, of one type, differ: the path to each place with both
// values, the first few of them; "" when they are equal. Types with an Equal method are
// asked; a nil slice equals an empty one, a nil map does not equal an empty one, since an
// item without attributes is not a tombstone.
func difference(a, b any) string {
	if reflect.DeepEqual(a, b) {
		return ""
	}
	var w walker
	w.walk("", reflect.ValueOf(a), reflect.ValueOf(b))
	if w.count == 0 {
		return ""
	}
	out := strings.Join(w.found, "; ")
	if more := w.count - len(w.found); more > 0 {
		out += fmt.Sprintf("; and %d more", more)
	}
	return out
}

type walker struct {
	found []string
	count int
}

func (w *walker) differ(path string, a, b reflect.Value) {
	w.count++
	if len(w.found) < maxDifferences {
		w.found = append(w.found, fmt.Sprintf("%s: %s / %s", strings.TrimPrefix(path, "."), show(a), show(b)))
	}
}

func show(v reflect.Value) string {
	if !v.IsValid() {
		return "absent"
	}
	s := fmt.Sprintf("%#v", v.Interface())
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	if v.Kind() == reflect.Slice {
		s = fmt.Sprintf("%d: %s", v.Len(), s)
	}
	return s
}

// equaler returns the Equal method of a's type, when it compares with the same type.
func equaler(a reflect.Value) (reflect.Value, bool) {
	m := a.MethodByName("Equal")
	ok := m.IsValid() && m.Type().NumIn() == 1 && m.Type().In(0) == a.Type() &&
		m.Type().NumOut() == 1 && m.Type().Out(0).Kind() == reflect.Bool
	return m, ok
}

// walk goes through plain data: it is only given what package handler declares, which
// has no cycle and, below types with an Equal method, no unexported field.
func (w *walker) walk(path string, a, b reflect.Value) {
	if !a.IsValid() || !b.IsValid() || a.Type() != b.Type() {
		if a.IsValid() || b.IsValid() {
			w.differ(path, a, b)
		}
		return
	}
	if equal, ok := equaler(a); ok && a.Kind() != reflect.Slice {
		if !equal.Call([]reflect.Value{b})[0].Bool() {
			w.differ(path, a, b)
		}
		return
	}
	switch a.Kind() { //nolint:exhaustive // everything else is one value and compared as such
	case reflect.Struct:
		for i := range a.NumField() {
			w.walk(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	case reflect.Slice:
		w.slices(path, a, b)
	case reflect.Map:
		w.maps(path, a, b)
	default:
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			w.differ(path, a, b)
		}
	}
}

func (w *walker) slices(path string, a, b reflect.Value) {
	if a.Len() != b.Len() {
		w.differ(path, a, b)
		return
	}
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return
	}
	for i := range a.Len() {
		w.walk(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i))
	}
}

func (w *walker) maps(path string, a, b reflect.Value) {
	if a.IsNil() != b.IsNil() {
		w.differ(path, a, b)
		return
	}
	keys := a.MapKeys()
	for _, k := range b.MapKeys() {
		if !a.MapIndex(k).IsValid() {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	for _, k := range keys {
		w.walk(path+"["+k.String()+"]", a.MapIndex(k), b.MapIndex(k))
	}
}
