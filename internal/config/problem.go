package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Problem is one mistake in a file.
type Problem struct {
	Line, Column int    // 1-based; 0 when the mistake has no place, such as an empty file
	Path         string // dotted keys and list indexes, for example "entities[0].match.sort"; "" for the whole file
	Text         string // what is wrong and what was expected
}

// Problems is the error that lists every mistake of one file, in the order of
// the file. It belongs to the class lockstep.ErrInvalid.
type Problems struct {
	Name string // the file, as the caller named it
	List []Problem
}

// maxShown bounds the rendering; a file of another format can be wrong in every line.
const maxShown = 50

// Error renders one line per mistake: name:line:column: path: text.
func (p *Problems) Error() string {
	var b strings.Builder
	noun := "problems"
	if len(p.List) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(&b, "%s: %d %s", p.Name, len(p.List), noun)
	for i, q := range p.List {
		if i == maxShown {
			fmt.Fprintf(&b, "\n  and %d more", len(p.List)-i)
			break
		}
		b.WriteString("\n  ")
		b.WriteString(p.Name)
		if q.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", q.Line, q.Column)
		}
		b.WriteString(": ")
		if q.Path != "" {
			b.WriteString(q.Path + ": ")
		}
		b.WriteString(q.Text)
	}
	return b.String()
}

// Unwrap returns lockstep.ErrInvalid.
func (*Problems) Unwrap() error { return lockstep.ErrInvalid }

// report gathers the problems of one file while it is decoded.
type report struct {
	name string
	list []Problem
}

func (r *report) add(p Problem) { r.list = append(r.list, p) }

// err returns nil or a Problems with what was gathered so far, sorted by place.
func (r *report) err() error {
	if len(r.list) == 0 {
		return nil
	}
	list := slices.Clone(r.list)
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Problems{Name: r.name, List: slices.Compact(list)}
}
