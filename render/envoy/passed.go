package envoy

import (
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

const (
	httpInspectorFilter = "envoy.filters.listener.http_inspector"

	// undeclaredCluster and undeclaredRequests are where connections and requests go that pass undeclared: to the
	// address that they were made to.
	undeclaredCluster  = "undeclared"
	undeclaredRequests = "undeclared|http"

	// passedConnect is how long the host at an address may take to accept a connection that passes.
	passedConnect = 10 * time.Second
	httpsPort     = 443
	// inspectedFor is how long a listener of HTTP or TLS waits for the first bytes of a connection that may be one of
	// neither, whose server speaks first.
	inspectedFor = 5 * time.Second
)

// passes is the filter chain of connections that the member does not declare: they go on as they are, or are closed.
func (b *builder) passes() *listenerv3.FilterChain {
	if !b.scope.PassesUndeclared() {
		return b.nowhere()
	}
	b.passedCluster(undeclaredCluster)
	p := connectionTo(undeclaredCluster, undeclaredCluster, boundByCaller)
	p.AccessLog = b.passedConnections(b.accountsConnections(b.going(clientTCP)))
	p.AccessLogOptions = &tcpproxyv3.TcpProxy_TcpAccessLogOptions{FlushAccessLogOnConnected: true}
	return &listenerv3.FilterChain{Name: undeclaredCluster, Filters: []*listenerv3.Filter{
		b.forbiddenBytes(undeclaredCluster, false), b.networkFilter(tcpProxyFilter, p),
	}}
}

// notToItself are the filter chains that close connections to the ports of the proxy itself, which it would be led to
// again and again. An application, or a neighbour, makes them past the redirection.
func (b *builder) notToItself() []*listenerv3.FilterChain {
	if !b.scope.PassesUndeclared() {
		return nil
	}
	var out []*listenerv3.FilterChain
	for _, number := range []uint16{b.member.Proxy.OutboundPort, b.member.Proxy.InboundPort} {
		chain := b.closed(outboundNumber(number))
		chain.FilterChainMatch = &listenerv3.FilterChainMatch{DestinationPort: wrapperspb.UInt32(uint32(number))}
		out = append(out, chain)
	}
	return out
}

// tellsNames has the listener of all connections read the names of handshakes to the port of HTTPS, which is where a
// client does not wait for the server to speak first.
func (b *builder) tellsNames(l *listenerv3.Listener) {
	if !b.scope.PassesUndeclared() {
		return
	}
	filter := b.tlsInspector()
	filter.FilterDisabled = &listenerv3.ListenerFilterChainMatchPredicate{
		Rule: &listenerv3.ListenerFilterChainMatchPredicate_NotMatch{
			NotMatch: &listenerv3.ListenerFilterChainMatchPredicate{
				Rule: &listenerv3.ListenerFilterChainMatchPredicate_DestinationPortRange{
					DestinationPortRange: &typev3.Int32Range{Start: httpsPort, End: httpsPort + 1},
				},
			},
		},
	}
	l.ListenerFilters = append(l.ListenerFilters, filter)
	l.ListenerFiltersTimeout, l.ContinueOnListenerFiltersTimeout = durationpb.New(inspectedFor), true
}

// passesBytes lets connections pass that are not of the protocols by which a virtual listener tells its calls apart.
// Who waits for the server to speak first waits for the listener before.
func (b *builder) passesBytes(l *listenerv3.Listener) {
	if !b.scope.PassesUndeclared() {
		return
	}
	l.DefaultFilterChain = b.passes()
	l.ListenerFiltersTimeout = durationpb.New(inspectedFor)
	l.ContinueOnListenerFiltersTimeout = true
}

// onlyHTTP has a listener of HTTP alone let pass what is not HTTP.
func (b *builder) onlyHTTP(l *listenerv3.Listener) {
	if !b.scope.PassesUndeclared() {
		return
	}
	l.FilterChains[0].FilterChainMatch = &listenerv3.FilterChainMatch{
		ApplicationProtocols: []string{"http/1.0", "http/1.1", "h2c"},
	}
	l.ListenerFilters = append(l.ListenerFilters, &listenerv3.ListenerFilter{
		Name:       httpInspectorFilter,
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: b.any(&httpinspectorv3.HttpInspector{})},
	})
	b.passesBytes(l)
}

// passedHost lets requests pass for hosts that the member does not use on a port number, where the listener takes those
// upgrades.
func (b *builder) passedHost(upgrades []string) *routev3.VirtualHost {
	b.passedCluster(undeclaredRequests)
	action := &routev3.RouteAction{
		ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: undeclaredRequests},
		Timeout:          durationpb.New(0), IdleTimeout: durationpb.New(0),
	}
	for _, upgrade := range upgrades {
		action.UpgradeConfigs = append(action.UpgradeConfigs, &routev3.RouteAction_UpgradeConfig{UpgradeType: upgrade})
	}
	return &routev3.VirtualHost{
		Name: undeclaredHost, Domains: []string{"*"}, Metadata: positionMetadata(b.scope.Pos()),
		Routes: []*routev3.Route{{
			Name: undeclaredHost, Match: pathMatch(ir.PathMatch{}), Metadata: positionMetadata(b.scope.Pos()),
			Action: &routev3.Route_Route{Route: action}, RequestHeadersToRemove: slices.Clone(ofTheMesh),
		}},
	}
}

// passedCluster adds the cluster of that name whose one instance is where a connection was made to, without TLS of the
// mesh. Nothing bounds it: what passes was not bounded before either.
func (b *builder) passedCluster(name string) {
	if b.clusters[name] {
		return
	}
	b.clusters[name] = true
	c := b.cluster(name, source.Position{})
	c.Metadata = positionMetadata(b.scope.Pos())
	c.ConnectTimeout = durationpb.New(passedConnect)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST}
	c.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
	c.CircuitBreakers = unbounded()
	if name == undeclaredRequests {
		options := &httpv3.HttpProtocolOptions{
			UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
				UseDownstreamProtocolConfig: &httpv3.HttpProtocolOptions_UseDownstreamHttpConfig{
					HttpProtocolOptions:  b.http1Towards(true),
					Http2ProtocolOptions: streamErrors(&corev3.Http2ProtocolOptions{}),
				},
			},
			HttpFilters: b.forbiddenRequests(false),
		}
		b.httpOptions(c, nil, ir.Duration(idleTimeout), options)
	}
	b.out.Clusters = append(b.out.Clusters, c)
}
