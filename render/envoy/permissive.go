package envoy

import (
	"slices"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

// takesPlaintext reports whether connections without TLS are let in on the port.
func (b *builder) takesPlaintext(port *ir.Port) bool {
	return b.scope.Service.Plaintext && port.Protocol.IsHTTP()
}

// tellTLS has a listener look whether a connection begins with TLS, where one of its
// filter chains asks.
func (b *builder) tellTLS(chains []*listenerv3.FilterChain) []*listenerv3.ListenerFilter {
	if !slices.ContainsFunc(chains, func(c *listenerv3.FilterChain) bool {
		return c.GetFilterChainMatch().GetTransportProtocol() == plaintext
	}) {
		return nil
	}
	return []*listenerv3.ListenerFilter{b.tlsInspector()}
}

// plaintext is what the TLS inspector takes a connection without TLS for.
const plaintext = "raw_buffer"

// inboundChains are the filter chains of a port: one for mutual TLS, and, where the
// service lets connections in without it, one for those. Who comes by that has no
// identity, and what such requests say of one is dropped.
func (b *builder) inboundChains(port *ir.Port) []*listenerv3.FilterChain {
	if port.Open {
		return []*listenerv3.FilterChain{b.openChain(port)}
	}
	chain := b.inboundChain(port)
	number := b.scope.Service.InstancePort(port)
	probes := b.scope.Service.ProbesOf(number)
	if !b.takesPlaintext(port) && len(probes) == 0 {
		return []*listenerv3.FilterChain{chain}
	}
	chain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls"}
	if len(probes) > 0 {
		return []*listenerv3.FilterChain{chain, b.probes(number, probes)}
	}
	name := inboundName(port.Name)
	m := b.inboundRequests(port, b.inboundHosts(name, name, port), b.scope.ForeignHeaders)
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE
	m.SetCurrentClientCertDetails = nil
	plain := &listenerv3.FilterChain{
		Name: name + " plaintext", TransportSocketConnectTimeout: durationpb.New(headersTimeout),
		FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: plaintext},
		Filters:          []*listenerv3.Filter{b.networkFilter(hcmFilter, m)},
	}
	return []*listenerv3.FilterChain{chain, plain}
}

// openChain hands the bytes of an open port to the application, where its connections come to
// the proxy at all.
func (b *builder) openChain(port *ir.Port) *listenerv3.FilterChain {
	name := inboundName(port.Name)
	return &listenerv3.FilterChain{Name: name, Metadata: positionMetadata(port.Pos), Filters: []*listenerv3.Filter{
		b.tcpProxy(name, b.application(port), nil, b.scope.Service.LastHop.OpenIdleTimeout,
			b.accountsConnections(b.unguarded(port))...),
	}}
}
