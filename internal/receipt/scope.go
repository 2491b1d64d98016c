package receipt

import (
	"slices"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// aspect is a part of a record that is recomputed as a whole.
type aspect int

const (
	aspectNone aspect = iota
	aspectPlace
	aspectLabels
	aspectSection
	aspectImport
	aspectRemoval
)

// kindOf says which aspect a change can move.
func kindOf(c *lockstep.Change, k sortKey) aspect {
	switch c.Entity {
	case EntityPlace, EntityMetadata:
		return aspectPlace
	case EntityLabel:
		if k.word != "" {
			return aspectLabels
		}
	case EntitySection:
		return aspectSection
	case EntityRun:
		return aspectImport
	case EntityReceipt, EntityLine, EntityWord:
		if c.Event == lockstep.Remove {
			return aspectRemoval
		}
	}
	return aspectNone
}

// untouched is the cause of an aspect that no message moved.
const untouched = -1

// scope is what has to be recomputed of one receipt, each aspect with the index of
// the last message that asks for it.
type scope struct {
	receipt string // "RECEIPT#00001"
	place   int
	section int
	removal int            // of the receipt itself
	labels  map[string]int // by the word's sort key
	removed map[string]int // by the sort key of a word or line
	imports map[lockstep.Collection][]embedded
	whole   bool // everything, whatever the causes say
}

func newScope(receipt string) *scope {
	return &scope{receipt: receipt, place: untouched, section: untouched, removal: untouched}
}

// scopesOf sorts the unit's messages by receipt. An import that cannot be trusted
// is lockstep.ErrInvalid.
func scopesOf(unit *handler.Unit) ([]*scope, error) {
	var scopes []*scope
	for i := range unit.Messages {
		c := &unit.Messages[i].Change
		k, ok := parseSort(c.Key.Sort)
		if !ok {
			continue
		}
		kind := kindOf(c, k)
		if kind == aspectNone || kind == aspectImport {
			continue // an import brings its scope along
		}
		s := scopeOf(&scopes, k.receipt)
		switch kind {
		case aspectPlace:
			s.place = i
		case aspectSection:
			s.section = i
		case aspectLabels:
			mark(&s.labels, k.word, i)
		case aspectRemoval:
			if k.line == "" {
				s.removal = i
			} else {
				mark(&s.removed, c.Key.Sort, i)
			}
		case aspectNone, aspectImport:
		}
	}
	for i := range unit.View.Imports {
		if err := addImport(&scopes, unit, &unit.View.Imports[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(scopes, func(a, b *scope) int { return strings.Compare(a.receipt, b.receipt) })
	return scopes, nil
}

func scopeOf(scopes *[]*scope, receipt string) *scope {
	for _, s := range *scopes {
		if s.receipt == receipt {
			return s
		}
	}
	s := newScope(receipt)
	*scopes = append(*scopes, s)
	return s
}

func mark(m *map[string]int, key string, cause int) {
	if *m == nil {
		*m = make(map[string]int, 1)
	}
	(*m)[key] = cause
}

// removes returns the last message that may have ended the record of k, untouched
// when there is none.
func (s *scope) removes(k sortKey) int {
	cause := s.removal
	if len(s.removed) == 0 {
		return cause
	}
	if i, ok := s.removed[k.line]; ok {
		cause = max(cause, i)
	}
	if k.word != "" {
		if i, ok := s.removed[k.word]; ok {
			cause = max(cause, i)
		}
	}
	return cause
}

// relabels returns the last message about a label of the word, untouched when
// there is none.
func (s *scope) relabels(k sortKey) int {
	if i, ok := s.labels[k.word]; ok && k.word != "" {
		return i
	}
	return untouched
}
