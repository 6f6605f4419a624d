package envoy

import (
	"slices"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	proxyProtocolFilter  = "envoy.filters.listener.proxy_protocol"
	headerMutationFilter = "envoy.filters.http.header_mutation"
)

// origin is who makes the connections of a filter chain.
type origin int

const (
	anyone  origin = iota
	proxies        // those in front of the listener, at the addresses that it trusts
	others         // whoever connects from elsewhere
)

// origins are those of which a listener has filter chains. Envoy tells them apart by where a connection comes from,
// whatever the PROXY protocol says, and closes what no chain is for.
func origins(l *ir.Listener) []origin {
	switch {
	case len(l.Clients.TrustedCIDRs) == 0:
		return []origin{anyone}
	case l.Clients.ProxyProtocol:
		return []origin{proxies}
	}
	return []origin{proxies, others}
}

// gatewayChains take the connections of one of the spec's listeners.
func (b *builder) gatewayChains(l *ir.Listener) []*listenerv3.FilterChain {
	var out []*listenerv3.FilterChain
	for _, from := range origins(l) {
		chain := b.gatewayChain(l, from)
		comesFrom(chain, l, from)
		if l.To != nil {
			out = append(out, b.ruledConnections(chain, l)...)
			continue
		}
		out = append(out, chain)
	}
	return out
}

// comesFrom has a filter chain of a listener be for connections of that origin alone.
func comesFrom(chain *listenerv3.FilterChain, l *ir.Listener, from origin) {
	switch from {
	case others:
		chain.Name = join(chain.Name, "others")
	case proxies:
		if chain.FilterChainMatch == nil {
			chain.FilterChainMatch = &listenerv3.FilterChainMatch{}
		}
		for _, p := range l.Clients.TrustedCIDRs {
			chain.FilterChainMatch.DirectSourcePrefixRanges = append(chain.FilterChainMatch.DirectSourcePrefixRanges,
				cidr(p))
		}
	}
}

// beforeGateway is what reads the beginning of a connection to a port before a filter chain is chosen for it.
func (b *builder) beforeGateway(list []*ir.Listener) []*listenerv3.ListenerFilter {
	var out []*listenerv3.ListenerFilter
	if slices.ContainsFunc(list, func(l *ir.Listener) bool { return l.Clients.ProxyProtocol }) {
		out = append(out, &listenerv3.ListenerFilter{
			Name:       proxyProtocolFilter,
			ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: b.any(&proxyprotocolv3.ProxyProtocol{})},
		})
	}
	if slices.ContainsFunc(list, (*ir.Listener).BySNI) {
		out = append(out, b.tlsInspector())
	}
	return out
}

// trustedHops are the proxies of HTTP in front of a listener, for connections of that origin.
func trustedHops(l *ir.Listener, from origin) uint32 {
	if from == others {
		return 0
	}
	return l.Clients.NumTrustedHops
}

// clientAddress has a gateway learn where the client is, and say it in x-forwarded-for: its address alone, whatever
// others wrote there. Other headers in which they say so are dropped.
func (b *builder) clientAddress(m *hcmv3.HttpConnectionManager, l *ir.Listener, from origin) {
	m.XffNumTrustedHops = trustedHops(l, from)
	m.SkipXffAppend = true // Envoy would append the proxy in front, and its own address for a client on this host
	dropped := ir.EdgeHeaders
	if m.XffNumTrustedHops == 0 {
		dropped = slices.Concat(dropped, ir.ForeignProxyHeaders)
		b.early(m, theClient())
	}
	b.dropHeaders(m, dropped)
}

// clientFilter says where the client is once Envoy has read what trusted proxies say of it, before other filters read
// that; nothing where the connection tells.
func (b *builder) clientFilter(l *ir.Listener, from origin) []*hcmv3.HttpFilter {
	if trustedHops(l, from) == 0 {
		return nil
	}
	return []*hcmv3.HttpFilter{b.httpFilter(headerMutationFilter, &headermutationv3.HeaderMutation{
		Mutations: &headermutationv3.Mutations{RequestMutations: []*mutationv3.HeaderMutation{theClient()}},
	})}
}

// theClient writes the address that Envoy takes for the client's.
func theClient() *mutationv3.HeaderMutation {
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Append{
		Append: overwriting(ir.ClientHeader, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
	}}
}
