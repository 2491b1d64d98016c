package imports

import (
	"bytes"
	"strings"
)

// expression looks into a statement that is no import for calls that import, and for
// uses of a sought module.
func (p *parser) expression(tokens []token) (err error) {
	for i := 0; i < len(tokens) && err == nil; i++ {
		switch {
		case tokens[i].kind == text || tokens[i].kind == format:
			p.mention(tokens[i])
		case tokens[i].kind != name:
		case p.is(tokens, i+1, "(") && (p.is(tokens, i, "__import__") || p.is(tokens, i, "import_module")):
			err = p.call(tokens, i)
		case p.is(tokens, i+1, ".") && !p.is(tokens, i-1, "."):
			err = p.use(tokens, i)
		}
	}
	return err
}

// call reads import_module("a.b", package), with a literal for the module.
func (p *parser) call(tokens []token, i int) error {
	at := i + 2
	if p.is(tokens, at, "name") && p.is(tokens, at+1, "=") {
		at += 2
	}
	module, next, ok := p.constant(tokens, at)
	if !ok || !p.is(tokens, next, ",") && !p.is(tokens, next, ")") {
		return nil
	}
	im := Import{Form: FormCall, When: p.when()}
	im.Module = strings.TrimLeft(module, ".")
	im.Level = len(module) - len(im.Module)
	if im.Level > 0 && p.is(tokens, next, ",") {
		anchor := next + 1
		if p.is(tokens, anchor, "package") && p.is(tokens, anchor+1, "=") {
			anchor += 2
		}
		if base, _, ok := p.constant(tokens, anchor); ok {
			im.Module, im.Level = relative(base, im.Level, im.Module), 0
		} // else __package__, or something nobody knows here: that of the file
	}
	if !isDotted(im.Module) {
		return nil
	}
	p.quiet = tokens[next-1].end
	return p.add(im, int(tokens[at].start), tokens)
}

// relative resolves a relative name against a package that is given by its name.
func relative(base string, level int, module string) string {
	for ; level > 1; level-- {
		i := strings.LastIndexByte(base, '.')
		if i < 0 {
			return module
		}
		base = base[:i]
	}
	return join(base, module)
}

// constant reads adjacent string literals.
func (p *parser) constant(tokens []token, i int) (value string, next int, ok bool) {
	for ; i < len(tokens) && tokens[i].kind == text; i++ {
		part, fine := unquote(p.str(tokens[i]))
		if !fine {
			return "", i, false
		}
		value, ok = value+part, true
	}
	return value, i, ok
}

// unquote reads a literal without escapes: the name of a module needs none.
func unquote(literal string) (string, bool) {
	body := strings.TrimLeft(literal, "rRuU")
	for _, q := range []string{`"""`, "'''", `"`, "'"} {
		if len(body) >= 2*len(q) && strings.HasPrefix(body, q) && strings.HasSuffix(body, q) {
			body = body[len(q) : len(body)-len(q)]
			return body, !strings.Contains(body, `\`)
		}
	}
	return "", false
}

func isDotted(module string) bool {
	for part := range strings.SplitSeq(module, ".") {
		if part == "" || strings.ContainsAny(part, " \t\r\n/") {
			return false
		}
	}
	return true
}

// use looks at a chain of attributes, a.b.c.
func (p *parser) use(tokens []token, i int) error {
	full, ok := p.heads[p.str(tokens[i])]
	if !ok {
		return nil
	}
	end := i + 1
	for p.is(tokens, end, ".") && end+1 < len(tokens) && tokens[end+1].kind == name {
		full += "." + p.str(tokens[end+1])
		end += 2
	}
	for _, s := range p.sought {
		if under(full, s) {
			return p.add(Import{Form: FormUse, Module: full, When: p.when()}, int(tokens[i].start), tokens)
		}
	}
	return nil
}

// mention notes a string or comment that names a sought module. It imports nothing, and
// a grep would find it.
func (p *parser) mention(t token) {
	if t.kind == text && t.end <= p.quiet {
		return // the literal of a call that imports
	}
	for _, s := range p.sought {
		for from := int(t.start); from < int(t.end); {
			i := bytes.Index(p.src[from:t.end], []byte(s))
			if i < 0 {
				break
			}
			start, end := from+i, from+i+len(s)
			if (start == 0 || !inDotted(p.src[start-1])) && (end == len(p.src) || !isNameByte(p.src[end])) {
				p.mentioned = append(p.mentioned, mention{start, s})
			}
			from = end
		}
	}
}

func inDotted(c byte) bool { return c == '.' || isNameByte(c) }
