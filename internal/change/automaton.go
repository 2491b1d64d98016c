package change

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

const (
	patternFlags = syntax.Perl | syntax.DotNL
	maxPatterns  = 64   // bits of a set of patterns
	maxStates    = 4096 // of an automaton; a few hundred KiB
	maxClasses   = 256
)

// automaton is a deterministic automaton that tells which of several patterns
// match a whole text. Characters that no pattern tells apart are one class.
type automaton struct {
	ascii  [utf8.RuneSelf]uint8 // class of each ASCII character
	bounds []rune               // class i begins at bounds[i]
	next   []uint16             // [state*len(bounds)+class]; state 0 matches nothing any more
	accept []uint64             // patterns that match when the text ends in this state
	start  uint16
}

// run returns the set of patterns that match text.
func (a *automaton) run(text string) uint64 {
	state := int(a.start)
	n := len(a.bounds)
	for i := 0; i < len(text) && state != 0; {
		c := text[i]
		if c < utf8.RuneSelf {
			state = int(a.next[state*n+int(a.ascii[c])])
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		class, found := slices.BinarySearch(a.bounds, r)
		if !found {
			class--
		}
		state = int(a.next[state*n+class])
		i += size
	}
	return a.accept[state]
}

// instr is one instruction of one pattern's program.
type instr struct {
	pattern int
	pc      uint32
}

// builder makes an automaton by following all programs at once.
type builder struct {
	progs     []*syntax.Prog
	groups    []string // a sure match ends later patterns of the same group; nil: no groups
	base      []uint32 // number of the first instruction of each program
	automaton *automaton
	states    map[string]uint16
	sets      [][]instr
	sure      map[instr]bool // an any-character loop that leads to a match and to itself
	hard      bool           // a pattern asks for the beginning of the text after its end
}

// newAutomaton returns nil when the patterns need too large an automaton or one
// that knows what stands before a position.
func newAutomaton(patterns, groups []string) *automaton {
	b := &builder{groups: groups, automaton: &automaton{}, states: map[string]uint16{}, sure: map[instr]bool{}}
	total := uint32(0)
	for _, p := range patterns {
		re, err := syntax.Parse(p, patternFlags)
		if err != nil {
			return nil
		}
		prog, err := syntax.Compile(re.Simplify())
		if err != nil || !supported(prog) {
			return nil
		}
		b.base = append(b.base, total)
		b.progs = append(b.progs, prog)
		total += uint32(len(prog.Inst))
	}
	if !b.classes() {
		return nil
	}
	b.findSure()
	b.state(nil) // state 0
	var first []instr
	for i, p := range b.progs {
		first = b.follow(first, instr{i, uint32(p.Start)}, syntax.EmptyBeginText)
	}
	start, ok := b.state(first)
	if !ok {
		return nil
	}
	b.automaton.start = start
	for s := 1; s < len(b.sets); s++ {
		for class, r := range b.automaton.bounds {
			next, ok := b.state(b.step(b.sets[s], r))
			if !ok {
				return nil
			}
			b.automaton.next[s*len(b.automaton.bounds)+class] = next
		}
	}
	if b.hard {
		return nil
	}
	return b.automaton
}

// supported refuses what depends on the neighbouring characters.
func supported(p *syntax.Prog) bool {
	for _, in := range p.Inst {
		if in.Op == syntax.InstEmptyWidth && syntax.EmptyOp(in.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return false
		}
	}
	return true
}

func (b *builder) inst(i instr) *syntax.Inst { return &b.progs[i.pattern].Inst[i.pc] }

// classes finds the characters at which any pattern begins to behave differently.
func (b *builder) classes() bool {
	bounds := []rune{0, '\n', '\n' + 1}
	for _, p := range b.progs {
		for _, in := range p.Inst {
			if in.Op != syntax.InstRune && in.Op != syntax.InstRune1 {
				continue
			}
			if len(in.Rune) == 1 {
				r := in.Rune[0]
				bounds = append(bounds, r, r+1)
				for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
					bounds = append(bounds, f, f+1)
				}
				continue
			}
			for i := 0; i+1 < len(in.Rune); i += 2 {
				bounds = append(bounds, in.Rune[i], in.Rune[i+1]+1)
			}
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	if len(bounds) > maxClasses {
		return false
	}
	b.automaton.bounds = bounds
	class := 0
	for r := range b.automaton.ascii {
		for class+1 < len(bounds) && bounds[class+1] <= rune(r) {
			class++
		}
		b.automaton.ascii[r] = uint8(class)
	}
	return true
}

func (b *builder) findSure() {
	for p, prog := range b.progs {
		for pc, in := range prog.Inst {
			if in.Op != syntax.InstRuneAny {
				continue
			}
			self := instr{p, uint32(pc)}
			set := b.follow(nil, instr{p, in.Out}, 0)
			b.sure[self] = slices.Contains(set, self) && b.matches(set, p)
		}
	}
}

func (b *builder) matches(set []instr, pattern int) bool {
	return slices.ContainsFunc(set, func(i instr) bool {
		return i.pattern == pattern && b.inst(i).Op == syntax.InstMatch
	})
}

// follow adds to set what can be reached from i without reading a character. A
// condition that the text ends here stays in the set until it is known.
func (b *builder) follow(set []instr, i instr, flags syntax.EmptyOp) []instr {
	todo := []instr{i}
	seen := map[instr]bool{}
	for len(todo) > 0 {
		i = todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		switch in := b.inst(i); in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, instr{i.pattern, in.Out}, instr{i.pattern, in.Arg})
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, instr{i.pattern, in.Out})
		case syntax.InstEmptyWidth:
			op := syntax.EmptyOp(in.Arg)
			switch {
			case op&^flags == 0:
				todo = append(todo, instr{i.pattern, in.Out})
			case op == syntax.EmptyEndText:
				set = append(set, i)
			case flags == syntax.EmptyEndText:
				b.hard = true
			}
		case syntax.InstMatch, syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			set = append(set, i)
		case syntax.InstFail:
		}
	}
	return set
}

