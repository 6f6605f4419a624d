package ir

import (
	"regexp"
	"testing"
)

// TestLeaves says of rewrites which paths would leave the new beginning.
func TestLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		match         PathMatch
		rewrite       PathRewrite
		leaves, stays []string
	}{
		"prefix": {
			PathMatch{MatchPrefix, "/static"},
			PathRewrite{Prefix: "/files"},
			[]string{"/static..", "/static../a", "/static.", "/static..;/a"},
			[]string{"/static", "/static/a", "/static...", "/statics/../a", "/x/static../a"},
		},
		"prefix that ends with a slash": {PathMatch{MatchPrefix, "/static/"}, PathRewrite{Prefix: "/files/"}, nil, []string{"/static/../a"}},
		"to one that ends with a slash": {
			PathMatch{MatchPrefix, "/static"},
			PathRewrite{Prefix: "/"},
			[]string{"/static..", "/static../a"},
			[]string{"/static", "/static/a"},
		},
		"group":             {PathMatch{}, PathRewrite{Pattern: "^/api(.*)$", Substitution: `/v2/\1`}, []string{"/api..", "/api../x"}, []string{"/api", "/api/x", "/api.x"}},
		"after slash":       {PathMatch{}, PathRewrite{Pattern: "^/api/(.*)$", Substitution: `/v2/\1`}, nil, []string{"/api/.x"}},
		"group of segments": {PathMatch{}, PathRewrite{Pattern: "^/api(/[^/]+)$", Substitution: `/v2\1`}, nil, []string{"/api..", "/api/x"}},
		"second group": {
			PathMatch{},
			PathRewrite{Pattern: "^/(en|de)([^/]*)/(.*)$", Substitution: `/site/\2/\3`},
			[]string{"/en../a", "/de.;/a"},
			[]string{"/en/a", "/enx/a"},
		},
		"rest":            {PathMatch{}, PathRewrite{Pattern: "^/v[0-9]+", Substitution: "/api"}, []string{"/v1../x", "/v22."}, []string{"/v1/x", "/vx../x"}},
		"rest of a class": {PathMatch{}, PathRewrite{Pattern: "^/[^/]+", Substitution: "/api"}, nil, []string{"/a./b", "/file."}},
		"whole":           {PathMatch{}, PathRewrite{Pattern: "^/old/.*$", Substitution: "/new"}, nil, []string{"/old/x.", "/old/../x"}},
		"optional end":    {PathMatch{}, PathRewrite{Pattern: "^/a/?x*", Substitution: "/b/"}, []string{"/a../x", "/axx../x"}, []string{"/a/x"}},
		"anywhere":        {PathMatch{}, PathRewrite{Pattern: "x", Substitution: ""}, nil, []string{"/.x./a"}},
	} {
		pattern, possible := Leaves([]*Route{{Match: Match{Path: c.match}, Rewrite: &Rewrite{Path: &c.rewrite}}})
		re := regexp.MustCompile("^(?:" + pattern + ")$")
		for _, path := range c.leaves {
			if !possible || !re.MatchString(path) {
				t.Errorf("%s: %s is not told by %s", name, path, pattern)
			}
		}
		for _, path := range c.stays {
			if possible && re.MatchString(path) {
				t.Errorf("%s: %s is told by %s", name, path, pattern)
			}
		}
	}
}
