package gatewayapi

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

var routeReasons = map[string]string{ // #nosec G101 -- fields
	"useDefaultGateways":                      "a route names its gateways",
	"rules[].sessionPersistence":              "requests of the same hash stay at an instance: loadBalancer: policy: ring-hash",
	"rules[].filters[].externalAuth":          "mesh.externalAuthorization names who is asked, and a service or gateway names it: externalAuthorization. The route answers 500",
	"rules[].filters[].extensionRef":          "it is an extension of another implementation. The route answers 500",
	"rules[].backendRefs[].filters":           "what is done to a request is done for a whole route",
	"rules[].filters[].cors.allowHeaders":     "the language names the headers that pages may send: cors: headers",
	"rules[].filters[].cors.allowCredentials": "any web page could send requests with its visitor's cookies: name the origins",
	"rules[].filters[].requestMirror":         "a route has one mirror",
	"rules[].retry.codes":                     "the language retries 5xx, or 502, 503 and 504: retries: on",
}

// candidate is a match of a route's rule, with what decides whether it comes before others.
type candidate struct {
	object *importer.Object
	rule   int
	rank   rank
	// listeners are those that it is for, by their names; nil for all.
	listeners []string
	routes    []*spec.Route // one, or two that are for a path and all below it
}

// rank is how specific a match is (HTTPRouteRule and GRPCRouteRule, "matches").
type rank struct {
	kind    int // of the path: exact, regex, prefix; or gRPC
	path    int // characters
	service int
	name    int
	method  bool
	headers int
	query   int
}

// ordered are the routes in their order of precedence: by the match, then the older route, then the one whose
// name comes first, then as the rules stand.
func (m *reader) ordered(candidates []*candidate) []*spec.Route {
	slices.SortStableFunc(candidates, func(a, b *candidate) int {
		return cmp.Or(
			b.rank.compare(a.rank),
			a.object.Metadata.CreationTimestamp.Compare(b.object.Metadata.CreationTimestamp.Time),
			strings.Compare(a.object.Metadata.Namespace+"/"+a.object.Metadata.Name,
				b.object.Metadata.Namespace+"/"+b.object.Metadata.Name),
			cmp.Compare(a.rule, b.rule),
		)
	})
	var out []*spec.Route
	for _, c := range candidates {
		reached := 0
		for _, r := range c.routes {
			importer.At(r, c.listeners)
			if importer.IsHidden(out, r.Match) {
				continue
			}
			out = append(out, r)
			reached++
		}
		if reached == 0 {
			m.NotCarried(c.object, "routes before it take all its requests", "spec", "rules", strconv.Itoa(c.rule))
		}
	}
	return out
}

func (r rank) compare(other rank) int {
	bit := map[bool]int{true: 1}
	return cmp.Or(
		cmp.Compare(r.kind, other.kind), cmp.Compare(r.path, other.path),
		cmp.Compare(r.service, other.service), cmp.Compare(r.name, other.name),
		cmp.Compare(bit[r.method], bit[other.method]),
		cmp.Compare(r.headers, other.headers), cmp.Compare(r.query, other.query),
	)
}

// candidates are the matches of a route; at is the service in whose routes they will stand, nil for a
// gateway, whose requests come in at the edge.
func (m *reader) candidates(o *importer.Object, at *importer.Service, in edge) []*candidate {
	var out []*candidate
	var d gatewayv1.HTTPRouteSpec
	var calls [][]gatewayv1.GRPCRouteMatch
	if o.Kind == "GRPCRoute" {
		var g gatewayv1.GRPCRouteSpec
		if !m.Decode(o, "spec", &g) {
			return nil
		}
		d, calls = asHTTP(&g)
	} else if !m.Decode(o, "spec", &d) {
		return nil
	}
	d.ParentRefs, d.Hostnames = nil, nil
	for i := range d.Rules {
		r := &d.Rules[i]
		where := []string{"spec", "rules", strconv.Itoa(i)}
		var matches []*matched
		if calls != nil {
			for n := range calls[i] {
				matches = append(matches,
					m.call(o, &calls[i][n], append(slices.Clone(where), "matches", strconv.Itoa(n))))
			}
		} else {
			for n := range r.Matches {
				matches = append(matches,
					m.match(o, &r.Matches[n], append(slices.Clone(where), "matches", strconv.Itoa(n))))
			}
			r.Matches = nil
		}
		if len(matches) == 0 {
			matches = []*matched{{matches: []*spec.Match{nil}, rank: rank{path: 1}}}
		}
		action := m.action(o, r, at, in, where)
		for _, match := range matches {
			if match == nil || action == nil {
				continue
			}
			c := &candidate{object: o, rule: i, rank: match.rank, listeners: in.listeners}
			for _, one := range match.matches {
				r := action(one)
				if m.habits.OnRoute != nil {
					m.habits.OnRoute(o, r)
				}
				c.routes = append(c.routes, r)
			}
			out = append(out, c)
		}
	}
	m.Left(o, "spec", &d, routeReasons)
	return out
}

// asHTTP is a route of gRPC as one of HTTP, but for what it matches.
func asHTTP(g *gatewayv1.GRPCRouteSpec) (gatewayv1.HTTPRouteSpec, [][]gatewayv1.GRPCRouteMatch) {
	d := gatewayv1.HTTPRouteSpec{CommonRouteSpec: g.CommonRouteSpec, Hostnames: g.Hostnames}
	calls := [][]gatewayv1.GRPCRouteMatch{}
	filters := func(list []gatewayv1.GRPCRouteFilter) []gatewayv1.HTTPRouteFilter {
		var out []gatewayv1.HTTPRouteFilter
		for _, f := range list {
			out = append(out, gatewayv1.HTTPRouteFilter{
				Type: gatewayv1.HTTPRouteFilterType(f.Type), RequestHeaderModifier: f.RequestHeaderModifier,
				ResponseHeaderModifier: f.ResponseHeaderModifier, RequestMirror: f.RequestMirror,
				ExtensionRef: f.ExtensionRef,
			})
		}
		return out
	}
	for _, r := range g.Rules {
		h := gatewayv1.HTTPRouteRule{
			Name: r.Name, Filters: filters(r.Filters),
			SessionPersistence: r.SessionPersistence,
		}
		for _, b := range r.BackendRefs {
			h.BackendRefs = append(h.BackendRefs, gatewayv1.HTTPBackendRef{
				BackendRef: b.BackendRef,
				Filters:    filters(b.Filters),
			})
		}
		d.Rules = append(d.Rules, h)
		calls = append(calls, r.Matches)
	}
	return d, calls
}
