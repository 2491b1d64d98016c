package imports

import (
	"errors"
	"fmt"
	"strings"

	"lockstep/internal/lockstep"
)

// Python lists what a Python file imports, in the order of its text: statements in all
// their forms, and calls of __import__ and import_module with a literal. Strings and
// comments are not read. ErrInvalid with line and column when the text is no Python.
func Python(src []byte) ([]Import, error) {
	p, err := parse(src, nil)
	if err != nil {
		return nil, err
	}
	return p.found, nil
}

// parser reads the statements of one Python file, as far as imports need it.
type parser struct {
	lexer
	places places
	blocks []block
	found  []Import
	// statements counts the simple statements read.
	statements int
	// heads are names that stand for the beginning of a sought module. Only chains of
	// attributes that begin with one are looked at.
	heads  map[string]string
	sought []string
	// mentioned are strings and comments that name a sought module.
	mentioned []mention
	quiet     int32 // up to here strings are no mentions
	// bound is the offset at which a name of the module is bound first.
	bound map[string]int
}

type mention struct {
	offset int
	module string
}

func parse(src []byte, sought []string) (*parser, error) {
	src, err := decodePython(src)
	if err != nil {
		return nil, fmt.Errorf("%w Python: %w", lockstep.ErrInvalid, err)
	}
	p := &parser{lexer: lexer{src: src}, places: placesOf(src), heads: map[string]string{}, bound: map[string]int{}}
	for _, s := range sought {
		// A name without a dot is that of many a variable.
		if head, _, dotted := strings.Cut(s, "."); dotted {
			p.heads[head] = head
		}
	}
	p.sought = sought
	if err := p.run(); err != nil {
		if e, ok := errors.AsType[*lexError](err); ok {
			at := p.places.at(e.offset)
			err = fmt.Errorf("line %d column %d: %s", at.Line, at.Column, e.reason)
		}
		return nil, fmt.Errorf("%w Python: %w", lockstep.ErrInvalid, err)
	}
	return p, nil
}

func (p *parser) run() error {
	for {
		indent, tokens, err := p.line()
		if err != nil {
			return err
		}
		if len(tokens) == 0 {
			break
		}
		if err := p.logical(indent, tokens); err != nil {
			return err
		}
	}
	for _, c := range p.comments {
		p.mention(c)
	}
	return nil
}

// logical reads one logical line: a header with what follows its colon, or simple
// statements.
func (p *parser) logical(indent int, tokens []token) error {
	before := p.close(indent)
	word, colon := p.header(tokens)
	if word == "" {
		return p.simple(tokens)
	}
	if colon < 0 {
		return &lexError{int(tokens[0].start), fmt.Sprintf("%s without a colon", word)}
	}
	p.statements++
	header := tokens[:colon]
	p.bindHeader(word, header)
	if err := p.expression(header); err != nil {
		return err
	}
	p.enter(indent, word, header, before)
	if colon+1 < len(tokens) {
		return p.simple(tokens[colon+1:])
	}
	return nil
}

// simple reads the simple statements of one line.
func (p *parser) simple(tokens []token) error {
	depth, begin := 0, 0
	for i := range tokens {
		switch p.str1(tokens[i]) {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case ";":
			if depth == 0 {
				if err := p.statement(tokens[begin:i]); err != nil {
					return err
				}
				begin = i + 1
			}
		}
	}
	return p.statement(tokens[begin:])
}

func (p *parser) statement(tokens []token) error {
	if len(tokens) == 0 {
		return nil
	}
	p.statements++
	when := p.when()
	if p.is(tokens, 0, "lazy") && (p.is(tokens, 1, "import") || p.is(tokens, 1, "from")) {
		tokens = tokens[1:] // PEP 810
		if when == WhenLoad {
			when = WhenCall
		}
	}
	switch {
	case p.is(tokens, 0, "import"):
		return p.importing(tokens, when)
	case p.is(tokens, 0, "from"):
		return p.importingFrom(tokens, when)
	}
	p.bindAssigned(tokens)
	return p.expression(tokens)
}

