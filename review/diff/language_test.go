package diff

import (
	"regexp"
	"strings"
	"testing"
)

// TestSamplesAreOfEveryCombination compares the samples with all texts up to a length: whatever combination of patterns
// one of them matches, a sample matches too.
func TestSamplesAreOfEveryCombination(t *testing.T) {
	for _, patterns := range [][]string{
		nil,
		{`/a`, `/a/.*`, `/[a-z]+/b`, `.*b`},
		{`/a.*`, `/ab.*`, `/abc`, `(?:/a/b|/c)`},
		{`(?i)/A`, `/a`, `/(?:|b)*c`, `^/a$`, `/\d\d?`},
		{`/[^/]+/b`, `/.*/b`, `/a/[^b]`, `/a/./?`},
		{`/a\b.*`, `/a.*`, `.*\B/.*`, `.*b$.*`},
	} {
		got, whole := samples(`/[a-c0-1/]*`, patterns)
		if !whole {
			t.Errorf("%q is not whole", patterns)
		}
		matched := func(text string) string {
			var b strings.Builder
			for _, p := range patterns {
				b.WriteByte("01"[boolean(regexp.MustCompile(`^(?:`+p+`)$`).MatchString(text))])
			}
			return b.String()
		}
		known := map[string]bool{}
		for _, text := range got {
			if known[matched(text)] {
				t.Errorf("%q: two samples of %s: %q", patterns, matched(text), got)
			}
			known[matched(text)] = true
		}
		texts := []string{"/"}
		for len(texts) < 60000 && len(texts[0]) < 7 {
			for _, c := range "abc01/" {
				texts = append(texts, texts[0]+string(c))
			}
			if !known[matched(texts[0])] {
				t.Fatalf("%q: no sample for %q: %q", patterns, texts[0], got)
			}
			texts = texts[1:]
		}
	}
}

func TestSamplesAreBounded(t *testing.T) {
	var patterns []string
	for c := 'a'; c <= 'z'; c++ {
		patterns = append(patterns, ".*"+string(c)+".*")
	}
	if got, whole := samples(`.*`, patterns); whole || len(got) == 0 {
		t.Errorf("%d samples, whole: %v", len(got), whole)
	}
}
