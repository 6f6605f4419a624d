package envoy

import (
	"net/http"
	"slices"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
)

// dotsWithParameters are beginnings of segments that Envoy takes for "." and ".." when it normalises a path, but
// not where the dots were escaped: "/%2e;/admin" becomes "/.;/admin", and that "/admin" where it is normalised next.
// Of what Envoy makes of a path nothing else changes when it is normalised again.
const dotsWithParameters = `/\.\.?;`

// refusedRoute is the name of the routes of requests that a proxy answers with 400, for their form.
const refusedRoute = series.RefusedRoute

// makePathsNormal has a connection manager normalise paths: what rules and routes judge is what the application reads.
// Its routes are those of [normalRoutes], which refuse what is not normal then.
func makePathsNormal(m *hcmv3.HttpConnectionManager) {
	m.NormalizePath, m.MergeSlashes = wrapperspb.Bool(true), true
	m.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_REJECT_REQUEST
	m.LocalReplyConfig.Mappers = slices.Insert(m.LocalReplyConfig.Mappers, 0, badForms(http.StatusForbidden)...)
}

// badForms have a status of a proxy's answer to requests that [refusals] are for be 400.
func badForms(status uint32) []*hcmv3.ResponseMapper {
	return []*hcmv3.ResponseMapper{
		badRequestFor(status, headerMatch(ir.StringMatch{
			Name: ":path", Kind: ir.MatchRegex, Value: `[^?]*` + dotsWithParameters + `.*`,
		})),
		badRequestFor(status, headerMatch(smallLetters)),
	}
}

// tokensAfterForms has requests that are refused for their form get 400 whether their tokens, keys and passwords are
// good or not, on a port where some are asked for.
func (b *builder) tokensAfterForms(m *hcmv3.HttpConnectionManager, port *ir.Port) {
	if len(b.guards().TokenIssuers(port)) > 0 || b.scope.Gateway != nil && len(b.scope.Gateway.Clients) > 0 {
		m.LocalReplyConfig.Mappers = slices.Insert(m.LocalReplyConfig.Mappers, 0, badForms(http.StatusUnauthorized)...)
	}
}

// normalRoutes are the routes of a connection manager that normalises paths. Those of each host begin with two that
// refuse requests whose path or method the next proxy, or the application, would read in another way, and so do those
// of all other hosts: a route costs the other requests far less than a filter does. Rules stand in routes, and what
// none is written for is denied; that answer is made the same by [badRequest].
func normalRoutes(name string, hosts ...*routev3.VirtualHost) *routev3.RouteConfiguration {
	if any := func(h *routev3.VirtualHost) bool { return slices.Contains(h.Domains, "*") }; len(hosts) > 0 &&
		!slices.ContainsFunc(hosts, any) {
		hosts = append(slices.Clip(hosts), otherHosts(hosts[0].Metadata))
	}
	for _, host := range hosts {
		host.Routes = slices.Concat(refusals(host.Metadata), host.Routes)
	}
	return routesOf(name, hosts...)
}

// otherHosts is the virtual host of all hosts that no other one is for. It has no route besides those of [refusals].
func otherHosts(position *corev3.Metadata) *routev3.VirtualHost {
	return &routev3.VirtualHost{Name: refusedRoute, Domains: []string{"*"}, Metadata: position}
}

// refusals have the position of their host.
func refusals(position *corev3.Metadata) []*routev3.Route {
	path := &routev3.RouteMatch{
		PathSpecifier: &routev3.RouteMatch_SafeRegex{SafeRegex: re2(`.*` + dotsWithParameters + `.*`)},
		// It is compared first, and few paths have it.
		Headers: []*routev3.HeaderMatcher{{Name: ":path", HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{
			StringMatch: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Contains{Contains: "/."}},
		}}},
	}
	method := &routev3.RouteMatch{
		PathSpecifier: &routev3.RouteMatch_Prefix{},
		Headers:       []*routev3.HeaderMatcher{headerMatch(smallLetters)},
	}
	var out []*routev3.Route
	for _, m := range []*routev3.RouteMatch{path, method} {
		out = append(out, &routev3.Route{
			Name: refusedRoute, Match: m, Metadata: position,
			Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
				Status: http.StatusBadRequest,
			}},
		})
	}
	return out
}

// badRequest has the 403 of a proxy to requests with that header be 400. Other answers of it stay, such as 431 where
// it has not read all headers.
func badRequest(has *routev3.HeaderMatcher) *hcmv3.ResponseMapper {
	return badRequestFor(http.StatusForbidden, has)
}

func badRequestFor(status uint32, has *routev3.HeaderMatcher) *hcmv3.ResponseMapper {
	return &hcmv3.ResponseMapper{
		Filter: everyFilter(
			withStatus(accesslogv3.ComparisonFilter_EQ, status, "meshc.status"), withHeader(has),
		),
		StatusCode: wrapperspb.UInt32(http.StatusBadRequest),
	}
}
