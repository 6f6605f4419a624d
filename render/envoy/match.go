package envoy

import (
	"cmp"
	"regexp"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// match is which requests a route takes. The host is left to virtual hosts.
func match(m *ir.Match) *routev3.RouteMatch {
	out := pathMatch(m.Path)
	if m.Method != "" {
		out.Headers = append(out.Headers,
			headerMatch(ir.StringMatch{Name: ":method", Kind: ir.MatchExact, Value: m.Method}))
	}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, headerMatch(h))
	}
	for _, q := range m.Query {
		out.QueryParameters = append(out.QueryParameters, queryMatch(q))
	}
	return out
}

// both takes the requests that a and b take; false when there are none. Envoy
// matches one path for each route, so b's is put as a match of the pseudo header
// ":path", which has the query behind it.
func both(a, b *ir.Match) (*routev3.RouteMatch, bool) {
	if a.Method != "" && b.Method != "" && a.Method != b.Method {
		return nil, false
	}
	m := *a
	m.Method = cmp.Or(a.Method, b.Method)
	m.Headers = slices.Concat(a.Headers, b.Headers)
	m.Query = slices.Concat(a.Query, b.Query)
	if a.Path == (ir.PathMatch{}) || a.Path == (ir.PathMatch{Kind: ir.MatchPrefix, Value: "/"}) {
		m.Path = b.Path
		return match(&m), true
	}
	switch b.Path.Kind {
	case ir.MatchExact:
		m.Headers = append(m.Headers, ir.StringMatch{
			Name: ":path", Kind: ir.MatchRegex,
			Value: regexp.QuoteMeta(b.Path.Value) + query,
		})
	case ir.MatchRegex:
		m.Headers = append(m.Headers, ir.StringMatch{
			Name: ":path", Kind: ir.MatchRegex,
			Value: "(?:" + b.Path.Value + ")" + query,
		})
	case ir.MatchPrefix:
		m.Headers = append(m.Headers, ir.StringMatch{Name: ":path", Kind: ir.MatchPrefix, Value: b.Path.Value})
	}
	return match(&m), true
}

// query is what may stand behind a path.
const query = `(?:\?.*)?`

func pathMatch(p ir.PathMatch) *routev3.RouteMatch {
	switch p.Kind {
	case ir.MatchExact:
		return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: p.Value}}
	case ir.MatchRegex:
		return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_SafeRegex{SafeRegex: re2(p.Value)}}
	case ir.MatchPrefix:
		return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: p.Value}}
	}
	return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
}

func headerMatch(m ir.StringMatch) *routev3.HeaderMatcher {
	if m.Name == "host" {
		m = onAnyPort(m)
	}
	out := &routev3.HeaderMatcher{Name: m.Name}
	switch m.Kind {
	case ir.MatchPresent, ir.MatchAbsent:
		out.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}
		out.InvertMatch = m.Kind == ir.MatchAbsent
	default:
		out.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: stringMatch(m)}
		out.InvertMatch, out.TreatMissingHeaderAsEmpty = m.Invert, m.Invert
	}
	return out
}

func queryMatch(m ir.StringMatch) *routev3.QueryParameterMatcher {
	out := &routev3.QueryParameterMatcher{Name: m.Name}
	switch m.Kind {
	case ir.MatchPresent, ir.MatchAbsent:
		out.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_PresentMatch{
			PresentMatch: m.Kind == ir.MatchPresent,
		}
	default:
		out.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: stringMatch(m)}
	}
	return out
}

func stringMatch(m ir.StringMatch) *matcherv3.StringMatcher {
	switch m.Kind {
	case ir.MatchPrefix:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: m.Value}}
	case ir.MatchSuffix:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: m.Value}}
	case ir.MatchRegex:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: re2(m.Value)}}
	default:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: m.Value}}
	}
}

// re2 matches a whole string; Envoy matches regular expressions so by itself.
func re2(expression string) *matcherv3.RegexMatcher {
	return &matcherv3.RegexMatcher{Regex: expression}
}
