package envoy

import (
	"net/http"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	healthcheckv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	healthListener    = "health" // answers about the proxy's own pod or host
	healthCheckFilter = "envoy.filters.http.health_check"

	probeTimeout  = time.Minute // who probes waits as long as it wants to
	probeInterval = time.Second
)

func probeName(number uint16) string { return join("probe", strconv.Itoa(int(number))) }

// probes lets exactly those requests to a port in that have no TLS.
func (b *builder) probes(number uint16, list []ir.Probe) *listenerv3.FilterChain {
	name := probeName(number)
	others := join(name, "others")
	host := &routev3.VirtualHost{Name: name, Domains: []string{"*"}}
	for i := range list {
		host.Routes = append(host.Routes, b.probeRoute(name, &list[i]))
	}
	host.Routes = append(host.Routes, &routev3.Route{
		Name: others, Match: pathMatch(ir.PathMatch{}),
		Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
			Status: http.StatusForbidden,
		}},
	})
	m := b.connectionManager(name)
	if port := b.scope.Service.PortAt(number); port != nil {
		m.AccessLog = b.refusedProbes(port, others)
	}
	b.dropHeaders(m, b.scope.ForeignHeaders)
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE
	b.routesByName(m, normalRoutes(name, host))
	return &listenerv3.FilterChain{
		Name: name, TransportSocketConnectTimeout: durationpb.New(headersTimeout),
		FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: plaintext},
		Filters:          []*listenerv3.Filter{b.networkFilter(hcmFilter, m)},
	}
}

func (b *builder) probeRoute(name string, p *ir.Probe) *routev3.Route {
	path, method := p.Path, ir.StringMatch{Name: ":method", Kind: ir.MatchRegex, Value: "GET|HEAD"}
	if p.Kind == ir.HealthGRPC {
		path, method.Value = ir.GRPCHealthPath, http.MethodPost
	}
	match := pathMatch(ir.PathMatch{Kind: ir.MatchExact, Value: path})
	match.Headers = []*routev3.HeaderMatcher{headerMatch(method)}
	return &routev3.Route{
		Name: join(name, path), Metadata: positionMetadata(p.Pos), Match: match,
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: b.probed(p)}, Timeout: durationpb.New(probeTimeout),
		}},
	}
}

// probed adds the cluster of the application that is probed, and returns its name. A
// port whose requests go to the application has one already; where its connections are bounded, a probe waits for none.
func (b *builder) probed(p *ir.Probe) string {
	number, port := p.Port, b.scope.Service.PortAt(p.Port)
	if port != nil {
		if port.Protocol.IsHTTP() && p.Kind != ir.HealthTCP && !b.scope.Service.LastHop.Bounded(port) {
			return inboundName(port.Name)
		}
		number = b.target(port)
	}
	name := join(probeName(p.Port), string(p.Kind))
	if b.clusters[name] {
		return name
	}
	b.clusters[name] = true
	c := b.cluster(name, p.Pos)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LoadAssignment = single(name, address(b.loopback, number))
	switch idle := b.scope.Service.LastHop.IdleTimeout; p.Kind {
	case ir.HealthHTTP:
		b.httpOptions(c, nil, idle, &httpv3.HttpProtocolOptions{})
	case ir.HealthGRPC:
		b.httpOptions(c, &corev3.Http2ProtocolOptions{}, idle, &httpv3.HttpProtocolOptions{})
	case ir.HealthTCP:
		c.HealthChecks = []*corev3.HealthCheck{{
			Timeout: durationpb.New(probeInterval), Interval: durationpb.New(probeInterval),
			NoTrafficInterval: durationpb.New(probeInterval),
			HealthyThreshold:  wrapperspb.UInt32(1), UnhealthyThreshold: wrapperspb.UInt32(1),
			HealthChecker: &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}},
		}}
		mergeNothing(c)
	}
	b.out.Clusters = append(b.out.Clusters, c)
	return name
}

// health is the listener that says whether the application accepts connections on the
// ports that are probed so: the proxy itself tries.
func (b *builder) health() {
	s := b.scope.Service
	var filters []*hcmv3.HttpFilter
	for i := range s.Probes {
		p := &s.Probes[i]
		if p.Kind != ir.HealthTCP {
			continue
		}
		filters = append(filters, b.httpFilter(join(healthCheckFilter, strconv.Itoa(int(p.Port))),
			&healthcheckv3.HealthCheck{
				PassThroughMode: wrapperspb.Bool(false),
				Headers: []*routev3.HeaderMatcher{headerMatch(ir.StringMatch{
					Name: ":path", Kind: ir.MatchExact, Value: "/tcp/" + strconv.Itoa(int(p.Port)),
				})},
				ClusterMinHealthyPercentages: map[string]*typev3.Percent{b.probed(p): {Value: 100}},
			}))
	}
	if len(filters) == 0 {
		return
	}
	m := b.connectionManager(healthListener, filters...)
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
		Name: healthListener,
	}}
	b.out.Listeners = append(b.out.Listeners, &listenerv3.Listener{
		Name: healthListener, Address: b.healthAddress(), TrafficDirection: corev3.TrafficDirection_INBOUND,
		FilterChains: []*listenerv3.FilterChain{{
			Name:    healthListener,
			Filters: []*listenerv3.Filter{b.networkFilter(hcmFilter, m)},
		}},
		Metadata: positionMetadata(s.Pos),
	})
}

func (b *builder) healthAddress() *corev3.Address {
	if e := b.host(); e != nil {
		return address(e.Address, b.member.Proxy.HealthPort)
	}
	return b.everywhere(b.member.Proxy.HealthPort)
}

// probesElsewhere are the filter chains of probes to ports that take no calls.
func (b *builder) probesElsewhere() []*listenerv3.FilterChain {
	s := b.scope.Service
	var out []*listenerv3.FilterChain
	done := map[uint16]bool{}
	for _, p := range s.Probes {
		if list := s.ProbesOf(p.Port); len(list) > 0 && s.PortAt(p.Port) == nil && !done[p.Port] {
			done[p.Port] = true
			out = append(out, forPort(p.Port, []*listenerv3.FilterChain{b.probes(p.Port, list)})...)
		}
	}
	return out
}
