package envoy

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

// takesPlaintext reports whether connections without TLS are let in on the port.
func (b *builder) takesPlaintext(port *ir.Port) bool { return b.scope.Service.TakesPlaintext(port) }

// silentFor is how long a permissive port below HTTP waits for the first bytes of a connection, by which it is told
// from mutual TLS. A proxy of the mesh sends its own at once. Who sends none waits for the application to speak
// first, and is a caller without an identity.
const silentFor = time.Second

// tellTLS has a listener of these ports look whether a connection begins with TLS, where a filter chain asks.
func (b *builder) tellTLS(l *listenerv3.Listener, chains []*listenerv3.FilterChain, ports ...ir.Port) {
	some, asks := false, map[uint32]bool{}
	for _, c := range chains {
		m := c.GetFilterChainMatch()
		number, one := m.GetDestinationPort().GetValue(), m.GetTransportProtocol() != ""
		some, asks[number] = some || one, asks[number] || one
	}
	if !some {
		return
	}
	filter := b.tlsInspector()
	filter.FilterDisabled = exceptPorts(asks)
	l.ListenerFilters = append(l.ListenerFilters, filter)
	if slices.ContainsFunc(ports, func(p ir.Port) bool { return b.takesPlaintext(&p) && !p.Protocol.IsHTTP() }) {
		l.ListenerFiltersTimeout, l.ContinueOnListenerFiltersTimeout = durationpb.New(silentFor), true
	}
}

// exceptPorts turns a listener filter off for connections to the ports that do not ask for it: what comes there is
// not waited for. Nil where all ask.
func exceptPorts(asks map[uint32]bool) *listenerv3.ListenerFilterChainMatchPredicate {
	var off []*listenerv3.ListenerFilterChainMatchPredicate
	for _, number := range slices.Sorted(maps.Keys(asks)) {
		if !asks[number] {
			off = append(off, &listenerv3.ListenerFilterChainMatchPredicate{
				Rule: &listenerv3.ListenerFilterChainMatchPredicate_DestinationPortRange{
					DestinationPortRange: &typev3.Int32Range{Start: int32(number), End: int32(number) + 1},
				},
			})
		}
	}
	switch len(off) {
	case 0:
		return nil
	case 1:
		return off[0]
	}
	return &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_OrMatch{
		OrMatch: &listenerv3.ListenerFilterChainMatchPredicate_MatchSet{Rules: off},
	}}
}

// plaintext is what the TLS inspector takes a connection without TLS for, and withTLS one with it.
const (
	plaintext = "raw_buffer"
	withTLS   = "tls"
)

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
	chain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: withTLS}
	switch {
	case len(probes) > 0:
		return []*listenerv3.FilterChain{chain, b.probes(number, probes)}
	case !port.Protocol.IsHTTP():
		return append([]*listenerv3.FilterChain{chain}, b.plaintextBytes(chain, port)...)
	}
	name := inboundName(port.Name)
	m := b.inboundRequests(port, b.inboundHosts(name, name, port), b.scope.ForeignHeaders)
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE
	m.SetCurrentClientCertDetails = nil
	plain := &listenerv3.FilterChain{
		Name: plaintextName(port), TransportSocketConnectTimeout: durationpb.New(headersTimeout),
		FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: plaintext},
		Filters:          []*listenerv3.Filter{b.networkFilter(hcmFilter, m)},
	}
	return []*listenerv3.FilterChain{chain, plain}
}

func plaintextName(port *ir.Port) string { return inboundName(port.Name) + " plaintext" }

// closedName is that of the filter chain which ends connections that would come to another one.
func closedName(chain string) string { return chain + " closed" }

// plaintextBytes are the filter chains of connections without an identity to a port below HTTP, beside that of mutual
// TLS. That one has what names the service as proxies of the mesh do (SNI), so that TLS of applications themselves is
// plaintext here, except where callers of other trust domains may come, whose proxies write what they like.
//
// From where a connection may come is asked before the application is told of it, as it may speak first.
func (b *builder) plaintextBytes(mutual *listenerv3.FilterChain, port *ir.Port) []*listenerv3.FilterChain {
	match := &listenerv3.FilterChainMatch{}
	if peers := b.peers(port); slices.ContainsFunc(peers, func(p ir.Peer) bool { return b.foreign(&p) }) {
		match.TransportProtocol = plaintext
	} else {
		mutual.FilterChainMatch.ServerNames = []string{b.scope.Service.QualifiedName()}
	}
	name := plaintextName(port)
	lets, refuses := b.scope.Service.PlaintextFrom(port)
	chain := &listenerv3.FilterChain{
		Name: name, FilterChainMatch: match,
		Filters: append(b.networkRBAC(port), b.tcpProxy(name, b.application(port), nil,
			b.scope.Service.LastHop.OpenIdleTimeout, append(b.auditLog(port, networkRBACFilter),
				b.accountsConnections(b.coming(serverTCP, port))...)...)),
	}
	chain.FilterChainMatch.SourcePrefixRanges = cidrRanges(lets)
	out := []*listenerv3.FilterChain{chain}
	if len(refuses) > 0 {
		shut := b.closed(closedName(name))
		shut.FilterChainMatch = &listenerv3.FilterChainMatch{
			TransportProtocol: match.TransportProtocol, SourcePrefixRanges: cidrRanges(refuses),
		}
		out = append(out, shut)
	}
	return out
}

func cidrRanges(list []netip.Prefix) []*corev3.CidrRange {
	var out []*corev3.CidrRange
	for _, p := range list {
		out = append(out, cidr(p))
	}
	return out
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
