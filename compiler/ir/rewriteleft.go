package ir

import (
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// dotsLeft are "." and ".." as all that is left of a segment, with what may follow them.
const dotsLeft = `\.\.?(?:[/;].*)?`

// Leaves is a pattern of the paths of which the routes' rewriting takes away a beginning that does not end where a
// segment ends, and leaves dots behind it: of "/static../a" with "/static" that is "../a", which who reads the new
// path may take for a way out of it. No proxy sends them on. False when the rewriting cannot leave such.
//
// Of a pattern that begins with "^", what is left is what stands behind all that it matches, and the groups that the
// substitution takes over. Of one that is replaced anywhere it cannot be told: what that makes is its author's.
func Leaves(by []*Route) (pattern string, possible bool) {
	if by[len(by)-1].Answers() {
		return "", false
	}
	from, to, ok := RewrittenPath(by)
	if !ok {
		return "", false
	}
	re, err := syntax.Parse(from, syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat || re.Sub[0].Op != syntax.OpBeginText {
		return "", false
	}
	parts, left := re.Sub[1:], []string(nil)
	for i, part := range parts {
		if part.Op == syntax.OpCapture && takesOver(to, part.Cap) && mayBeginWithDot(part) {
			left = append(left, dotsBehind(parts[:i])...)
		}
	}
	left = append(left, dotsBehind(parts)...)
	left = slices.Compact(left)
	switch len(left) {
	case 0:
		return "", false
	case 1:
		return left[0], true
	}
	return "(?:" + strings.Join(left, "|") + ")", true
}

// takesOver reports whether a substitution names a group.
func takesOver(substitution string, group int) bool {
	return group <= 9 && strings.Contains(strings.ReplaceAll(substitution, `\\`, ""), `\`+strconv.Itoa(group))
}

// dotsBehind is a pattern of the paths that have dots alone behind what the parts of a pattern match. There is none
// where they end at a slash, as paths are normal before they are rewritten; where nothing is behind them; and where
// they would take the dots.
func dotsBehind(parts []*syntax.Regexp) []string {
	for i := len(parts) - 1; i >= 0; i-- {
		last := parts[i]
		switch {
		case last.Op == syntax.OpEndText || last.Op == syntax.OpEndLine || mayGrowByDot(last):
			return nil
		case last.Op == syntax.OpLiteral && last.Rune[len(last.Rune)-1] == '/':
			return nil
		case !mayBeEmpty(last):
			before := syntax.Regexp{Op: syntax.OpConcat, Sub: parts}
			return []string{before.String() + dotsLeft}
		}
	}
	return nil
}

// mayGrowByDot reports whether a pattern can match a dot more at its end, where one follows.
func mayGrowByDot(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		return mayHaveDot(re.Sub[0])
	case syntax.OpCapture, syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, mayGrowByDot)
	case syntax.OpConcat:
		for i := len(re.Sub) - 1; i >= 0; i-- {
			if mayGrowByDot(re.Sub[i]) {
				return true
			}
			if !mayBeEmpty(re.Sub[i]) {
				return false
			}
		}
	}
	return false
}

// mayHaveDot reports whether something that a pattern matches has a dot.
func mayHaveDot(re *syntax.Regexp) bool {
	return isDot(re) || re.Op == syntax.OpLiteral && slices.Contains(re.Rune, '.') ||
		slices.ContainsFunc(re.Sub, mayHaveDot)
}

// mayBeginWithDot reports whether a pattern matches something that begins with a dot, or nothing, so that what follows
// may.
func mayBeginWithDot(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return re.Rune[0] == '.'
	case syntax.OpCapture, syntax.OpPlus, syntax.OpConcat:
		return mayBeEmpty(re) || mayBeginWithDot(re.Sub[0])
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, mayBeginWithDot)
	case syntax.OpRepeat:
		return re.Min == 0 || mayBeginWithDot(re.Sub[0])
	}
	return isDot(re) || mayBeEmpty(re)
}

// isDot reports whether a pattern of one character matches a dot.
func isDot(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if re.Rune[i] <= '.' && '.' <= re.Rune[i+1] {
				return true
			}
		}
	}
	return false
}

// mayBeEmpty reports whether a pattern matches nothing.
func mayBeEmpty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpQuest, syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpBeginLine, syntax.OpEndText,
		syntax.OpEndLine,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	case syntax.OpRepeat:
		return re.Min == 0 || mayBeEmpty(re.Sub[0])
	case syntax.OpCapture, syntax.OpPlus:
		return mayBeEmpty(re.Sub[0])
	case syntax.OpConcat:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !mayBeEmpty(sub) })
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, mayBeEmpty)
	}
	return false
}
