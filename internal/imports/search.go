package imports

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"lockstep/internal/lockstep"
)

// Search says what must not be imported any more, and where.
type Search struct {
	// Forbidden are modules as their language writes them: "receipt_chroma.compaction",
	// "example.com/receipts/compaction". What is in one is forbidden too.
	Forbidden []string
	// Paths choose the files, as patterns from the root: "lambdas/**/*.py", "!**/vendor".
	// None: every file.
	Paths []string
	// Roots are the directories from which Python modules are named, such as "src". None:
	// they are worked out from the tree.
	Roots []string
	// Package is the dotted name of the tree itself, where it is a Python package.
	Package string
	// Patterns are further expressions that no line of a file may match which is neither
	// Python nor Go.
	Patterns []string
	Limits   Limits
}

type searcher struct {
	sought   []string
	words    []*regexp.Regexp // a name of sought, by index, in any text
	patterns []*regexp.Regexp
	globs    globs
	limits   Limits
	names    *names
	out      Residue
}

// CheckForbidden says whether a name can be that of a forbidden module: ErrInvalid if not.
func CheckForbidden(module string) error {
	bad := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`*"'()`, r)
	}
	if module == "" || strings.ContainsFunc(module, bad) || strings.Trim(module, "./") != module || strings.Contains(module, "..") {
		return lockstep.Hint(fmt.Errorf("%w forbidden module %.80q", lockstep.ErrInvalid, module), "write its full name, such as receipt_chroma.compaction")
	}
	return nil
}

func newSearcher(q Search) (*searcher, error) {
	s := &searcher{sought: slices.Clone(q.Forbidden)}
	if len(q.Forbidden)+len(q.Patterns) == 0 {
		return nil, lockstep.Hint(fmt.Errorf("%w search: nothing is forbidden", lockstep.ErrInvalid), "name a module, such as receipt_chroma.compaction")
	}
	slices.Sort(s.sought)
	s.sought = slices.Compact(s.sought)
	for _, m := range s.sought {
		if err := CheckForbidden(m); err != nil {
			return nil, err
		}
		s.words = append(s.words, wordOf(m))
	}
	for _, p := range q.Patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("%w pattern %.80q: %w", lockstep.ErrInvalid, p, err)
		}
		s.patterns = append(s.patterns, re)
	}
	var err error
	if s.globs, err = parseGlobs(q.Paths); err != nil {
		return nil, err
	}
	s.limits, err = q.Limits.resolved()
	return s, err
}

// wordOf finds a module in any text. Its parts may be joined by dots, slashes or pairs of
// colons, as other languages and paths do; its first group is the name.
func wordOf(module string) *regexp.Regexp {
	parts := strings.FieldsFunc(module, func(r rune) bool { return r == '.' || r == '/' })
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?:^|[^\pL\pN_.])(` + strings.Join(parts, `(?:[./\\]|::)`) + `)(?:$|[^\pL\pN_])`)
}
