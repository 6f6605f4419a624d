package diff

import (
	"regexp"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
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

// TestPatternsThatCannotBeRead puts what is not a regular expression into a mesh.json, as no compiler does: what it
// would match is not known, so diff must not say that it has looked at all.
func TestPatternsThatCannotBeRead(t *testing.T) {
	if got, whole := samples(`.*`, []string{"a", "("}); whole || len(got) != 2 {
		t.Errorf("samples %q, whole: %v", got, whole)
	}
	before := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": felt}).Mesh
	for name, broken := range map[string]func(*ir.Match){
		"path": func(m *ir.Match) { m.Path = ir.PathMatch{Kind: ir.MatchRegex, Value: "/("} },
		"header": func(m *ir.Match) {
			m.Headers = []ir.StringMatch{{Name: "x-env", Kind: ir.MatchRegex, Value: "(?<"}}
		},
		"query": func(m *ir.Match) { m.Query = []ir.StringMatch{{Name: "q", Kind: ir.MatchRegex, Value: "a{2000}"}} },
	} {
		after := before.Clone()
		broken(&after.Service("b").Routes[0].Match)
		if d := Of(before, after); len(d.Missed) == 0 {
			t.Errorf("a %s that cannot be read: all was tried", name)
		}
	}
}
