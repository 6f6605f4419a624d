package diff

import (
	"cmp"
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// maxStates bounds how many states of a product of patterns are looked at.
const maxStates = 20000

// samples are the shortest texts for every combination of patterns that a text can match: for any text of a form there
// is a sample which the same of the patterns match. Patterns and the form are regular expressions (RE2) of whole
// texts. It walks the automaton that all of them make together, breadth first; whole is false when that
// has more than maxStates states, or a pattern is not a regular expression, so that some combinations may be missing.
func samples(form string, patterns []string) (out []string, whole bool) {
	automata := []*automaton{newAutomaton(form)}
	whole = true
	for _, p := range patterns {
		if a := newAutomaton(p); a != nil {
			automata = append(automata, a)
		} else {
			whole = false
		}
	}
	letters := alphabet(automata)
	type state struct {
		text    string
		last    rune // of text; -1 for none
		threads []threads
	}
	begin := state{last: -1}
	for i, a := range automata {
		begin.threads = append(begin.threads,
			threads{i, []uint32{uint32(a.prog.Start)}}) // #nosec G115 -- a program is short
	}
	seen, known := map[string]bool{key(begin.threads, -1): true}, map[string]bool{}
	for queue := []state{begin}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		matched := make([]byte, (len(automata)+7)/8)
		for _, t := range s.threads {
			if automata[t.of].accepts(t.at, s.last) {
				matched[t.of/8] |= 1 << (t.of % 8)
			}
		}
		if matched[0]&1 != 0 && !known[string(matched)] { // it is of the form
			known[string(matched)] = true
			out = append(out, s.text)
		}
		closed := map[syntax.EmptyOp][]threads{} // by what holds before the next letter
		for _, c := range letters {
			here := syntax.EmptyOpContext(s.last, c)
			now, done := closed[here]
			if !done {
				for _, t := range s.threads {
					now = append(now, threads{t.of, automata[t.of].closures(t.at, here)})
				}
				closed[here] = now
			}
			var next []threads
			for _, t := range now {
				if at := automata[t.of].step(t.at, c); len(at) > 0 {
					next = append(next, threads{t.of, at})
				}
			}
			if len(next) == 0 || next[0].of != 0 {
				continue // no text of the form begins so
			}
			if k := key(next, c); !seen[k] {
				if len(seen) == maxStates {
					return out, false
				}
				seen[k] = true
				queue = append(queue, state{s.text + string(c), c, next})
			}
		}
	}
	return out, whole
}

// threads are where an automaton is, by its index: one that is nowhere any more matches nothing that begins so.
type threads struct {
	of int
	at []uint32
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// automaton is a regular expression as a program whose threads are followed side by side.
type automaton struct{ prog *syntax.Prog }

// newAutomaton is nil for what is not a regular expression.
func newAutomaton(pattern string) *automaton {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil
	}
	return &automaton{prog}
}

// closures are threads, and those that they become without reading anything, where that holds of the place.
func (a *automaton) closures(threads []uint32, here syntax.EmptyOp) []uint32 {
	var out []uint32
	for _, pc := range threads {
		out = a.closure(out, pc, here)
	}
	return out
}

func (a *automaton) closure(threads []uint32, pc uint32, here syntax.EmptyOp) []uint32 {
	i, found := slices.BinarySearch(threads, pc)
	if found {
		return threads
	}
	inst := &a.prog.Inst[pc]
	if inst.Op == syntax.InstFail || inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(inst.Arg)&^here != 0 {
		return threads
	}
	threads = slices.Insert(threads, i, pc)
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return a.closure(a.closure(threads, inst.Out, here), inst.Arg, here)
	case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
		return a.closure(threads, inst.Out, here)
	}
	return threads
}

// step are the threads after a letter, of those before it.
func (a *automaton) step(threads []uint32, c rune) []uint32 {
	var next []uint32
	for _, pc := range threads {
		if inst := &a.prog.Inst[pc]; reads(inst) && inst.MatchRune(c) {
			if i, found := slices.BinarySearch(next, inst.Out); !found {
				next = slices.Insert(next, i, inst.Out)
			}
		}
	}
	return next
}

// accepts reports whether a thread is at its end, if the text ends here.
func (a *automaton) accepts(threads []uint32, last rune) bool {
	return slices.ContainsFunc(a.closures(threads, syntax.EmptyOpContext(last, -1)),
		func(pc uint32) bool { return a.prog.Inst[pc].Op == syntax.InstMatch })
}

func reads(inst *syntax.Inst) bool {
	return inst.Op == syntax.InstRune || inst.Op == syntax.InstRune1 || inst.Op == syntax.InstRuneAny ||
		inst.Op == syntax.InstRuneAnyNotNL
}

// alphabet has one letter, as plain as may be, of each set of those that the automata do not tell apart.
func alphabet(automata []*automaton) []rune {
	var insts []*syntax.Inst
	distinct := map[string]bool{}
	for _, a := range automata {
		for i := range a.prog.Inst {
			if inst := &a.prog.Inst[i]; reads(inst) && !distinct[inst.String()[:strings.Index(inst.String(), "->")]] {
				distinct[inst.String()[:strings.Index(inst.String(), "->")]] = true
				insts = append(insts, inst)
			}
		}
	}
	printable := []rune{'\t'}
	for c := ' '; c <= '~'; c++ {
		printable = append(printable, c)
	}
	for _, inst := range insts {
		for _, c := range inst.Rune { // where ranges begin and end
			for _, c := range []rune{c, c + 1} {
				if c > '~' && unicode.IsPrint(c) && !slices.Contains(printable, c) {
					printable = append(printable, c)
				}
			}
		}
	}
	slices.SortStableFunc(printable, func(a, b rune) int { return cmp.Compare(plainness(a), plainness(b)) })
	var out []rune
	classes := map[string]bool{}
	for _, c := range printable {
		class := make([]byte, len(insts))
		for i, inst := range insts {
			class[i] = byte(boolean(inst.MatchRune(c)))
		}
		if !classes[string(class)] {
			classes[string(class)] = true
			out = append(out, c)
		}
	}
	return out
}

// plainness orders letters before digits before the rest.
func plainness(c rune) int {
	switch {
	case c == 'x':
		return 0
	case 'a' <= c && c <= 'z':
		return 1
	case '0' <= c && c <= '9':
		return 2
	case 'A' <= c && c <= 'Z':
		return 3
	case '!' <= c && c <= '~':
		return 4
	}
	return 5
}

// key tells states apart. Of the last letter only counts whether it is one of a word, and whether it ended a line.
func key(list []threads, last rune) string {
	b := make([]byte, 0, 64)
	b = append(b, byte(syntax.EmptyOpContext(last, 'x')))
	for _, t := range list {
		b = binary.AppendUvarint(append(b, 0xff), uint64(t.of)) // #nosec G115 -- an index
		for _, pc := range t.at {
			b = binary.AppendUvarint(b, uint64(pc)+1)
		}
		b = append(b, 0)
	}
	return string(b)
}
