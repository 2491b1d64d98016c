package imports

import (
	"cmp"
	"slices"
)

// block is a compound statement whose body is being read, or was until a moment ago.
type block struct {
	indent int // of its header
	kind   blockKind
	// inverted is an if that is never true for type checkers: its else is theirs alone.
	inverted  bool
	functions int // around the body
	id        int // of the statement
	// A try, and what follows it: which imports an except clause would guard.
	from, to int
}

type blockKind int

const (
	blockPlain blockKind = iota
	blockFunction
	blockTypes  // if TYPE_CHECKING
	blockScript // if __name__ == "__main__"
	blockTry
	blockAfterTry // an except clause
	blockSuppress // with suppress(ImportError)
	blockMatch
	blockClass
)

// headers are the words that begin a compound statement.
var headers = []string{"if", "elif", "else", "for", "while", "try", "except", "finally", "with", "def", "class", "match", "case"}

// catching are the names that, in an except clause, catch a failed import.
var catching = []string{"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}

// close ends the blocks that a line at this indent is not in, and returns the one that
// ended last and began at this indent: an else or except belongs to it.
func (p *parser) close(indent int) *block {
	var last *block
	for len(p.blocks) > 0 && p.blocks[len(p.blocks)-1].indent >= indent {
		b := p.blocks[len(p.blocks)-1]
		p.blocks = p.blocks[:len(p.blocks)-1]
		if b.kind == blockTry {
			b.to = len(p.found)
		}
		last = &b
	}
	if last == nil || last.indent != indent {
		return nil
	}
	return last
}

// header returns where the colon of a compound statement is, and the word it begins
// with; -1 for a simple statement.
func (p *parser) header(tokens []token) (word string, colon int) {
	first := 0
	if p.is(tokens, 0, "async") {
		first = 1
	}
	if first >= len(tokens) || tokens[first].kind != name {
		return "", -1
	}
	word = p.str(tokens[first])
	if !slices.Contains(headers, word) {
		return "", -1
	}
	colon = p.colon(tokens)
	switch {
	case word == "match" && (colon != len(tokens)-1 || colon < 2):
		return "", -1 // a variable of this name
	case word == "case" && (len(p.blocks) == 0 || p.blocks[len(p.blocks)-1].kind != blockMatch):
		return "", -1
	}
	return word, colon
}

// colon finds the first colon outside of brackets that does not belong to a lambda.
func (p *parser) colon(tokens []token) int {
	depth, lambdas := 0, 0
	for i := range tokens {
		switch p.str1(tokens[i]) {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case "lambda":
			if depth == 0 {
				lambdas++
			}
		case ":":
			switch {
			case depth > 0:
			case lambdas > 0:
				lambdas--
			default:
				return i
			}
		}
	}
	return -1
}

// enter opens the block of a header. before is the one that ended at the same indent.
func (p *parser) enter(indent int, word string, header []token, before *block) {
	b := block{indent: indent, functions: p.functions(), id: p.statements}
	switch word {
	case "def":
		b.kind = blockFunction
		b.functions++
	case "class":
		b.kind = blockClass
	case "if", "elif":
		b.kind, b.inverted = p.condition(header)
	case "else":
		if before != nil && before.inverted {
			b.kind = blockTypes
		}
	case "match":
		b.kind = blockMatch
	case "with":
		if p.mentions(header, "suppress") && p.catches(header) {
			b.kind = blockSuppress
		}
	case "try":
		b.kind, b.from = blockTry, len(p.found)
	case "except":
		if before != nil && (before.kind == blockTry || before.kind == blockAfterTry) {
			b.kind, b.from, b.to, b.id = blockAfterTry, before.from, before.to, before.id
			if len(header) <= 1 || p.catches(header) {
				p.guard(b)
			}
		}
	}
	p.blocks = append(p.blocks, b)
}

// guard marks what a try block imports itself; functions that it defines run later.
func (p *parser) guard(b block) {
	for i := b.from; i < b.to; i++ {
		if f := &p.found[i]; f.functions == b.functions {
			f.Guarded = true
			f.guard = cmp.Or(f.guard, b.id) // an inner block was first
		}
	}
}

// condition recognises the two conditions that decide when imports happen.
func (p *parser) condition(header []token) (kind blockKind, inverted bool) {
	switch {
	case p.mentions(header, "TYPE_CHECKING"):
		switch {
		case p.mentions(header, "or"):
		case !p.mentions(header, "not"):
			return blockTypes, false
		case p.is(header, 1, "not") && !p.mentions(header, "and"):
			return blockPlain, true
		}
	case len(header) == 4 && p.is(header, 2, "==") && (p.main(header[1], header[3]) || p.main(header[3], header[1])):
		return blockScript, false
	}
	return blockPlain, false
}

func (p *parser) main(a, b token) bool {
	if p.str1(a) != "__name__" || b.kind != text {
		return false
	}
	value, ok := unquote(p.str(b))
	return ok && value == "__main__"
}

func (p *parser) catches(header []token) bool {
	return slices.ContainsFunc(catching, func(c string) bool { return p.mentions(header, c) })
}

func (p *parser) mentions(tokens []token, word string) bool {
	return slices.ContainsFunc(tokens, func(t token) bool { return t.kind == name && p.str(t) == word })
}

// when says when a statement here is carried out.
func (p *parser) when() When {
	w := WhenLoad
	for _, b := range p.blocks {
		switch b.kind {
		case blockTypes:
			return WhenTypes
		case blockFunction:
			w = WhenCall
		case blockScript:
			if w == WhenLoad {
				w = WhenScript
			}
		case blockPlain, blockTry, blockAfterTry, blockSuppress, blockMatch, blockClass:
		}
	}
	return w
}

// functions counts those that a statement here is in.
func (p *parser) functions() int {
	if len(p.blocks) == 0 {
		return 0
	}
	return p.blocks[len(p.blocks)-1].functions
}

// suppressed says which block passes over an ImportError here; 0: none.
func (p *parser) suppressed() int {
	for _, b := range slices.Backward(p.blocks) {
		switch b.kind {
		case blockSuppress:
			return b.id
		case blockFunction:
			return 0
		case blockPlain, blockTypes, blockScript, blockTry, blockAfterTry, blockMatch, blockClass:
		}
	}
	return 0
}
