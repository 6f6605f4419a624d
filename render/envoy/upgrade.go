package envoy

import (
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

// withUpgrades puts in front of each route that sends requests on one for each protocol that they may be upgraded to,
// on which neither time nor tries are bounded. Between proxies an upgrade goes by HTTP/1.1 ([ir.Forms.HTTP1]).
func withUpgrades(routes []*routev3.Route, upgrades []string) []*routev3.Route {
	if len(upgrades) == 0 {
		return routes
	}
	var out []*routev3.Route
	for _, r := range routes {
		if r.GetRoute() == nil {
			out = append(out, r)
			continue
		}
		for _, upgrade := range upgrades {
			upgraded := proto.CloneOf(r)
			upgraded.Name = join(r.Name, upgrade)
			upgraded.Match.Headers = append(upgraded.Match.Headers, &routev3.HeaderMatcher{
				Name: "upgrade",
				HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{
					MatchPattern: &matcherv3.StringMatcher_Exact{Exact: upgrade}, IgnoreCase: true,
				}},
			})
			action := upgraded.GetRoute()
			action.Timeout, action.MaxStreamDuration, action.RetryPolicy, action.HedgePolicy = durationpb.New(0), nil,
				nil, nil
			action.UpgradeConfigs = []*routev3.RouteAction_UpgradeConfig{{UpgradeType: upgrade}}
			out = append(out, upgraded)
		}
		out = append(out, r)
	}
	return out
}

// upgrades reports whether some route of the host takes upgrades.
func upgrades(host *routev3.VirtualHost) bool {
	return slices.ContainsFunc(host.Routes, func(r *routev3.Route) bool {
		return len(r.GetRoute().GetUpgradeConfigs()) > 0
	})
}

// upstreamOf is a callee by its name.
func (b *builder) upstreamOf(service string) *ir.Upstream { return b.scope.Upstreams[service] }

// takeUpgrades lets an inbound port's connections be upgraded. Callers whose proxies have an older configuration send
// an upgrade as an extended CONNECT of HTTP/2 (RFC 8441).
func takeUpgrades(m *hcmv3.HttpConnectionManager, port *ir.Port) {
	ignoreUpgrades(m, port.Upgrades)
	for _, upgrade := range port.Upgrades {
		m.UpgradeConfigs = append(m.UpgradeConfigs, &hcmv3.HttpConnectionManager_UpgradeConfig{UpgradeType: upgrade})
		m.Http2ProtocolOptions.AllowConnect = true
	}
}
