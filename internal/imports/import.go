package imports

import "strings"

// Form is how a module is named.
type Form string

// The forms.
const (
	FormImport Form = "import" // import a.b as c
	FormFrom   Form = "from"   // from a.b import c
	FormCall   Form = "call"   // __import__("a.b"), importlib.import_module("a.b")
	FormUse    Form = "use"    // a.b.c in an expression
)

// When is when an import is carried out.
type When string

// The moments, from the earliest on.
const (
	WhenLoad   When = "load"   // while the module is loaded; in the body of a class too
	WhenCall   When = "call"   // when a function runs, or lazily
	WhenScript When = "script" // when the file is run: if __name__ == "__main__"
	WhenTypes  When = "types"  // never, only type checkers read it: if TYPE_CHECKING
)

// Import is one module or name that a Python file imports. A statement with several is
// several.
type Import struct {
	Position
	Form      Form   `json:"form"`
	Level     int    `json:"level,omitempty"` // leading dots: how relative it is
	Module    string `json:"module"`          // as it is written, without those dots
	Name      string `json:"name,omitempty"`  // FormFrom: what is taken from the module; "*" is everything
	As        string `json:"as,omitempty"`
	When      When   `json:"when"`
	Guarded   bool   `json:"guarded,omitempty"` // an ImportError is caught
	Statement string `json:"statement"`         // as one line, shortened

	statement int      // which one: those of one statement share it
	home      Position // FormFrom: where the module is named
	functions int      // how many it is in
	guard     int      // which block catches its ImportError, from 1
}

// target is the longest module that the import may load: a name taken from a module may
// be a module.
func (i Import) target() string {
	if i.Name == "" || i.Name == "*" {
		return i.Module
	}
	return join(i.Module, i.Name)
}

func join(parts ...string) string {
	var named []string
	for _, p := range parts {
		if p != "" {
			named = append(named, p)
		}
	}
	return strings.Join(named, ".")
}

// under says whether a dotted name is module or something in it.
func under(dotted, module string) bool {
	rest, ok := strings.CutPrefix(dotted, module)
	return ok && (rest == "" || rest[0] == '.')
}
