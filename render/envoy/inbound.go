package envoy

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	directresponsev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/direct_response/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// everywhere is that port at every address of the member's host.
func (b *builder) everywhere(port uint16) *corev3.Address {
	if b.member.Proxy.Family == ir.IPv4 {
		return address("0.0.0.0", port)
	}
	a := address("::", port)
	a.GetSocketAddress().Ipv4Compat = b.member.Proxy.Family == ""
	return a
}

// inbound are the listeners for calls to the service. With redirection it is one
// for all ports, told apart by the port that the connection was made to, and any
// other port is closed; without, one on each port.
func (b *builder) inbound() {
	s := b.scope.Service
	redirected := asks(&listenerv3.Listener{
		Name:               inboundListener,
		Address:            b.everywhere(s.Proxy.InboundPort),
		TrafficDirection:   corev3.TrafficDirection_INBOUND,
		ListenerFilters:    []*listenerv3.ListenerFilter{b.originalDestination()},
		DefaultFilterChain: b.closed(inboundListener),
		Metadata:           positionMetadata(s.Pos),
	}, &s.LastHop)
	for i := range s.Ports {
		port := &s.Ports[i]
		chains := b.inboundChains(port)
		if s.Proxy.Interception == ir.InterceptExplicit {
			l := asks(&listenerv3.Listener{
				Name:             inboundName(port.Name),
				Address:          b.inboundAddress(port),
				TrafficDirection: corev3.TrafficDirection_INBOUND,
				FilterChains:     chains,
				AccessLog:        b.refusedAt(port),
				Metadata:         positionMetadata(port.Pos),
			}, &s.LastHop)
			b.tellTLS(l, chains, *port)
			b.out.Listeners = append(b.out.Listeners, l)
			continue
		}
		redirected.FilterChains = append(redirected.FilterChains, forPort(port.Target, chains)...)
	}
	if s.Proxy.Interception == ir.InterceptRedirect {
		redirected.FilterChains = append(redirected.FilterChains, b.probesElsewhere()...)
		redirected.AccessLog = b.refusedBehind(s.Ports)
		b.tellTLS(redirected, redirected.FilterChains, s.Ports...)
		b.out.Listeners = append(b.out.Listeners, redirected)
	}
	b.health()
}

// forPort makes the filter chains those of connections to that port.
func forPort(port uint16, chains []*listenerv3.FilterChain) []*listenerv3.FilterChain {
	for _, chain := range chains {
		if chain.FilterChainMatch == nil {
			chain.FilterChainMatch = &listenerv3.FilterChainMatch{}
		}
		chain.FilterChainMatch.DestinationPort = wrapperspb.UInt32(uint32(port))
	}
	return chains
}

// closed ends every connection before it reads a byte.
func (b *builder) closed(name string) *listenerv3.FilterChain {
	return &listenerv3.FilterChain{
		Name:    name,
		Filters: []*listenerv3.Filter{b.networkFilter(directResponseFilter, &directresponsev3.Config{})},
	}
}

// inboundAddress is where a proxy without redirection listens: at its own
// endpoint's address, or for an instance that is not known at all of them.
func (b *builder) inboundAddress(port *ir.Port) *corev3.Address {
	if e := b.host(); e != nil {
		return address(e.Address, e.Ports[port.Name])
	}
	return b.everywhere(port.Number)
}

// host is the proxy's own endpoint where the mesh places its listeners by it; nil in a
// pod, which has its address to itself.
func (b *builder) host() *ir.Endpoint {
	if b.scope.Service == nil || b.scope.Service.Workload.InCluster() {
		return nil
	}
	return b.endpoint
}

// target is where the application listens on the proxy's host.
func (b *builder) target(port *ir.Port) uint16 {
	if e := b.host(); e != nil && e.Targets[port.Name] != 0 {
		return e.Targets[port.Name]
	}
	return port.Target
}

