package envoy

import (
	"net/http"
	"slices"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// httpPathFilter is the filter of [builder.normalPaths].
const httpPathFilter = httpRBACFilter + ".path"

// dotsWithParameters are beginnings of segments that Envoy takes for "." and ".." when it normalises a path, but
// not where the dots were escaped: "/%2e;/admin" becomes "/.;/admin", and that "/admin" where it is normalised next.
// Of what Envoy makes of a path nothing else changes when it is normalised again.
var dotsWithParameters = [...]string{"/.;", "/..;"}

// makePathsNormal has a connection manager normalise paths, and refuse what is not normal then, and methods with
// [smallLetters]: what rules and routes judge is what the application reads.
func (b *builder) makePathsNormal(m *hcmv3.HttpConnectionManager) {
	m.NormalizePath, m.MergeSlashes = wrapperspb.Bool(true), true
	m.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_REJECT_REQUEST
	m.HttpFilters = slices.Insert(m.HttpFilters, 0, b.normalPaths())
	m.LocalReplyConfig.Mappers = slices.Insert(m.LocalReplyConfig.Mappers, 0, refusedPaths(),
		badRequest(headerMatch(smallLetters)))
}

// normalPaths refuses requests whose path or method the next proxy, or the application, would read in another way. It
// looks at paths that are normalised, and comes before all other filters.
func (b *builder) normalPaths() *hcmv3.HttpFilter {
	var paths []*rbacconfigv3.Permission
	for _, dots := range dotsWithParameters {
		paths = append(paths, &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_UrlPath{
			UrlPath: &matcherv3.PathMatcher{
				Rule: &matcherv3.PathMatcher_Path{
					Path: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Contains{Contains: dots}},
				},
			},
		}})
	}
	return b.refuses(httpPathFilter, map[string]*rbacconfigv3.Permission{
		"path":   anyOf(paths),
		"method": header(smallLetters),
	})
}

// refusedPaths has the answer to what [builder.normalPaths] refuses be 400, as to all other paths that are refused
// for their form.
func refusedPaths() *hcmv3.ResponseMapper {
	return badRequest(headerMatch(ir.StringMatch{Name: ":path", Kind: ir.MatchRegex, Value: `[^?]*/\.\.?;.*`}))
}

// badRequest has the 403 of a proxy to requests with that header be 400. Other answers of it stay, such as 431 where
// it has not read all headers.
func badRequest(has *routev3.HeaderMatcher) *hcmv3.ResponseMapper {
	return &hcmv3.ResponseMapper{
		Filter: everyFilter(
			withStatus(accesslogv3.ComparisonFilter_EQ, http.StatusForbidden, "meshc.status"), withHeader(has),
		),
		StatusCode: wrapperspb.UInt32(http.StatusBadRequest),
	}
}
