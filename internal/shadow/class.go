package shadow

import (
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"lockstep/internal/lockstep"
)

// Class names one way to differ: collection/field/kind, where field is record, op,
// document, vector or metadata.<key>, or error/<who> when an answer failed. Keys are
// escaped: what is not printable, and / % * ? [ ] \, appears as %XX. Missing means that
// the candidate lacks what stable has, extra the reverse.
//
//	lines/record/missing     lines/record/extra          hard
//	lines/op/deleted         lines/op/kept               hard
//	lines/document/{missing,extra,value}
//	lines/metadata.<key>/{missing,extra,type,order,value}
//	lines/vector/{missing,extra,dimension}               hard
//	lines/vector/distance-{rounding,near,far,unlike,unknown}
//	error/candidate          error/stable                only that one failed
//	error/both                                           the input is bad
//
// Distances are relative to the longer vector: rounding <= 1e-6, near <= 1e-3, far <= 0.1,
// unknown when not both vectors are at hand.
type Class string

const (
	kindMissing          = "missing"
	kindExtra            = "extra"
	kindDeleted          = "deleted" // the candidate deletes a record that stable keeps
	kindKept             = "kept"    // the reverse
	kindType             = "type"
	kindOrder            = "order"
	kindValue            = "value"
	kindDimension        = "dimension"
	kindDistanceRounding = "distance-rounding"
	kindDistanceNear     = "distance-near"
	kindDistanceFar      = "distance-far"
	kindDistanceUnlike   = "distance-unlike"
	kindDistanceUnknown  = "distance-unknown"
)

// The classes of failed answers.
const (
	ErrorCandidate Class = "error/candidate"
	ErrorStable    Class = "error/stable"
	ErrorBoth      Class = "error/both"
)

const (
	fieldRecord   = "record"
	fieldOp       = "op"
	fieldDocument = "document"
	fieldVector   = "vector"
	fieldError    = "error"
	metadataField = "metadata."
)

// kinds are the kinds that each field can have.
var kinds = map[string][]string{
	fieldRecord:   {kindMissing, kindExtra},
	fieldOp:       {kindDeleted, kindKept},
	fieldDocument: {kindMissing, kindExtra, kindValue},
	fieldVector: {
		kindMissing, kindExtra, kindDimension,
		kindDistanceRounding, kindDistanceNear, kindDistanceFar, kindDistanceUnlike, kindDistanceUnknown,
	},
	metadataField: {kindMissing, kindExtra, kindType, kindOrder, kindValue},
}

// maxKeyBytes bounds an escaped key in a class; a longer one is cut and gets a hash.
const maxKeyBytes = 128

// maxClassBytes bounds a class: a collection, a cut key and the words around them.
const maxClassBytes = 400

func classOf(c lockstep.Collection, field, kind string) Class {
	return Class(escape(string(c)) + "/" + field + "/" + kind)
}

// keyField returns the field of a metadata key.
func keyField(key string) string { return metadataField + escape(key) }

func escape(key string) string {
	if key == "" {
		return "%"
	}
	plain := true
	for _, r := range key {
		plain = plain && safe(r)
	}
	if plain && len(key) <= maxKeyBytes && utf8.ValidString(key) {
		return key
	}
	var b strings.Builder
	for i := 0; i < len(key) && b.Len() < maxKeyBytes; {
		r, n := utf8.DecodeRuneInString(key[i:])
		if safe(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(key[i : i+n])
		} else {
			for _, c := range []byte(key[i : i+n]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		i += n
		if b.Len() >= maxKeyBytes && i < len(key) {
			h := fnv.New64a()
			_, _ = h.Write([]byte(key)) // a hash does not fail
			fmt.Fprintf(&b, "~%016x", h.Sum64())
		}
	}
	return b.String()
}

func safe(r rune) bool {
	return unicode.IsGraphic(r) && r != ' ' && !strings.ContainsRune(`/%*?[]\`, r)
}

// Check returns lockstep.ErrInvalid unless c is a class that this package names.
func (c Class) Check() error {
	parts := strings.Split(string(c), "/")
	switch {
	case len(c) > maxClassBytes || !utf8.ValidString(string(c)):
	case c == ErrorCandidate || c == ErrorStable || c == ErrorBoth:
		return nil
	case len(parts) == 3:
		field := parts[1]
		key, ok := strings.CutPrefix(field, metadataField)
		if ok {
			field = metadataField
		}
		if parts[0] != "" && (!ok || key != "") && slices.Contains(kinds[field], parts[2]) {
			return nil
		}
	}
	return fmt.Errorf("%w class %.80q", lockstep.ErrInvalid, string(c))
}

// Hard says whether the class is about an invariant: which records there are, and the
// dimension of their vectors.
func (c Class) Hard() bool {
	parts := strings.Split(string(c), "/")
	if len(parts) != 3 {
		return false
	}
	switch parts[1] {
	case fieldRecord, fieldOp:
		return true
	case fieldVector:
		return parts[2] == kindMissing || parts[2] == kindExtra || parts[2] == kindDimension
	}
	return false
}

// flip returns the class that the same difference has when stable and candidate change
// places.
func (c Class) flip() Class {
	head, kind := path.Split(string(c))
	for _, pair := range [][2]string{{kindMissing, kindExtra}, {kindDeleted, kindKept}, {"candidate", "stable"}} {
		switch kind {
		case pair[0]:
			return Class(head + pair[1])
		case pair[1]:
			return Class(head + pair[0])
		}
	}
	return c
}

// compareClasses orders hard classes before others, then by name: what is dropped first
// when there are too many is what matters least.
func compareClasses(a, b Class) int {
	if h := a.Hard(); h != b.Hard() {
		if h {
			return -1
		}
		return 1
	}
	return strings.Compare(string(a), string(b))
}
