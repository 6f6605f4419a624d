package link

import (
	"regexp"
	"testing"
)

// Each was put to Envoy 1.40, which takes those and refuses these.
func TestNotRE2(t *testing.T) {
	for _, good := range []string{
		`\pL+`, `\p{Lu}`, `\P{Greek}`, `\p{^Han}`, `\\p{LC}`, `\Q\p{LC}\E`, `[\p{L}\d]`,
		`\x{1F600}`, `\x41`, `\p{Any}`,
	} {
		if part := notRE2(good); part != "" {
			t.Errorf("%s is refused for %s", good, part)
		}
	}
	for _, bad := range []string{
		`\p{LC}`, `\p{Letter}`, `[\p{Cn}]`, `a\p{greek}`, `\P{Assigned}`, `\p{^LC}`,
		`\x{d800}`, `\\\p{LC}`, `\Q.\E\p{LC}`,
	} {
		if _, err := regexp.Compile(bad); err != nil {
			t.Errorf("Go does not take %s either", bad)
		}
		if notRE2(bad) == "" {
			t.Errorf("%s is taken", bad)
		}
	}
}