// inboundChain lets in what the rules allow, over mutual TLS, and hands it to
// the application.
//
// Below HTTP the handshake itself is for the allowed callers alone, and without
// any the port is closed: the rules are only asked when the caller has sent
// something, and an application that speaks first has told it all by then.
func (b *builder) inboundChain(port *ir.Port) *listenerv3.FilterChain {
	revoked := b.revokedOn(port)
	callers := removeRevoked(b.callers(port), byListener(revoked))
	name := inboundName(port.Name)
	if !port.Protocol.IsHTTP() && len(callers) == 0 {
		return b.closed(closedName(name))
	}
	cluster := b.application(port)
	chain := &listenerv3.FilterChain{Name: name, TransportSocketConnectTimeout: durationpb.New(headersTimeout)}
	if !port.Protocol.IsHTTP() {
		chain.TransportSocket = b.downstreamTLS(callers)
		chain.Filters = slices.Concat(
			[]*listenerv3.Filter{b.oneIdentity(name)}, b.revokedFilter(name, revoked), b.networkRBAC(port),
			[]*listenerv3.Filter{b.tcpProxyOnceKnown(name, cluster, append(b.auditLog(port, networkRBACFilter),
				b.accountsConnections(b.coming(serverTCP, port))...)...)},
		)
		return chain
	}
	hosts := b.inboundHosts(name, cluster, port)
	b.out.Routes = append(b.out.Routes, normalRoutes(name, hosts...))
	m := b.inboundRequests(port, hosts, b.scope.Settings.ForwardedHeaders(b.scope.Service, port))
	b.endsOld(m)
	b.pings(m)
	idleByCaller(m)
	b.takes(m, b.member.Proxy.Requests.Inside())
	chain.TransportSocket = b.downstreamTLS(b.members(port), "h2", "http/1.1")
	chain.Filters = slices.Concat(
		[]*listenerv3.Filter{b.oneIdentity(name)}, b.revokedFilter(name, revoked),
		[]*listenerv3.Filter{b.networkFilter(hcmFilter, m)},
	)
	return chain
}

// inboundRequests reads the requests to a port, and drops those headers of them.
func (b *builder) inboundRequests(port *ir.Port, hosts []*routev3.VirtualHost,
	dropped []string,
) *hcmv3.HttpConnectionManager {
	name := inboundName(port.Name)
	filters := slices.Concat(b.tokens(port), b.httpRBAC(), b.externalAuthorization(b.scope.Service.Authorizer),
		b.filtersOf(hosts))
	m := b.connectionManager(name, filters...)
	b.tokensAfterForms(m, port)
	b.tellsUnanswered(m, port.Protocol)
	behindAProxy(m)
	takeUpgrades(m, port)
	b.takes(m, b.member.Proxy.Requests)
	b.dropHeaders(m, dropped)
	m.AccessLog = append(b.auditLog(port, httpRBACFilter), b.accounts(b.coming(serverHTTP, port), hosts)...)
	b.traces(m, b.coming(serverHTTP, port))
	// The application learns who calls from its own proxy and from nobody else.
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET
	m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{Uri: true}
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: ads(), RouteConfigName: name}}
	return m
}

// inboundHosts send every request on a port to the application, with the rules
// that it must please. The rules stand in the routes, which connections that are
// open take over when they change; a changed listener would leave those with the
// old rules.
func (b *builder) inboundHosts(name, cluster string, port *ir.Port) []*routev3.VirtualHost {
	route := &routev3.Route{
		Name: name, Metadata: positionMetadata(port.Pos), Match: pathMatch(ir.PathMatch{}),
		// The caller's proxy bounds the time.
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
			Timeout:          durationpb.New(0),
			RetryPolicy:      onceMore(port),
		}},
	}
	b.routeRules(route, port)
	b.limitService(route, port)
	return []*routev3.VirtualHost{{
		Name: name, Domains: []string{"*"}, Metadata: positionMetadata(port.Pos),
		Routes: []*routev3.Route{route},
	}}
}
