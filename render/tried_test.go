package render_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// untold are fields of a route of which meshc try says nothing, by their beginnings, with the reason. It says who
// answers a request and with what, where it goes and as what, and how long is waited and how often is tried.
var untold = map[string]string{
	"cors.credentials":     "it is what browsers are told in the answer",
	"cors.exposeHeaders":   "it is what browsers are told in the answer",
	"cors.headers":         "it is what browsers are told in the answer",
	"cors.maxAge":          "it is what browsers are told in the answer",
	"cors.methods":         "it is what browsers are told in the answer",
	"headers.request":      "headers are not told; rules and routes behind the route are judged by them",
	"headers.response":     "headers of the answer are the application's, and not told",
	"idleTimeout":          "it ends requests on which nothing moves, and a request that is asked about moves",
	"telemetry":            "it is what is reported of requests, and nothing is done to them",
	"rateLimit.requests":   "that there is a limit is told; whether it is reached depends on other requests",
	"retries.backoff.base": "it is how long is waited between two tries, not how many there are",
	"retries.backoff.max":  "it is how long is waited between two tries, not how many there are",
	"retries.budget":       "it depends on the other requests in flight",
	"retries.hedge":        "it is when the next try begins, not how many there are",
}

// whyUntold is the reason why nothing is said of a field; empty where something must be.
func whyUntold(field string) string {
	for beginning, reason := range untold {
		if field == beginning || strings.HasPrefix(field, beginning+".") {
			return reason
		}
	}
	return ""
}

// TestRouteFieldsChangeWhatTrySays makes each change of a field of a route that TestFieldsTakeEffect makes, and wants
// meshc try to say something else of one of some requests.
func TestRouteFieldsChangeWhatTrySays(t *testing.T) {
	unit := evaluated(t, everything)
	all := sites(readDefinitions(t), unit)
	r := &trials{t: t, base: unit, mesh: compiled(t, everything), made: transplants(t, all)}
	said := map[string]bool{}
	for _, s := range all {
		field, inRoute := strings.CutPrefix(s.field, "services.[].routes.[].")
		c := r.change(s)
		if !inRoute || c == nil || !slices.Equal(s.path[:4], []string{"services", "a", "routes", "0"}) {
			continue
		}
		to := c.target(s, r.base)
		before, unset, found := r.meshWithout(c, to)
		if found.HasErrors() {
			continue
		}
		if after, found := r.meshWith(c, to, unset); !found.HasErrors() {
			said[field] = said[field] || tried(t, before) != tried(t, after)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(said)) {
		switch reason := whyUntold(field); {
		case !said[field] && reason == "":
			t.Errorf("meshc try says the same, whatever is in %s of a route: have it tell the field, or add it to untold with the reason", field)
		case said[field] && reason != "":
			t.Errorf("meshc try tells %s, which is in untold", field)
		}
	}
}

// tried is what meshc try says of some requests that routes of everything take.
func tried(t *testing.T, m *ir.Mesh) string {
	t.Helper()
	var all []any
	add := func(method, path string, headers ...ir.Header) {
		request := try.Request{
			From: try.Sender{Kind: ir.KindGateway, Name: "g"}, Method: method, Scheme: "http", Host: "shop.example",
			Port: 8080, Path: path, Headers: headers,
		}
		trial, err := try.Try(m, request)
		if err != nil {
			t.Fatal(err)
		}
		for i := range trial.Steps {
			trial.Steps[i].Pos.Line, trial.Steps[i].Pos.Column = 0, 0
		}
		outcomes, _, err := try.Outcomes(m, request)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, trial, outcomes)
	}
	for _, path := range []string{"/one", "/two", "/one?x-a=1", "/a.B/C", "/a.B/D", "/a/x"} {
		add("GET", path)
		add("POST", path)
		add("GET", path, ir.Header{Name: "x-a", Value: "1"})
		add("GET", path, ir.Header{Name: "x-a", Value: "11"}, ir.Header{Name: "origin", Value: "https://a.example"})
		add("OPTIONS", path, ir.Header{Name: "origin", Value: "https://a.example"},
			ir.Header{Name: "access-control-request-method", Value: "PUT"},
			ir.Header{Name: "access-control-request-headers", Value: "x-a"})
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
