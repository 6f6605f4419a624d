package diag_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/meshc/meshc/compiler/diag"
)

// What a spec says can be as long as a file, and is in a finding in part only.
func TestTextsAreShort(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		cut  bool
	}{
		"as usual":       {"services.cart has no field \"x\"", false},
		"all that fits":  {strings.Repeat("a", 4<<10), false},
		"one too many":   {"first" + strings.Repeat("a", 4<<10) + "last", true},
		"much too long":  {"first" + strings.Repeat("a", 1<<20) + "last", true},
		"of wide runes":  {"first" + strings.Repeat("\u20ac", 1<<18) + "last", true},
		"of wide runes2": {"first1" + strings.Repeat("\u20ac", 1<<18) + "1last", true},
	} {
		d := diag.New(diag.BadFormat, c.text, c.text).WithHint("%s", c.text)
		for _, got := range []string{d.Path, d.Message, d.Hint} {
			whole := got == c.text
			if whole == c.cut || len(got) > 4<<10 || !utf8.ValidString(got) ||
				c.cut && (!strings.HasPrefix(got, "first") || !strings.HasSuffix(got, "last")) {
				t.Errorf("%s: %d bytes, %.20q … %q", name, len(got), got, got[max(0, len(got)-20):])
			}
		}
	}
}
