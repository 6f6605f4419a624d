package envoy

import (
	"net/http"
	"slices"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	mtlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/rbac/principals/mtls_authenticated/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
)

// clientRules are the filters of a gateway's rules. Both are always there and off: the rules stand in the routes of a
// listener, so that they hold for connections that are open when they change.
func (b *builder) clientRules(l *ir.Listener) []*hcmv3.HttpFilter {
	if l.RedirectTo != "" {
		return nil
	}
	filters := b.httpRBAC()
	for _, f := range filters {
		f.Disabled = true
	}
	return slices.Concat(b.knownClients(l), b.tokens(l.Door()), filters)
}

// ruledRoutes put the rules of a listener, and the bounds on its requests, into its routes. What no route takes gets a
// route too: no filter of rules is asked about a request that has none.
func (b *builder) ruledRoutes(routes *routev3.RouteConfiguration, l *ir.Listener) {
	g, door := b.scope.Gateway, l.Door()
	if l.RedirectTo != "" || !g.AsksAll() {
		return
	}
	var allowed *rbacconfigv3.RBAC
	if g.Closed {
		allowed = b.allowed(door)
	}
	routes.TypedPerFilterConfig = map[string]*anypb.Any{}
	allow, deny := b.requestRules(door, allowed, b.denied(door))
	if allow.Rbac.Rules != nil || allow.Rbac.ShadowRules != nil {
		routes.TypedPerFilterConfig[httpRBACFilter] = b.any(allow)
	}
	if deny != nil {
		routes.TypedPerFilterConfig[httpDenyFilter] = b.any(deny)
	}
	b.limitClients(routes)
	for _, host := range routes.VirtualHosts {
		none := answering(series.UnroutedRoute, nil, l.Pos, &ir.DirectResponse{Status: http.StatusNotFound})
		host.Routes = append(host.Routes, none.Routes...)
	}
}

// clientAudit is [builder.auditLog] of a listener.
func (b *builder) clientAudit(l *ir.Listener) []*accesslogv3.AccessLog {
	switch {
	case l.RedirectTo != "":
		return nil
	case l.To != nil:
		return b.auditLog(l.Door(), networkRBACFilter)
	}
	return b.auditLog(l.Door(), httpRBACFilter)
}

// clients are those of a gateway that a rule is about: by a certificate that was verified or a secret of theirs, and by
// the address that the listener takes for theirs.
func (b *builder) clients(r *ir.Rule) []*rbacconfigv3.Principal {
	var out []*rbacconfigv3.Principal
	for i := range r.From {
		switch p := &r.From[i]; p.Kind {
		case ir.KindCertificate:
			out = append(out, b.shows(p.SAN()))
		case ir.KindClient:
			out = append(out, isClient(p.Pattern))
		default:
			out = append(out, &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_Any{Any: true}})
		}
	}
	if len(r.IPRanges) == 0 {
		return out
	}
	return []*rbacconfigv3.Principal{allIDs([]*rbacconfigv3.Principal{
		anyID(out), addresses(r.IPRanges, asForwarded),
	})}
}

// shows is who has shown a certificate with such a name. Names of one kind are compared with those alone, while a
// principal by its name would take a DNS name, or the subject, for a URI.
func (b *builder) shows(san ir.SAN) *rbacconfigv3.Principal {
	config := &mtlsv3.Config{AnyValidatedClientCertificate: true}
	if san.Kind != "" {
		kind, value := tlsv3.SubjectAltNameMatcher_URI, &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Exact{Exact: san.Value},
		}
		switch {
		case san.Kind == "DNS":
			kind = tlsv3.SubjectAltNameMatcher_DNS
		case san.Below:
			value.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: san.Value}
		}
		config = &mtlsv3.Config{SanMatcher: &tlsv3.SubjectAltNameMatcher{SanType: kind, Matcher: value}}
	}
	return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_Custom{Custom: &corev3.TypedExtensionConfig{
		Name: "envoy.rbac.principals.mtls_authenticated", TypedConfig: b.any(config),
	}}}
}

// ruledConnections has the rules of a gateway hold for the connections of a listener below HTTP. From where one may
// come is asked before the service is told of it, as it may speak first.
func (b *builder) ruledConnections(chain *listenerv3.FilterChain, l *ir.Listener) []*listenerv3.FilterChain {
	g := b.scope.Gateway
	if !g.Ruled() {
		return []*listenerv3.FilterChain{chain}
	}
	lets, refuses := g.ClientsFrom(l)
	if len(lets) == 0 {
		chain.Filters = b.closed(chain.Name).Filters
		chain.TransportSocket = nil
		return []*listenerv3.FilterChain{chain}
	}
	out := []*listenerv3.FilterChain{chain}
	if len(refuses) > 0 {
		shut := b.closed(join(chain.Name, "refused"))
		shut.FilterChainMatch = &listenerv3.FilterChainMatch{SourcePrefixRanges: cidrRanges(refuses)}
		if m := chain.FilterChainMatch; m != nil {
			shut.FilterChainMatch.ServerNames = m.ServerNames
			shut.FilterChainMatch.DirectSourcePrefixRanges = m.DirectSourcePrefixRanges
		}
		out = append(out, shut)
	}
	if chain.FilterChainMatch == nil {
		chain.FilterChainMatch = &listenerv3.FilterChainMatch{}
	}
	chain.FilterChainMatch.SourcePrefixRanges = cidrRanges(lets)
	return out
}

// auditedConnections is the filter of rules that are only audited, of a listener below HTTP: those that are enforced
// stand in the matches of its filter chains.
func (b *builder) auditedConnections(l *ir.Listener) []*listenerv3.Filter {
	var out []*listenerv3.Filter
	for _, kind := range []struct {
		action               rbacconfigv3.RBAC_Action
		filter, name, prefix string
	}{
		{rbacconfigv3.RBAC_DENY, networkRBACDenyFilter, gatewayName(l.Name) + ".deny", auditDeny},
		{rbacconfigv3.RBAC_ALLOW, networkRBACFilter, gatewayName(l.Name), auditAllow},
	} {
		if rules := b.audited(kind.action, l.Door()); rules != nil {
			out = append(out, b.networkFilter(kind.filter, &networkrbacv3.RBAC{
				StatPrefix: kind.name, ShadowRules: rules, ShadowRulesStatPrefix: kind.prefix,
			}))
		}
	}
	return out
}