// importing reads "import a.b as c, d".
func (p *parser) importing(tokens []token, when When) error {
	r := reader{p: p, tokens: tokens, at: 1}
	for {
		at := r.offset()
		module, err := r.dotted()
		if err != nil {
			return err
		}
		as, err := r.as()
		if err != nil {
			return err
		}
		if err := p.add(Import{Form: FormImport, Module: module, As: as, When: when}, at, tokens); err != nil {
			return err
		}
		if r.done() {
			return nil
		}
		if !r.take(",") {
			return r.unreadable()
		}
	}
}

// importingFrom reads "from ..a.b import (c as d, e)".
func (p *parser) importingFrom(tokens []token, when When) error {
	r := reader{p: p, tokens: tokens, at: 1}
	i := Import{Form: FormFrom, When: when, home: p.places.at(r.offset())}
	for r.take(".") {
		i.Level++
	}
	var err error
	if i.Level == 0 || !p.is(tokens, r.at, "import") {
		if i.Module, err = r.dotted(); err != nil {
			return err
		}
	}
	if !r.take("import") {
		return r.unreadable()
	}
	bracket := r.take("(")
	for {
		at := r.offset()
		if r.take("*") {
			i.Name = "*"
		} else if i.Name, err = r.name(); err != nil {
			return err
		}
		if i.As, err = r.as(); err != nil {
			return err
		}
		if err := p.add(i, at, tokens); err != nil {
			return err
		}
		comma := r.take(",")
		switch {
		case bracket && r.take(")"), r.done() && !bracket && !comma:
			if !r.done() {
				return r.unreadable()
			}
			return nil
		case !comma:
			return r.unreadable()
		}
	}
}

const maxImports = 100_000 // in one file

// add notes an import; at is where it is named.
func (p *parser) add(i Import, at int, tokens []token) error {
	if len(p.found) >= maxImports {
		return &lexError{at, fmt.Sprintf("more than %d imports", maxImports)}
	}
	i.Position = p.places.at(at)
	i.guard = p.suppressed()
	i.Guarded = i.guard != 0
	i.statement, i.functions = p.statements, p.functions()
	if n := len(p.found); n > 0 && p.found[n-1].statement == i.statement {
		i.Statement = p.found[n-1].Statement
	} else {
		i.Statement = quote(p.src[tokens[0].start:tokens[len(tokens)-1].end])
	}
	p.found = append(p.found, i)
	if i.Form == FormImport || i.Form == FormFrom {
		p.alias(i)
		p.bindImported(i, at)
	}
	return nil
}

// alias lets another name stand for the beginning of a sought module.
func (p *parser) alias(i Import) {
	known := i.As
	if known == "" {
		known = i.Name
	}
	if i.Level > 0 || known == "" || known == "*" {
		return
	}
	for _, s := range p.sought {
		if strings.HasPrefix(s, i.target()+".") {
			p.heads[known] = i.target()
		}
	}
}

// str is the text of a token, str1 that of one that is no string.
func (p *parser) str(t token) string { return string(p.src[t.start:t.end]) }

func (p *parser) str1(t token) string {
	if t.kind == text || t.kind == format {
		return ""
	}
	return p.str(t)
}

func (p *parser) is(tokens []token, i int, want string) bool {
	return i >= 0 && i < len(tokens) && p.str1(tokens[i]) == want
}

// reader reads the parts of an import statement.
type reader struct {
	p      *parser
	tokens []token
	at     int
}

func (r *reader) done() bool { return r.at >= len(r.tokens) }

func (r *reader) offset() int {
	if r.done() {
		return int(r.tokens[len(r.tokens)-1].end)
	}
	return int(r.tokens[r.at].start)
}

func (r *reader) take(want string) bool {
	if r.p.is(r.tokens, r.at, want) {
		r.at++
		return true
	}
	return false
}

func (r *reader) name() (string, error) {
	if r.done() || r.tokens[r.at].kind != name {
		return "", r.unreadable()
	}
	r.at++
	return r.p.str(r.tokens[r.at-1]), nil
}

func (r *reader) dotted() (string, error) {
	module, err := r.name()
	for err == nil && r.take(".") {
		var part string
		part, err = r.name()
		module += "." + part
	}
	return module, err
}

func (r *reader) as() (string, error) {
	if !r.take("as") {
		return "", nil
	}
	return r.name()
}

func (r *reader) unreadable() error {
	return &lexError{r.offset(), "the import statement cannot be read"}
}
