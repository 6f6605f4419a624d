package source

import (
	"fmt"
	"strings"
	"unicode"
)

// Printable is text from a file or a name, safe for a terminal: control
// characters become their escapes, so that a spec cannot move the cursor, change
// colours or begin lines of its own.
func Printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unprintable are control characters, and those that change the direction of
// what follows or hide in it.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}
