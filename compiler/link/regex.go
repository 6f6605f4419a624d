package link

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// regex refuses an expression that RE2 does not take. Go's own takes the same but for
// a few, of which Envoy would say no.
func (l *linker) regex(here place, expression string, pos source.Position) {
	reason := ""
	if _, err := regexp.Compile(expression); err != nil {
		reason = strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	} else if part := notRE2(expression); part != "" {
		reason = fmt.Sprintf("invalid character class: `%s`", part)
	}
	if reason != "" {
		l.add(diag.BadRegex, here, "regex is not valid: "+reason, pos).
			hint("the syntax is RE2's: https://github.com/google/re2/wiki/Syntax")
	}
}

var (
	quoted    = regexp.MustCompile(`(?s)\\Q.*?(\\E|$)`)
	escapes   = regexp.MustCompile(`\\(?:[pP](?:\{\^?([^}]*)\}|(.))|x\{([0-9A-Fa-f]+)\}|.)`)
	laterThan = map[string]bool{ // scripts of Unicode 15 and later, which not every RE2 knows
		"Kawi": true, "Nag_Mundari": true, "Garay": true, "Gurung_Khema": true, "Kirat_Rai": true, "Ol_Onal": true,
		"Sunuwar": true,
		"Todhri":  true, "Tulu_Tigalari": true, "Beria_Erfe": true, "Sidetic": true, "Tai_Yo": true,
		"Tolong_Siki": true,
	}
	notCategories = []string{"LC", "Cn"}
)

// notRE2 is the part of a good expression of Go's that RE2 does not know: a class by
// another name than that of a category or a script, or half of a character.
func notRE2(expression string) string {
	for _, m := range escapes.FindAllStringSubmatch(quoted.ReplaceAllString(expression, ""), -1) {
		switch class := m[1] + m[2]; {
		case m[3] != "":
			if r, err := strconv.ParseUint(m[3], 16, 32); err == nil && r >= 0xd800 && r <= 0xdfff {
				return m[0]
			}
		case class == "" || class == "Any":
		case unicode.Categories[class] != nil && !slices.Contains(notCategories, class):
		case unicode.Scripts[class] != nil && !laterThan[class]:
		default:
			return m[0]
		}
	}
	return ""
}