// step returns where set leads on the character r.
func (b *builder) step(set []instr, r rune) []instr {
	var out []instr
	for _, i := range set {
		in := b.inst(i)
		switch in.Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if in.MatchRune(r) {
				out = b.follow(out, instr{i.pattern, in.Out}, 0)
			}
		case syntax.InstAlt, syntax.InstAltMatch, syntax.InstCapture, syntax.InstNop,
			syntax.InstEmptyWidth, syntax.InstMatch, syntax.InstFail:
		}
	}
	return out
}

// state returns the number of the state that stands for set, a new one if need be.
func (b *builder) state(set []instr) (uint16, bool) {
	set = b.prune(set)
	var key []byte
	for _, i := range set {
		key = binary.BigEndian.AppendUint32(key, b.base[i.pattern]+i.pc)
	}
	if n, ok := b.states[string(key)]; ok {
		return n, true
	}
	n := len(b.sets)
	if n >= maxStates {
		return 0, false
	}
	b.states[string(key)] = uint16(n)
	b.sets = append(b.sets, set)
	b.automaton.accept = append(b.automaton.accept, b.accepted(set))
	b.automaton.next = append(b.automaton.next, make([]uint16, len(b.automaton.bounds))...)
	return uint16(n), true
}

// prune sorts the set, drops repetitions, and drops patterns that cannot win any
// more because one before them in the same group matches whatever follows.
func (b *builder) prune(set []instr) []instr {
	slices.SortFunc(set, func(x, y instr) int { return int(b.base[x.pattern]+x.pc) - int(b.base[y.pattern]+y.pc) })
	set = slices.Compact(set)
	if b.groups == nil {
		return set
	}
	won := map[string]int{}
	for _, i := range set {
		if _, done := won[b.groups[i.pattern]]; !done && b.sure[i] && b.matches(set, i.pattern) {
			won[b.groups[i.pattern]] = i.pattern
		}
	}
	return slices.DeleteFunc(set, func(i instr) bool {
		w, ok := won[b.groups[i.pattern]]
		return ok && i.pattern > w
	})
}

func (b *builder) accepted(set []instr) uint64 {
	var bits uint64
	for _, i := range set {
		if b.matches(b.follow(nil, i, syntax.EmptyEndText), i.pattern) {
			bits |= 1 << i.pattern
		}
	}
	return bits
}
