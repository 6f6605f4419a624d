// Package heard limits texts that others say about themselves, before they are stored, logged or shown.
package heard

import (
	"fmt"
	"strings"
	"unicode"
)

// Text returns a text of at most the given number of bytes. It may have several lines. Characters that cannot be
// printed are replaced, and the number of omitted bytes is added.
func Text(text string, most int) string {
	return bounded(text, most, func(r rune) bool { return unicode.IsPrint(r) || r == '\n' || r == '\t' })
}

// Line returns the text as [Text] does, but in one line.
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
