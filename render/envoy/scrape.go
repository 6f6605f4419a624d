package envoy

import (
	"net/http"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	scrapeListener = "metrics"
	scrapeCluster  = "administration"
	scrapeFilter   = networkRBACFilter + ".scraper"

	scrapePath   = "/metrics"
	adminMetrics = "/stats/prometheus"

	// The administration answers on the proxy's main thread, so few may ask at once.
	maxScrapes = 4
)

// scrape is the listener where the proxy's metrics are read, and nothing else of its administration: the one request
// that it passes on there is GET /metrics as it is spelt here, without a query and without a body. Where the
// application has metrics too, [builder.scraped] passes these on.
func (b *builder) scrape() {
	port := b.member.Proxy.MetricsPort
	if port == 0 {
		return
	}
	s := b.scope.Settings.ReadFrom()
	chain := &listenerv3.FilterChain{
		Name: scrapeListener, TransportSocketConnectTimeout: durationpb.New(headersTimeout),
	}
	listener := &listenerv3.Listener{
		Name: scrapeListener, Address: address(b.loopback, port), TrafficDirection: corev3.TrafficDirection_INBOUND,
		FilterChains: []*listenerv3.FilterChain{chain}, Metadata: positionMetadata(b.scope.Settings.Metrics.Pos),
	}
	if s != nil {
		listener.Address = b.reachable(port)
		b.scraper(chain, s)
	}
	chain.Filters = append(chain.Filters, b.networkFilter(hcmFilter, b.scrapes()))
	b.out.Listeners = append(b.out.Listeners, listener)
	b.out.Clusters = append(b.out.Clusters, b.administration())
}

// reachable is that port at the address of the proxy's instance, or at all addresses where that is not known.
func (b *builder) reachable(port uint16) *corev3.Address {
	if b.scope.Gateway != nil {
		return b.gatewayAddress(port)
	}
	if e := b.host(); e != nil {
		return address(e.Address, port)
	}
	return b.everywhere(port)
}

// scraper has the filter chain take connections of the scraper alone.
func (b *builder) scraper(chain *listenerv3.FilterChain, s *ir.Scraper) {
	if !s.Identity.IsZero() {
		accept := []*matcherv3.StringMatcher{exactly(s.Identity)}
		revoked := b.revoked(accept)
		chain.TransportSocket = b.downstreamTLS(accept, "h2", "http/1.1")
		chain.Filters = append(chain.Filters, b.oneIdentity(scrapeListener))
		chain.Filters = append(chain.Filters, b.revokedFilter(scrapeListener, revoked)...)
	}
	if len(s.IPRanges) > 0 {
		chain.Filters = append(chain.Filters, b.networkFilter(scrapeFilter, &networkrbacv3.RBAC{
			StatPrefix: scrapeListener + ".scraper",
			Rules: &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_ALLOW, Policies: map[string]*rbacconfigv3.Policy{
				"scraper": {Permissions: anything(), Principals: []*rbacconfigv3.Principal{addresses(s.IPRanges, directly)}},
			}},
		}))
	}
}

// scrapes reads the requests for metrics. What they say besides is not passed on: the administration answers to no
// header, and "accept" asks for other formats.
func (b *builder) scrapes() *hcmv3.HttpConnectionManager {
	m := b.connectionManager(scrapeListener, b.httpFilter(bufferFilter, &bufferv3.Buffer{
		MaxRequestBytes: wrapperspb.UInt32(1),
	}))
	if b.scope.Service != nil && len(b.scope.Service.Scrape) > 0 {
		b.dropHeaders(m, b.scope.ForeignHeaders)
	}
	m.RequestTimeout = durationpb.New(headersTimeout)
	if s := b.scope.Settings.ReadFrom(); s != nil && !s.Identity.IsZero() {
		b.endsOld(m)
	}
	own := scrapeRoute(scrapePath, &routev3.RouteAction{
		ClusterSpecifier:     &routev3.RouteAction_Cluster{Cluster: scrapeCluster},
		PrefixRewrite:        adminMetrics,
		HostRewriteSpecifier: &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: scrapeCluster},
	})
	own.RequestHeadersToRemove = []string{"accept"}
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
		Name: scrapeListener,
		VirtualHosts: []*routev3.VirtualHost{{
			Name: scrapeListener, Domains: []string{"*"},
			Routes: append([]*routev3.Route{own}, b.scraped()...),
		}},
	}}
	return m
}

// scrapeRoute passes GET of one path on, as it is spelt and without a query.
func scrapeRoute(path string, to *routev3.RouteAction) *routev3.Route {
	match := pathMatch(ir.PathMatch{Kind: ir.MatchExact, Value: path})
	match.Headers = []*routev3.HeaderMatcher{
		headerMatch(ir.StringMatch{Name: ":method", Kind: ir.MatchExact, Value: http.MethodGet}),
		// With the query, which there is none of.
		headerMatch(ir.StringMatch{Name: ":path", Kind: ir.MatchExact, Value: path}),
	}
	to.Timeout = durationpb.New(probeTimeout)
	return &routev3.Route{Name: path, Match: match, Action: &routev3.Route_Route{Route: to}}
}

func fewScrapes() *clusterv3.CircuitBreakers {
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections: wrapperspb.UInt32(maxScrapes), MaxPendingRequests: wrapperspb.UInt32(maxScrapes),
		MaxRequests: wrapperspb.UInt32(maxScrapes),
	}}}
}

// administration is the cluster of the proxy's own administration. Its connections come from an address that no other
// cluster has where meshc redirect keeps the proxy from connecting there.
func (b *builder) administration() *clusterv3.Cluster {
	c := b.cluster(scrapeCluster, b.scope.Settings.Metrics.Pos)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LoadAssignment = single(scrapeCluster, address(b.loopback, b.member.Proxy.AdminPort))
	c.CircuitBreakers = fewScrapes()
	if b.scope.Service != nil && b.member.Proxy.Interception == ir.InterceptRedirect {
		c.UpstreamBindConfig = &corev3.BindConfig{SourceAddress: &corev3.SocketAddress{
			Address: ir.MetricsSource, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 0},
		}}
	}
	b.httpOptions(c, nil, ir.Duration(idleTimeout), &httpv3.HttpProtocolOptions{})
	return c
}
