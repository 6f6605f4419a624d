package local

import (
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// rewritesMesh takes beginnings of paths away at a gateway, in front of a service, and at both.
const rewritesMesh = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: a: {workload: deployment: "a", uses: b: {}}
services: b: {
	workload: deployment: "b"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: {services: ["a"], gateways: ["g"]}}]
	routes: [
		{match: path: prefix: "/static", rewrite: path: prefix: "/files"},
		{match: path: prefix: "/dir", rewrite: path: prefix: "/files/"},
	]
}
gateways: g: {
	listeners: http: port: 8080
	routes: [{match: path: prefix: "/out", rewrite: path: prefix: "/static/", to: [{service: "b"}]}, {to: [{service: "b"}]}]
	uses: b: {}
}
`

// patternsMesh rewrites by patterns, in front of a service.
const patternsMesh = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: a: {workload: deployment: "a", uses: b: {}}
services: b: {
	workload: deployment: "b"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: {services: ["a"], gateways: ["g"]}}]
	routes: [
		{match: path: prefix: "/group", rewrite: path: regex: {pattern: "^/group(.*)$", substitution: "/files/\\1"}},
		{match: path: prefix: "/rest", rewrite: path: regex: {pattern: "^/rest[0-9]*", substitution: "/files"}},
	]
}
gateways: g: {listeners: http: port: 8080, routes: [{to: [{service: "b"}]}], uses: b: {}}
`

// TestRewritesKeepTheirPrefix sends random paths that are rewritten: what the application is asked for is below the
// new prefix, to whoever reads it, and compiler/try says the same. MESHC_PATHS is how many, and MESHC_SEED what they
// are made of.
func TestRewritesKeepTheirPrefix(t *testing.T) {
	paths, seed := trytest.Amount(os.Getenv("MESHC_PATHS"), 150), trytest.Seed(t)
	for name, spec := range map[string]string{"beginnings": rewritesMesh, "patterns": patternsMesh} {
		t.Run(name, func(t *testing.T) { rewritesKeepTheirPrefix(t, spec, paths/2, seed) })
	}
}

func rewritesKeepTheirPrefix(t *testing.T, spec string, paths int, seed uint64) {
	m := inline(t, map[string]string{"mesh.cue": spec})
	begins := []string{"/static", "/dir", "/out", "/st%61tic"}
	if spec == patternsMesh {
		begins = []string{"/group", "/rest7", "/gr%6fup", "/rest"}
	}
	ways := pathWays(t, start(t, m))[1:] // a service's own proxy rewrites nothing
	g := &trytest.Random{Rand: rand.New(rand.NewPCG(seed, 0))}
	rests := []string{
		"", "/", "../other", "..", "./other", ".", "..;/other", ".;a", "%2e%2e/other", "%2E./x", "...",
		"..x", "/../other", "x/y", "/x", "..?q=/../x", "?q=..", `..\other`, "%2e;/x",
	}
	below := regexp.MustCompile(`^/files([^.]|\.[^./;]|\.\.[^/;]|$)`)
	dots := regexp.MustCompile(`/\.\.?([/;]|$)`)
	reached, refused := 0, 0
	for i := range paths {
		begin := begins[i%4]
		path := begin + g.Path()[g.IntN(2):]
		if i/4 < len(rests) {
			path = begin + rests[i/4]
		}
		for _, way := range ways {
			got, ok := way.ask(path, false)
			if !ok {
				continue
			}
			trial, err := try.Try(m, try.Request{
				From: way.from, Method: "GET", Scheme: "http", Host: "b",
				Port: way.port, Path: path,
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := wantedOf(trial); got != want {
				t.Errorf("%s, %q: %s, and try says %s", way.name, path, got, want)
			}
			asked, _, _ := strings.Cut(got, "?")
			switch {
			case !strings.HasPrefix(got, "/"):
				refused++
				continue
			case dots.MatchString(asked):
				t.Errorf("%s, %q: the application is asked for %q, which is not normal", way.name, path, got)
			case rewrites(trial) && !below.MatchString(asked):
				t.Errorf("%s, %q: the application is asked for %q, which is not below /files", way.name, path, got)
			}
			reached++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d requests reached the application, %d were refused", reached, refused)
	if reached < paths/4 || refused < paths/10 {
		t.Error("that proves little")
	}
}

func rewrites(trial *try.Trial) bool {
	return slices.ContainsFunc(trial.Steps,
		func(s try.Step) bool { return strings.HasPrefix(s.Does, "rewrites the path") })
}

// behindRewrites takes prefixes away at a gateway, in front of routes of the service.
const behindRewrites = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: a: {workload: deployment: "a", uses: b: {}}
services: b: {
	workload: deployment: "b"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: {services: ["a"], gateways: ["g"]}}]
	routes: [
		{match: path: exact: "/api/v1", rewrite: path: prefix: "/version"},
		{match: path: prefix: "/api/v1/", rewrite: path: prefix: "/files/"},
		{match: path: prefix: "/b", rewrite: path: prefix: "/other/"},
	]
}
gateways: g: {
	listeners: http: port: 8080
	routes: [
		{match: path: exact: "/one", rewrite: path: prefix: "/api/v1/x", to: [{service: "b"}]},
		{match: path: prefix: "/strip", rewrite: path: prefix: "/", to: [{service: "b"}]},
		{match: path: prefix: "/deep", rewrite: path: prefix: "/api/", to: [{service: "b"}]},
		{match: path: prefix: "/long", rewrite: path: prefix: "/api/v1/more/", to: [{service: "b"}]},
	]
	uses: b: {}
}
`

// TestServiceRoutesBehindARewrite sends requests to a gateway that rewrites their paths: the service's own routes take
// them by the new path, whether a slash stands behind the old prefix or not.
func TestServiceRoutesBehindARewrite(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": behindRewrites})
	ways := pathWays(t, start(t, m))
	for sent, want := range map[string]string{
		"/one":             "/files/x",
		"/strip":           "/",
		"/strip/c":         "/c",
		"/strip/b":         "/other/",
		"/stripb":          "/other/",
		"/strip/b/c?q=1":   "/other/c?q=1",
		"/strip/api/v1":    "/version",
		"/strip/api/v1/x":  "/files/x",
		"/deep/v1":         "/version",
		"/deep/v1?q=1":     "/version?q=1",
		"/deepv1":          "/version",
		"/deep/v1/x":       "/files/x",
		"/deep/./v1/x/../": "/files/",
		"/deep/v2":         "/api/v2",
		"/long":            "/files/more/",
		"/long/x":          "/files/more/x",
	} {
		trial, err := try.Try(m, try.Request{
			From: ways[1].from, Method: "GET", Scheme: "http", Host: "b", Port: 8080, Path: sent,
		})
		if err != nil {
			t.Fatal(err)
		}
		if said := wantedOf(trial); said != want {
			t.Errorf("%s: try says that the application is asked for %s, want %s", sent, said, want)
		}
		for _, way := range []pathWay{ways[1], ways[3]} {
			if got, ok := way.ask(sent, false); !ok || got != want {
				t.Errorf("%s, %s: the application is asked for %s, want %s", way.name, sent, got, want)
			}
		}
	}
}
