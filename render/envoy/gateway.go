package envoy

import (
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// gateway are the listeners at the edge of the mesh. Nothing that comes from
// outside says who it is: headers about the caller are dropped, and the request
// gets an id of its own.
func (b *builder) gateway() {
	g := b.scope.Gateway
	for i := range g.Listeners {
		listener := &g.Listeners[i]
		name := gatewayName(listener.Name)
		hosts := b.gatewayHosts(g, listener)
		m := b.connectionManager(name, b.filtersOf(hosts)...)
		m.SkipXffAppend = false
		m.XffNumTrustedHops = 0
		m.PreserveExternalRequestId = false
		m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE
		m.ServerHeaderTransformation = hcmv3.HttpConnectionManager_OVERWRITE
		m.StreamIdleTimeout = durationpb.New(edgeIdleTimeout)
		m.Http2ProtocolOptions = edgeHTTP2()
		b.routesByName(m, &routev3.RouteConfiguration{
			Name: name, VirtualHosts: hosts, ValidateClusters: wrapperspb.Bool(false),
		})
		b.out.Listeners = append(b.out.Listeners, &listenerv3.Listener{
			Name:                          name,
			Address:                       b.gatewayAddress(listener.Port),
			TrafficDirection:              corev3.TrafficDirection_INBOUND,
			PerConnectionBufferLimitBytes: wrapperspb.UInt32(32 << 10),
			FilterChains:                  []*listenerv3.FilterChain{{Name: name, Filters: []*listenerv3.Filter{b.networkFilter(hcmFilter, m)}}},
			Metadata:                      from(listener.Pos),
		})
	}
}

// gatewayAddress is where a listener takes connections.
func (b *builder) gatewayAddress(port uint16) *corev3.Address {
	if ip := b.scope.Gateway.Address; ip != "" {
		return address(ip, port)
	}
	return b.everywhere(port)
}

// edgeIdleTimeout ends a request from outside on which nothing moves.
const edgeIdleTimeout = 5 * time.Minute

// edgeHTTP2 bounds what one connection from outside can make a gateway hold (Envoy,
// "Configuring Envoy as an edge proxy").
func edgeHTTP2() *corev3.Http2ProtocolOptions {
	return &corev3.Http2ProtocolOptions{
		MaxConcurrentStreams:        wrapperspb.UInt32(100),
		InitialStreamWindowSize:     wrapperspb.UInt32(64 << 10),
		InitialConnectionWindowSize: wrapperspb.UInt32(1 << 20),
	}
}

// gatewayHosts has a virtual host for each host that the listener answers for
// or that a route names below it, with the routes that take it from the top.
func (b *builder) gatewayHosts(g *ir.Gateway, l *ir.Listener) []*routev3.VirtualHost {
	domains := slices.Clone(l.Hosts)
	for _, r := range g.Routes {
		if h := r.Match.Host; h != "" && slices.ContainsFunc(l.Hosts, func(served string) bool { return covers(served, h) }) {
			domains = append(domains, h)
		}
	}
	slices.Sort(domains)
	var out []*routev3.VirtualHost
	for _, domain := range slices.Compact(domains) {
		host := &routev3.VirtualHost{Name: domain, Domains: []string{domain}, Metadata: from(l.Pos)}
		for i := range g.Routes {
			if r := &g.Routes[i]; r.Match.Host == "" || covers(r.Match.Host, domain) {
				host.Routes = append(host.Routes, b.gatewayRoutes(r)...)
			}
		}
		if host.Routes != nil {
			out = append(out, host)
		}
	}
	return out
}

// gatewayRoutes are one route, or, when all its requests go to a service and no
// version of it is named, those of that service's own routes that they can take:
// a canary of the service is one for calls through the gateway too.
func (b *builder) gatewayRoutes(r *ir.Route) []*routev3.Route {
	if r.Answers() {
		return []*routev3.Route{b.route(r.Name, match(&r.Match), nil, ir.Policy{}, r)}
	}
	to := &r.To[0]
	callee := b.scope.Upstreams[to.Service]
	port := callee.Port(to.Port)
	use := b.use(callee.Name)
	var out []*routev3.Route
	if r.GoesOn() {
		for i := range callee.Routes {
			own := &callee.Routes[i]
			if m, possible := behind(r, own); possible {
				p := ir.Nearest(use.Traffic, r.Traffic, own.Traffic, callee.Traffic, b.scope.Settings.Defaults)
				out = append(out, b.route(join(r.Name, own.Name), m, port, p, r, own))
			}
		}
	}
	p := ir.Nearest(use.Traffic, r.Traffic, callee.Traffic, b.scope.Settings.Defaults)
	return withUpgrades(append(out, b.route(r.Name, match(&r.Match), port, p, r)), port)
}

// covers reports whether a host pattern ("*", "*.DOMAIN" or exact) takes every
// host that another does.
func covers(pattern, host string) bool {
	if pattern == "*" || pattern == host {
		return true
	}
	suffix, wildcard := strings.CutPrefix(pattern, "*")
	return wildcard && strings.HasSuffix(host, suffix)
}
