package imports

import (
	"slices"
	"strings"
)

// What follows notes where a module may bind its names first, as far as one line tells.
// A name that is bound by then can be taken from a module that is half loaded.

// bind notes a name of the module; those of functions and classes are not.
func (p *parser) bind(known string, offset int) {
	if _, ok := p.bound[known]; ok || p.when() != WhenLoad {
		return
	}
	if slices.ContainsFunc(p.blocks, func(b block) bool { return b.kind == blockClass }) {
		return
	}
	p.bound[known] = offset
}

// bindHeader: def f(…), class C.
func (p *parser) bindHeader(word string, header []token) {
	if word != "def" && word != "class" {
		return
	}
	i := 1
	if p.is(header, 0, "async") {
		i = 2
	}
	if i < len(header) && header[i].kind == name {
		p.bind(p.str(header[i]), int(header[i].start))
	}
}

// bindAssigned: a = b = 1, a: int = 1, a, b = f().
func (p *parser) bindAssigned(tokens []token) {
	depth, begin := 0, 0
	for i := range tokens {
		switch p.str1(tokens[i]) {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case "=":
			if depth == 0 {
				p.bindTargets(tokens[begin:i])
				begin = i + 1
			}
		}
	}
}

// bindTargets reads what is before an equals sign: names with commas, or one name with
// its type.
func (p *parser) bindTargets(tokens []token) {
	if len(tokens) == 0 || tokens[0].kind != name {
		return
	}
	if p.is(tokens, 1, ":") {
		tokens = tokens[:1]
	}
	for i := 1; i < len(tokens); i += 2 {
		if !p.is(tokens, i, ",") {
			return
		}
	}
	for i := 0; i < len(tokens); i += 2 {
		if tokens[i].kind == name {
			p.bind(p.str(tokens[i]), int(tokens[i].start))
		}
	}
}

func (p *parser) bindImported(i Import, offset int) {
	known := i.As
	if known == "" {
		known = i.Name
	}
	if known == "" {
		known, _, _ = strings.Cut(i.Module, ".")
	}
	p.bind(known, offset) // "*" too: nobody knows what that binds
}
