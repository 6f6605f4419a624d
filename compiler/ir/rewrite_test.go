package ir

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// TestTwoRewritesAreOne rewrites random paths by a gateway's route and then by the service's own, one after the other,
// and by the one match and the one pattern that stand for both: both ways take the same paths, and make the same of
// them.
func TestTwoRewritesAreOne(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	path := func() string {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			b.WriteString([]string{"/a", "/b", "/ab", "/"}[r.IntN(4)])
		}
		return strings.ReplaceAll(strings.ReplaceAll(b.String(), "//", "/"), "//", "/")
	}
	match := func() PathMatch {
		switch r.IntN(5) {
		case 0:
			return PathMatch{}
		case 1, 2:
			return PathMatch{MatchExact, path()}
		}
		return PathMatch{MatchPrefix, path()}
	}
	taken := 0
	for range 200_000 {
		gateway := &Route{Match: Match{Path: match()}, Rewrite: &Rewrite{Path: &PathRewrite{Prefix: path()}}}
		own := &Route{Match: Match{Path: match()}, Rewrite: &Rewrite{Path: &PathRewrite{Prefix: path()}}}
		sent := path()
		first, inside := step(t, gateway, sent)
		want, both := step(t, own, first)
		both = inside && both
		p, possible := gateway.PathRewrite().Preimage(gateway.Match.Path, own.Match.Path)
		if got := possible && matches(t, gateway.Match.Path, sent) && matches(t, p.Match, sent); got != both {
			t.Fatalf("%+v to %s, then %+v, takes %s: %v, want %v (%+v)",
				gateway.Match.Path, gateway.Rewrite.Path.Prefix, own.Match.Path, sent, got, both, p)
		}
		if !both {
			continue
		}
		taken++
		pattern, substitution, _ := RewrittenPath([]*Route{gateway, own})
		if got := regexp.MustCompile(pattern).ReplaceAllLiteralString(sent, substitution); got != want {
			t.Fatalf("%+v to %s, then %+v to %s, makes %s of %s, want %s", gateway.Match.Path, gateway.Rewrite.Path.Prefix,
				own.Match.Path, own.Rewrite.Path.Prefix, got, sent, want)
		}
	}
	if taken < 10_000 {
		t.Errorf("%d paths were taken by two routes", taken)
	}
}

// step is a path that a route has rewritten; false if the route does not take it.
func step(t *testing.T, r *Route, path string) (string, bool) {
	t.Helper()
	if !matches(t, r.Match.Path, path) {
		return "", false
	}
	pattern, substitution := r.PathRewrite().Regex(r.Match.Path)
	return regexp.MustCompile(pattern).ReplaceAllLiteralString(path, substitution), true
}

func matches(t *testing.T, m PathMatch, path string) bool {
	t.Helper()
	switch m.Kind {
	case MatchExact:
		return path == m.Value
	case MatchPrefix:
		return strings.HasPrefix(path, m.Value)
	case MatchRegex:
		return regexp.MustCompile("^(?:" + m.Value + ")$").MatchString(path)
	}
	return true
}
