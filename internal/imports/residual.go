package imports

import (
	"context"
	"fmt"
	goparser "go/parser"
	gotoken "go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/lockstep"
)

// Residual searches a tree for imports of forbidden modules. Python and Go are parsed,
// in other files, and in those that cannot be parsed, names and patterns are looked for.
// ErrInvalid: the search itself or a tree beyond its limits; ErrNotFound, ErrUnavailable:
// the tree cannot be read. A file that cannot be read is in Skipped and is no error.
func Residual(ctx context.Context, tree fs.FS, q Search) (Residue, error) {
	s, err := newSearcher(q)
	if err != nil {
		return Residue{}, err
	}
	w, err := walk(ctx, tree, s.limits)
	if err != nil {
		return Residue{}, err
	}
	if s.names, err = namesOf(w.files, q.Roots, q.Package); err != nil {
		return Residue{}, err
	}
	for _, skip := range w.skips {
		if s.globs.choose(skip.Path) {
			s.out.Skipped = append(s.out.Skipped, skip)
		}
	}
	for _, f := range w.files {
		if err := ctx.Err(); err != nil {
			return Residue{}, err
		}
		if !s.globs.choose(f.name) {
			continue
		}
		body, why := read(tree, f, s.limits.FileBytes)
		if why != "" {
			s.out.Skipped = append(s.out.Skipped, Skip{Path: f.name, Reason: why, Source: languageByName(f.name) != other})
			continue
		}
		s.out.Files++
		s.file(f.name, body)
		if s.out.Cut {
			break
		}
	}
	slices.SortStableFunc(s.out.Findings, compareFound)
	slices.SortStableFunc(s.out.Mentions, compareFound)
	slices.SortStableFunc(s.out.Skipped, func(a, b Skip) int { return strings.Compare(a.Path, b.Path) })
	return s.out, nil
}

// unread lists a source that cannot be parsed, and does what can still be done.
func (s *searcher) unread(name string, body []byte, why error) {
	s.out.Skipped = append(s.out.Skipped, Skip{Path: name, Reason: why.Error(), Source: true})
	s.pattern(name, body)
}

func (s *searcher) file(name string, body []byte) {
	switch languageOf(name, body) {
	case python:
		p, err := parse(body, s.sought)
		if err != nil {
			s.unread(name, body, err)
			return
		}
		s.python(name, p)
	case golang:
		if err := s.golang(name, body); err != nil {
			s.unread(name, body, err)
		}
	case other:
		s.pattern(name, body)
	}
}

func (s *searcher) python(name string, p *parser) {
	told, local := -1, -1
	for _, i := range p.found {
		if i.statement != local && i.Form != FormUse && s.isLocal(name, i) {
			local = i.statement
			s.out.Local++
		}
		module, full, whole := s.forbidden(name, i)
		if module == "" || whole && i.statement == told {
			continue // the statement is told of already: all its names are of one module
		}
		at := i.Position
		if whole {
			told, at = i.statement, i.home
		}
		s.found(Finding{
			Path: name, Position: at, Module: module, Names: full, How: ParsedPython,
			Form: i.Form, When: i.When, Guarded: i.Guarded, Statement: i.Statement,
		})
	}
	for _, m := range p.mentioned {
		if len(s.out.Mentions) < s.limits.Found {
			at := p.places.at(m.offset)
			s.out.Mentions = append(s.out.Mentions, Finding{
				Path: name, Position: at, Module: m.module, Names: m.module, How: ByPattern, Statement: quote(p.lineAt(at)),
			})
		}
	}
}

// lineAt is the line of a place.
func (p *parser) lineAt(at Position) []byte {
	line, _ := cutLine(p.src[p.places[at.Line-1]:])
	return line
}

// forbidden says which module an import breaks, what it names in full, and whether the
// whole of a from statement does, not only one name of it.
func (s *searcher) forbidden(name string, i Import) (module, full string, whole bool) {
	for _, base := range s.names.absolute(name, i) {
		taken := i.Name
		if taken == "*" {
			taken = ""
		}
		for _, m := range s.sought {
			if underUnknown(base, m) {
				return m, base, i.Form == FormFrom
			}
		}
		for _, m := range s.sought {
			if full = join(base, taken); taken != "" && underUnknown(full, m) {
				return m, full, false
			}
		}
	}
	return "", "", false
}

// underUnknown is under for a name whose beginning may be unknown: then any beginning
// could be meant.
func underUnknown(dotted, module string) bool {
	rest, ok := strings.CutPrefix(dotted, unknown+".")
	if !ok {
		return under(dotted, module)
	}
	for {
		_, tail, more := strings.Cut(module, ".")
		if !more {
			return false
		}
		if under(rest, tail) {
			return true
		}
		module = tail
	}
}

func (s *searcher) isLocal(name string, i Import) bool {
	for _, base := range s.names.absolute(name, i) {
		if s.names.find(name, base) != "" || i.Name != "" && s.names.find(name, join(base, i.Name)) != "" {
			return true
		}
	}
	return false
}

func (s *searcher) golang(name string, body []byte) error {
	set := gotoken.NewFileSet()
	f, err := goparser.ParseFile(set, path.Base(name), body, goparser.ImportsOnly|goparser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("%w Go: %w", lockstep.ErrInvalid, err)
	}
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has checked it
		}
		for _, m := range s.sought {
			if rest, ok := strings.CutPrefix(imported, m); ok && (rest == "" || rest[0] == '/') {
				at := set.PositionFor(spec.Path.Pos(), false)
				start, end := set.PositionFor(spec.Pos(), false).Offset, set.PositionFor(spec.End(), false).Offset
				s.found(Finding{
					Path: name, Position: Position{Line: at.Line, Column: at.Column}, Module: m, Names: imported,
					How: ParsedGo, Statement: "import " + quote(body[start:end]),
				})
				break
			}
		}
	}
	return nil
}

// pattern looks at every line of a text.
func (s *searcher) pattern(name string, body []byte) {
	for number := 1; len(body) > 0 && !s.out.Cut; number++ {
		var line []byte
		line, body = cutLine(body)
		for i, re := range s.words {
			if at := re.FindSubmatchIndex(line); at != nil {
				s.found(byPattern(name, line, Position{number, at[2] + 1}, s.sought[i]))
			}
		}
		for _, re := range s.patterns {
			if at := re.FindIndex(line); at != nil {
				s.found(byPattern(name, line, Position{number, at[0] + 1}, re.String()))
			}
		}
	}
}

func byPattern(name string, line []byte, at Position, module string) Finding {
	return Finding{Path: name, Position: at, Module: module, Names: module, How: ByPattern, Statement: quote(line)}
}

func (s *searcher) found(f Finding) {
	if len(s.out.Findings) >= s.limits.Found {
		s.out.Cut = true
		return
	}
	s.out.Findings = append(s.out.Findings, f)
}
