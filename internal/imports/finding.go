package imports

import (
	"fmt"
	"slices"
	"strings"
)

// How is the way in which an import was found.
type How string

// The ways.
const (
	ParsedPython How = "parsed Python"
	ParsedGo     How = "parsed Go"
	ByPattern    How = "pattern"
)

// Finding is one import of a forbidden module.
type Finding struct {
	Path string `json:"path"`
	Position
	Module    string `json:"module"` // the forbidden one; the pattern, when it was given as one
	Names     string `json:"names"`  // what the file imports, in full
	How       How    `json:"how"`
	Form      Form   `json:"form,omitempty"` // of Python
	When      When   `json:"when,omitempty"`
	Guarded   bool   `json:"guarded,omitempty"`
	Statement string `json:"statement"` // as one line
}

// String is the finding as compilers write theirs.
func (f Finding) String() string {
	notes := []string{string(f.How)}
	switch f.When {
	case WhenTypes:
		notes = append(notes, "type checking only")
	case WhenCall:
		notes = append(notes, "in a function")
	case WhenScript:
		notes = append(notes, "when it is run as a script")
	case WhenLoad:
	}
	if f.Guarded {
		notes = append(notes, "ImportError caught")
	}
	return fmt.Sprintf("%s:%d:%d: %s (%s)", f.Path, f.Line, f.Column, f.Statement, strings.Join(notes, ", "))
}

// Residue is what a search found.
type Residue struct {
	Findings []Finding `json:"findings,omitempty"` // by path and place
	// Mentions are strings and comments of Python files that name a forbidden module. They
	// import nothing by themselves.
	Mentions []Finding `json:"mentions,omitempty"`
	Cut      bool      `json:"cut,omitempty"` // there is more: Limits.Found was reached
	Files    int       `json:"files"`         // read
	Local    int       `json:"local"`         // Python statements that import a module of the tree
	Skipped  []Skip    `json:"skipped,omitempty"`
}

// Unread lists the skipped Python and Go files: nobody knows what they import.
func (r Residue) Unread() []Skip {
	return slices.DeleteFunc(slices.Clone(r.Skipped), func(s Skip) bool { return !s.Source })
}

func compareFound(a, b Finding) int {
	if c := strings.Compare(a.Path, b.Path); c != 0 {
		return c
	}
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	return a.Column - b.Column
}
