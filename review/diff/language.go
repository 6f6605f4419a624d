package diff

import (
	"cmp"
	"regexp/syntax"
	"slices"
	"strings"
)

// maxStates bounds how many states of a product of patterns are looked at.
const maxStates = 20000

// samples are the shortest texts for every combination of patterns that a text can match: for any text of a form there
// is a sample which the same of the patterns match. Patterns and the form are regular expressions (RE2) of whole
// texts. It walks the automaton that all of them make together, breadth first; whole is false when that
// has more than maxStates states, so that some combinations may be missing.
func samples(form string, patterns []string) (out []string, whole bool) {
	automata := []*automaton{newAutomaton(form)}
	for _, p := range patterns {
		if a := newAutomaton(p); a != nil {
			automata = append(automata, a)
		}
	}
	letters := alphabet(automata)
	type state struct {
		text    string
		threads [][]uint32
	}
	begin := state{threads: make([][]uint32, len(automata))}
	for i, a := range automata {
		begin.threads[i] = a.closure(nil, uint32(a.prog.Start), true) // #nosec G115 -- a program is short
	}
	seen, known := map[string]bool{key(begin.threads): true}, map[string]bool{}
	whole = true
	for queue := []state{begin}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		if automata[0].accepts(s.threads[0]) {
			var matched strings.Builder
			for i, a := range automata[1:] {
				matched.WriteByte("01"[boolean(a.accepts(s.threads[i+1]))])
			}
			if !known[matched.String()] {
				known[matched.String()] = true
				out = append(out, s.text)
			}
		}
		for _, c := range letters {
			next := state{text: s.text + string(c), threads: make([][]uint32, len(automata))}
			for i, a := range automata {
				next.threads[i] = a.step(s.threads[i], c)
			}
			if len(next.threads[0]) == 0 {
				continue // no text of the form begins so
			}
			if k := key(next.threads); !seen[k] {
				if len(seen) == maxStates {
					return out, false
				}
				seen[k] = true
				queue = append(queue, next)
			}
		}
	}
	return out, whole
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// automaton is a regular expression as a program whose threads are followed side by side.
type automaton struct{ prog *syntax.Prog }

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

// closure adds a thread, and those that it becomes without reading anything.
func (a *automaton) closure(threads []uint32, pc uint32, begins bool) []uint32 {
	i, found := slices.BinarySearch(threads, pc)
	if found {
		return threads
	}
	inst := &a.prog.Inst[pc]
	needs := syntax.EmptyOp(inst.Arg)
	if inst.Op == syntax.InstFail || inst.Op == syntax.InstEmptyWidth && needs&(syntax.EmptyBeginText|syntax.EmptyBeginLine) != 0 && !begins {
		return threads
	}
	threads = slices.Insert(threads, i, pc)
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return a.closure(a.closure(threads, inst.Out, begins), inst.Arg, begins)
	case syntax.InstCapture, syntax.InstNop:
		return a.closure(threads, inst.Out, begins)
	case syntax.InstEmptyWidth:
		if needs&(syntax.EmptyEndText|syntax.EmptyEndLine) == 0 {
			return a.closure(threads, inst.Out, begins)
		}
	}
	return threads
}

// step are the threads after a letter.
func (a *automaton) step(threads []uint32, c rune) []uint32 {
	var next []uint32
	for _, pc := range threads {
		if inst := &a.prog.Inst[pc]; reads(inst) && inst.MatchRune(c) {
			next = a.closure(next, inst.Out, false)
		}
	}
	return next
}

// accepts reports whether a thread is at its end, if the text ends here.
func (a *automaton) accepts(threads []uint32) bool {
	for _, pc := range threads {
		for pc := pc; ; pc = a.prog.Inst[pc].Out {
			if op := a.prog.Inst[pc].Op; op == syntax.InstMatch {
				return true
			} else if op != syntax.InstEmptyWidth && op != syntax.InstCapture && op != syntax.InstNop {
				break
			}
		}
	}
	return false
}

func reads(inst *syntax.Inst) bool {
	return inst.Op == syntax.InstRune || inst.Op == syntax.InstRune1 || inst.Op == syntax.InstRuneAny || inst.Op == syntax.InstRuneAnyNotNL
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
	var printable []rune
	for c := '!'; c <= '~'; c++ {
		printable = append(printable, c)
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
	}
	return 4
}

func key(threads [][]uint32) string {
	var b strings.Builder
	for _, list := range threads {
		for _, pc := range list {
			b.WriteByte(byte(pc))
			b.WriteByte(byte(pc >> 8))
			b.WriteByte(byte(pc >> 16))
		}
		b.WriteString("\xff\xff\xff")
	}
	return b.String()
}
