package envoy

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

// egressName is what a caller's proxy names in the handshake with a gateway to mean
// a port of an external.
func egressName(e *ir.External, port *ir.Port) string { return port.Name + "." + e.Name + ".egress" }

// via sends the connections of an external's cluster through its gateway, over
// mutual TLS that accepts the gateway's identity alone.
func (b *builder) via(
	c *clusterv3.Cluster, e *ir.External, port *ir.Port, idle ir.Duration,
	judged *httpv3.HttpProtocolOptions_OutlierDetection,
) {
	var alpn []string
	if port.Protocol.IsHTTP() {
		alpn = []string{"h2"}
		b.httpOptions(c, streamErrors(&corev3.Http2ProtocolOptions{}), idle,
			b.judge(b.renewed(throughAProxy(&httpv3.HttpProtocolOptions{})), judged, port.Protocol))
	}
	c.TransportSocket = b.upstreamTLSTo(e.Via.Identity, egressName(e, port), alpn...)
	b.byName(c, e.Via.Host, e.Via.Port)
}

// egress takes the calls of members to externals: a filter chain for each port of
// each, told apart by the name in the handshake, which is for its callers alone.
func (b *builder) egress() {
	g := b.scope.Gateway
	if g.Egress == nil {
		return
	}
	out := asks(&listenerv3.Listener{
		Name: egressListener, Address: b.gatewayAddress(g.Egress.Port),
		TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		ListenerFilters:  []*listenerv3.ListenerFilter{b.tlsInspector()}, DefaultFilterChain: b.closed(egressListener),
		Metadata: positionMetadata(g.Pos),
	}, &ir.LastHop{})
	for _, leaving := range g.Egress.Externals {
		e := b.scope.Externals[leaving.Name]
		if len(leaving.Callers) == 0 {
			continue
		}
		var callers []*matcherv3.StringMatcher
		for _, p := range leaving.Callers {
			callers = append(callers, exactly(p.Identity))
		}
		for _, name := range b.use(e.Name).Ports {
			out.FilterChains = append(out.FilterChains, b.egressChain(e, e.Port(name), callers))
		}
	}
	b.out.Listeners = append(b.out.Listeners, out)
}

func (b *builder) egressChain(e *ir.External, port *ir.Port,
	callers []*matcherv3.StringMatcher,
) *listenerv3.FilterChain {
	name, cluster := join(egressListener, e.Name, port.Name), b.external(e, b.use(e.Name), port)
	chain := &listenerv3.FilterChain{
		Name: name, TransportSocketConnectTimeout: durationpb.New(headersTimeout),
		FilterChainMatch: &listenerv3.FilterChainMatch{ServerNames: []string{egressName(e, port)}},
	}
	revoked := b.revoked(callers)
	allowed := removeRevoked(callers, revoked)
	callers = removeRevoked(callers, byListener(revoked))
	first := append([]*listenerv3.Filter{b.oneIdentity(name)}, b.revokedFilter(name, revoked)...)
	if !port.Protocol.IsHTTP() {
		if len(callers) == 0 {
			chain.Filters = b.closed(name).Filters
			return chain
		}
		chain.TransportSocket = b.downstreamTLS(callers)
		if b.leadsAnywhere(e) {
			cluster = b.leaving(name, cluster, e, port)
		}
		chain.Filters = append(first, b.tcpProxyOnceKnown(name, cluster,
			b.accountsConnections(b.passing(serverTCP, e, port))...))
		return chain
	}
	hosts := b.leavingHosts(name, cluster, e, port, allowed, revoked)
	m := b.pathsAsWritten(name, append(b.httpRBAC(), b.filtersOf(hosts)...)...)
	b.tellsUnanswered(m, port.Protocol)
	behindAProxy(m)
	b.endsOld(m)
	// Callers are proxies, which speak HTTP/2. In HTTP/1.1 nothing need come from a caller while it is answered.
	m.CodecType = hcmv3.HttpConnectionManager_HTTP2
	b.pings(m)
	m.AccessLog = b.accounts(b.passing(serverHTTP, e, port), nil)
	b.traces(m, b.passing(serverHTTP, e, port))
	idleByCaller(m)
	b.takes(m, b.member.Proxy.Requests.ToExternals())
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE // who calls is nobody's business outside
	b.routesByName(m, routesOf(name, hosts...))
	if len(callers) == 0 {
		// Nobody may connect any more; the routes are for connections that are still open.
		chain.Filters = b.closed(name).Filters
		return chain
	}
	chain.TransportSocket = b.downstreamTLS(callers, "h2")
	chain.Filters = append(first, b.networkFilter(hcmFilter, m))
	return chain
}

