package imports

import (
	"fmt"
	"path"
	"strings"

	"lockstep/internal/lockstep"
)

// globs choose files by their paths from the root.
type globs struct{ with, without []glob }

type glob []string // one pattern of path.Match for each part of the path, or "**"

// parseGlobs reads patterns of path.Match in which "**" stands for any number of
// directories. A pattern without wildcards in its last part also stands for all that is
// below it, one that begins with "!" leaves out what the others chose, and without
// patterns everything is chosen. ErrInvalid names the pattern that is none.
func parseGlobs(patterns []string) (globs, error) {
	var g globs
	for _, p := range patterns {
		text, without := strings.CutPrefix(p, "!")
		parsed, err := parseGlob(text)
		if err != nil {
			return globs{}, err
		}
		if without {
			g.without = append(g.without, parsed)
		} else {
			g.with = append(g.with, parsed)
		}
	}
	if len(g.with) == 0 {
		g.with = []glob{{"**"}}
	}
	return g, nil
}

// CheckPaths says whether patterns are what Search.Paths takes: ErrInvalid names the
// one that is not.
func CheckPaths(patterns []string) error {
	_, err := parseGlobs(patterns)
	return err
}

func parseGlob(text string) (glob, error) {
	clean := path.Clean(strings.TrimSuffix(text, "/"))
	if text == "" || path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsRune(clean, 0) {
		return nil, lockstep.Hint(fmt.Errorf("%w path pattern %.80q", lockstep.ErrInvalid, text), "write it from the root of the tree, such as lambdas/**/*.py")
	}
	if clean == "." {
		return glob{"**"}, nil
	}
	g := glob(strings.Split(clean, "/"))
	for _, part := range g {
		if _, err := path.Match(part, ""); err != nil {
			return nil, fmt.Errorf("%w path pattern %.80q: %w", lockstep.ErrInvalid, text, err)
		}
	}
	if last := g[len(g)-1]; !strings.ContainsAny(last, `*?[\`) {
		g = append(g, "**")
	}
	return g, nil
}

func (g globs) choose(name string) bool {
	parts := strings.Split(name, "/")
	for _, w := range g.without {
		if w.match(parts) {
			return false
		}
	}
	for _, w := range g.with {
		if w.match(parts) {
			return true
		}
	}
	return false
}

// match walks the pattern once and notes which beginnings of the path it can stand for,
// so that many "**" cost no more than one.
func (g glob) match(parts []string) bool {
	can := make([]bool, len(parts)+1)
	can[0] = true
	for _, p := range g {
		if p == "**" {
			for i := 1; i < len(can); i++ {
				can[i] = can[i] || can[i-1]
			}
			continue
		}
		for i := len(parts); i > 0; i-- {
			ok, err := path.Match(p, parts[i-1])
			can[i] = can[i-1] && ok && err == nil
		}
		can[0] = false
	}
	return can[len(parts)]
}
