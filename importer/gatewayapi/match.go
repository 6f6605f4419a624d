package gatewayapi

import (
	"regexp"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// matched is what a match says: two matches for a path and all below it.
type matched struct {
	matches []*spec.Match
	rank    rank
}

const tooMany = "the route is left out, as it would take more requests than it did"

// The kinds of path, by precedence. The specification leaves the place of a regular expression open.
const (
	byPrefix = iota
	byRegex
	byExact
)

// match is a match of an HTTPRoute; nil when it cannot be said.
func (m *reader) match(o *importer.Object, d *gatewayv1.HTTPRouteMatch, at []string) *matched {
	out := &matched{rank: rank{path: 1}}
	base := spec.Match{}
	if method := d.Method; method != nil {
		base.Method, out.rank.method = spec.Written(string(*method)), true
	}
	for _, h := range d.Headers {
		name := strings.ToLower(string(h.Name))
		if _, twice := base.Headers[name]; twice {
			continue // only the first counts
		}
		value := text(h.Value, string(valueOr(h.Type, gatewayv1.HeaderMatchExact)))
		if value == nil {
			m.NotCarried(o, tooMany, append(at, "headers")...)
			return nil
		}
		put(&base.Headers, name, value)
	}
	for _, q := range d.QueryParams {
		if _, twice := base.Query[string(q.Name)]; twice {
			continue
		}
		value := text(q.Value, string(valueOr(q.Type, gatewayv1.QueryParamMatchExact)))
		if value == nil {
			m.NotCarried(o, tooMany, append(at, "queryParams")...)
			return nil
		}
		put(&base.Query, string(q.Name), value)
	}
	out.rank.headers, out.rank.query = len(base.Headers), len(base.Query)
	paths := []*spec.PathMatch{nil}
	if p := d.Path; p != nil {
		value := valueOr(p.Value, "/")
		out.rank.path = len(value)
		switch valueOr(p.Type, gatewayv1.PathMatchPathPrefix) {
		case gatewayv1.PathMatchExact:
			out.rank.kind, paths = byExact, []*spec.PathMatch{{Exact: spec.Written(value)}}
		case gatewayv1.PathMatchRegularExpression:
			out.rank.kind, paths = byRegex, []*spec.PathMatch{{Regex: spec.Written(value)}}
		case gatewayv1.PathMatchPathPrefix:
			out.rank.path = max(1, len(strings.TrimRight(value, "/")))
			if value = strings.TrimRight(value,
				"/"); value != "" { // whole segments, with or without a slash at the end
				paths = []*spec.PathMatch{{Exact: spec.Written(value)}, {Prefix: spec.Written(value + "/")}}
			}
		default:
			m.NotCarried(o, tooMany, append(at, "path")...)
			return nil
		}
	}
	for _, p := range paths {
		one := base
		one.Path = p
		if p == nil && !base.Method.IsSet() && base.Headers == nil && base.Query == nil {
			out.matches = append(out.matches, nil)
			continue
		}
		out.matches = append(out.matches, &one)
	}
	return out
}

func put(into *map[string]*spec.StringMatch, name string, value *spec.StringMatch) {
	if *into == nil {
		*into = map[string]*spec.StringMatch{}
	}
	(*into)[name] = value
}

// text matches a header or a query parameter.
func text(value, kind string) *spec.StringMatch {
	switch kind {
	case "Exact":
		return &spec.StringMatch{Exact: spec.Written(value)}
	case "RegularExpression":
		return &spec.StringMatch{Regex: spec.Written(value)}
	}
	return nil
}

// call is a match of a GRPCRoute; nil when it cannot be said.
func (m *reader) call(o *importer.Object, d *gatewayv1.GRPCRouteMatch, at []string) *matched {
	out := &matched{}
	match := &spec.Match{}
	if c := d.Method; c != nil {
		service, method := valueOr(c.Service, ""), valueOr(c.Method, "")
		out.rank.service, out.rank.name = len(service), len(method)
		if valueOr(c.Type, gatewayv1.GRPCMethodMatchExact) == gatewayv1.GRPCMethodMatchRegularExpression {
			match.Path = &spec.PathMatch{Regex: spec.Written("/" + segment(service) + "/" + segment(method))}
		} else if service+method != "" {
			match.GRPC = &spec.GRPCMatch{}
			if service != "" {
				match.GRPC.Service = spec.Written(service)
			}
			if method != "" {
				match.GRPC.Method = spec.Written(method)
			}
			if service == "" { // a method of any service
				match.GRPC, match.Path = nil, &spec.PathMatch{Regex: spec.Written("/[^/]+/" + regexp.QuoteMeta(method))}
			}
		}
	}
	for _, h := range d.Headers {
		value := text(h.Value, string(valueOr(h.Type, gatewayv1.GRPCHeaderMatchExact)))
		if value == nil {
			m.NotCarried(o, tooMany, append(at, "headers")...)
			return nil
		}
		if _, twice := match.Headers[strings.ToLower(string(h.Name))]; !twice {
			put(&match.Headers, strings.ToLower(string(h.Name)), value)
		}
	}
	out.rank.headers = len(match.Headers)
	if match.GRPC == nil && match.Path == nil && match.Headers == nil {
		match = nil
	}
	out.matches = []*spec.Match{match}
	return out
}

// segment is a regular expression for a part of a path, any when there is none.
func segment(regex string) string {
	if regex == "" {
		return "[^/]+"
	}
	return "(?:" + regex + ")"
}

// Ranked is which requests a route takes, nil for all, and which of two routes takes them.
type Ranked struct {
	*spec.Match
	rank rank
}

// Compare is above zero where a request that both take is this one's, and zero where the age or the names of the routes
// decide.
func (r Ranked) Compare(other Ranked) int { return r.rank.compare(other.rank) }

// Matches are the requests that an HTTPRoute or a GRPCRoute is for, whatever its parents are. What cannot be said is
// told. Its hosts are the caller's.
func Matches(mesh *importer.Mesh, o *importer.Object) []Ranked {
	m := &reader{Mesh: mesh}
	var out []Ranked
	for _, c := range m.candidates(o, nil, edge{}) {
		for _, r := range c.routes {
			out = append(out, Ranked{r.Match, c.rank})
		}
	}
	return out
}