// leavingHosts have the requests for an external that leave the mesh by the gateway.
func (b *builder) leavingHosts(
	name, cluster string, e *ir.External, port *ir.Port, allowed []*matcherv3.StringMatcher, revoked []Revoked,
) []*routev3.VirtualHost {
	leaves := func() *routev3.VirtualHost {
		route := &routev3.Route{
			Name: name, Match: pathMatch(ir.PathMatch{}), Metadata: positionMetadata(e.Pos),
			// The caller's proxy bounds the time.
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{
				ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}, Timeout: durationpb.New(0),
			}},
		}
		b.onlyFor(route, allowed, revoked)
		if b.looksUpWhatIsAsked(e) {
			b.toAskedHost(route, e, port)
		}
		return &routev3.VirtualHost{
			Name: name, Domains: e.Hosts, Metadata: positionMetadata(e.Pos),
			RequestHeadersToRemove: slices.Clone(ofTheMesh), Routes: []*routev3.Route{route},
		}
	}
	if e.ByHost() {
		return []*routev3.VirtualHost{leaves()}
	}
	return []*routev3.VirtualHost{leaves(), firstHost(leaves(), e)}
}

// onlyFor lets the callers use a route, but for what was revoked of their certificates. The handshake is for them alone
// already; the route is in force on open connections too, at once.
func (b *builder) onlyFor(route *routev3.Route, callers []*matcherv3.StringMatcher, revoked []Revoked) {
	allow := &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_ALLOW}
	if len(callers) > 0 {
		policy := &rbacconfigv3.Policy{Permissions: anything()}
		for _, caller := range callers {
			policy.Principals = append(policy.Principals, authenticated(caller))
		}
		allow.Policies = map[string]*rbacconfigv3.Policy{"callers": policy}
	}
	b.perRoute(route, httpRBACFilter, &rbacv3.RBACPerRoute{Rbac: &rbacv3.RBAC{Rules: allow}})
	if rules := deny(nil, revoked); rules != nil {
		b.perRoute(route, httpDenyFilter, &rbacv3.RBACPerRoute{Rbac: &rbacv3.RBAC{Rules: rules}})
	}
}

// leaving is the cluster of a listener within the proxy, which holds the address of the other cluster against
// what no proxy may be led to. The listener outside cannot: there the first bytes may come before there is an
// address, as they are read as soon as the caller is known.
func (b *builder) leaving(name, cluster string, e *ir.External, port *ir.Port) string {
	name = join(name, "leaving")
	l := &listenerv3.Listener{
		Name: name, ListenerSpecifier: &listenerv3.Listener_InternalListener{
			InternalListener: &listenerv3.Listener_InternalListenerConfig{},
		},
		FilterChains: []*listenerv3.FilterChain{
			{Name: name, Filters: []*listenerv3.Filter{
				b.forbiddenBytes(name, e.Local),
				b.tcpProxy(name, cluster, nil, boundByCaller),
			}},
		},
		Metadata: positionMetadata(e.Pos),
	}
	if b.looksUpWhatIsAsked(e) {
		b.bySNI(l, e)
		l.FilterChains[0].Filters = slices.Insert(l.FilterChains[0].Filters, 0, b.toAskedName(e, port))
	}
	b.out.Listeners = append(b.out.Listeners, l)
	c := b.cluster(name, e.Pos)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.CircuitBreakers = unbounded()
	c.LoadAssignment = single(name,
		&corev3.Address{Address: &corev3.Address_EnvoyInternalAddress{
			EnvoyInternalAddress: &corev3.EnvoyInternalAddress{
				AddressNameSpecifier: &corev3.EnvoyInternalAddress_ServerListenerName{ServerListenerName: name},
			},
		}})
	b.out.Clusters = append(b.out.Clusters, c)
	return name
}
