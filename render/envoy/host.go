package envoy

import (
	"regexp"
	"slices"

	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// routesOf are the routes of hosts. The port that a request names with its host chooses none of them, and arrives:
// signatures of requests and addresses in answers are made of both.
func routesOf(name string, hosts ...*routev3.VirtualHost) *routev3.RouteConfiguration {
	return &routev3.RouteConfiguration{
		Name: name, VirtualHosts: hosts, IgnorePortInHostMatching: true, ValidateClusters: wrapperspb.Bool(false),
		ResponseHeadersToRemove: []string{unansweredHeader, unansweredStatus, heldStatus}, // between proxies
	}
}

// httpHostFilter is the filter of [builder.wantsHost].
const httpHostFilter = httpRBACFilter + ".host"

// onAnyPort is a match of the header host that holds for the host alone as it does with the port.
func onAnyPort(m ir.StringMatch) ir.StringMatch {
	switch m.Kind {
	case ir.MatchExact:
		m.Kind, m.Value = ir.MatchRegex, regexp.QuoteMeta(m.Value)+ir.AuthorityPort
	case ir.MatchSuffix:
		m.Kind, m.Value = ir.MatchRegex, ".*"+regexp.QuoteMeta(m.Value)+ir.AuthorityPort
	case ir.MatchRegex:
		m.Value = "(?:" + m.Value + ")" + ir.AuthorityPort
	}
	return m
}

// wantsHost answers 400 to requests that name no host, or several: Envoy joins two headers "host" with a comma, and an
// application could take either (RFC 9112, section 3.2). The next proxy would refuse others, such as "a@b", as
// malformed.
func (b *builder) wantsHost(m *hcmv3.HttpConnectionManager) {
	host := ir.StringMatch{Name: ":authority", Kind: ir.MatchRegex, Value: ir.Authority}
	filter := b.refuses(httpHostFilter, map[string]*rbacconfigv3.Permission{
		"no host": {Rule: &rbacconfigv3.Permission_NotRule{NotRule: header(host)}},
	})
	m.HttpFilters = slices.Insert(m.HttpFilters, 0, filter)
	other := headerMatch(host)
	other.InvertMatch, other.TreatMissingHeaderAsEmpty = true, true
	m.LocalReplyConfig.Mappers = append(m.LocalReplyConfig.Mappers, badRequest(other))
}
