// Package heard bounds what somebody else says of themselves before it is kept, logged or shown.
package heard

import (
	"fmt"
	"strings"
	"unicode"
)

// Text is a text of at most that many bytes, which may have several lines; what cannot be printed is replaced, and what is left out counted.
func Text(text string, most int) string {
	return bounded(text, most, func(r rune) bool { return unicode.IsPrint(r) || r == '\n' || r == '\t' })
}

// Line is [Text] in one line.
func Line(text string, most int) string { return bounded(text, most, unicode.IsPrint) }

func bounded(text string, most int, good func(rune) bool) string {
	rest := len(text) - most
	if rest > 0 {
		text = text[:most]
	}
	text = strings.Map(func(r rune) rune {
		if good(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.ToValidUTF8(text, ""))
	if rest > 0 {
		text += fmt.Sprintf(" … (%d more bytes)", rest)
	}
	return text
}
