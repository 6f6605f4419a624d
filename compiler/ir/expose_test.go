package ir_test

import (
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// An entry covers a route as a whole or not at all.
func TestAllowedRoutesCover(t *testing.T) {
	exact := func(path string) ir.PathMatch { return ir.PathMatch{Kind: ir.MatchExact, Value: path} }
	prefix := func(path string) ir.PathMatch { return ir.PathMatch{Kind: ir.MatchPrefix, Value: path} }
	regex := func(path string) ir.PathMatch { return ir.PathMatch{Kind: ir.MatchRegex, Value: path} }
	for _, c := range []struct {
		hosts, paths []string
		host         string
		path         ir.PathMatch
		covers       bool
	}{
		{[]string{"a.example"}, nil, "a.example", ir.PathMatch{}, true},
		{[]string{"a.example"}, nil, "a.example", regex(".*"), true},
		{[]string{"a.example"}, nil, "b.example", ir.PathMatch{}, false},
		{[]string{"a.example"}, nil, "*.a.example", ir.PathMatch{}, false},
		{[]string{"a.example"}, nil, "", ir.PathMatch{}, false},
		{[]string{"*"}, nil, "", ir.PathMatch{}, true},
		{[]string{"*"}, nil, "*.a.example", ir.PathMatch{}, true},
		{[]string{"*.a.example"}, nil, "", ir.PathMatch{}, false},
		{[]string{"*.a.example"}, nil, "a.example", ir.PathMatch{}, false},
		{[]string{"*.a.example"}, nil, "b.a.example", ir.PathMatch{}, true},
		{[]string{"*.a.example"}, nil, "*.b.a.example", ir.PathMatch{}, true},
		{[]string{"*.a.example"}, nil, "*.example", ir.PathMatch{}, false},
		{[]string{"b.example", "a.example"}, []string{"/b", "/a/*"}, "a.example", prefix("/a/"), true},
		{[]string{"a.example"}, []string{"/a/*"}, "a.example", prefix("/a/b"), true},
		{[]string{"a.example"}, []string{"/a/*"}, "a.example", exact("/a/"), true},
		{[]string{"a.example"}, []string{"/a/*"}, "a.example", exact("/a"), false},
		{[]string{"a.example"}, []string{"/a/*"}, "a.example", prefix("/a"), false},
		{[]string{"a.example"}, []string{"/a/*"}, "a.example", prefix("/"), false},
		{[]string{"a.example"}, []string{"/a/*"}, "a.example", ir.PathMatch{}, false},
		{[]string{"a.example"}, []string{"/a/*"}, "a.example", regex("/a/b"), false},
		{[]string{"a.example"}, []string{"/a"}, "a.example", exact("/a"), true},
		{[]string{"a.example"}, []string{"/a"}, "a.example", prefix("/a"), false},
		{[]string{"a.example"}, []string{"/*"}, "a.example", ir.PathMatch{}, true},
		{[]string{"a.example"}, []string{"/*"}, "a.example", regex(".*"), true},
	} {
		a := ir.AllowedRoutes{Hosts: c.hosts, Paths: c.paths}
		if got := a.Covers(&ir.Match{Host: c.host, Path: c.path}); got != c.covers {
			t.Errorf("%q %q and %q %q: %v", c.hosts, c.paths, c.host, c.path, got)
		}
	}
}
