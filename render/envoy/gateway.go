package envoy

import (
	"net/http"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
)

// gateway are the listeners at the edge of the mesh: one for each port, with a
// filter chain for each of the spec's listeners there.
func (b *builder) gateway() {
	g := b.scope.Gateway
	byPort := map[uint16][]*ir.Listener{}
	for i := range g.Listeners {
		l := &g.Listeners[i]
		byPort[l.Port] = append(byPort[l.Port], l)
	}
	for _, port := range sortedKeys(byPort) {
		list := byPort[port]
		out := &listenerv3.Listener{
			Name:                          gatewayPort(port),
			Address:                       b.gatewayAddress(port),
			TrafficDirection:              corev3.TrafficDirection_INBOUND,
			PerConnectionBufferLimitBytes: wrapperspb.UInt32(32 << 10),
			Metadata:                      positionMetadata(list[0].Pos),
		}
		for _, l := range list {
			out.FilterChains = append(out.FilterChains, b.gatewayChains(l)...)
		}
		out.ListenerFilters = b.beforeGateway(list)
		b.out.Listeners = append(b.out.Listeners, out)
		b.http3(port, list)
	}
	b.egress()
}

// gatewayChain takes connections of one of the spec's listeners, by those who come as origin says.
func (b *builder) gatewayChain(l *ir.Listener, from origin) *listenerv3.FilterChain {
	name := gatewayName(l.Name)
	chain := &listenerv3.FilterChain{Name: name, TransportSocketConnectTimeout: durationpb.New(headersTimeout)}
	if l.BySNI() && !slices.Contains(l.Hosts, "*") {
		chain.FilterChainMatch = &listenerv3.FilterChainMatch{ServerNames: l.Hosts}
	}
	if l.TLS != nil {
		alpn := []string{"h2", "http/1.1"}
		if l.Protocol != ir.HTTP {
			alpn = nil
		}
		chain.TransportSocket = b.transportSocket(b.edgeTLS(l.TLS, alpn))
	}
	if l.To != nil {
		callee := b.scope.Upstreams[l.To.Service]
		cluster := b.upstream(callee, b.use(callee.Name), callee.Port(l.To.Port), l.To.Version)
		idle := b.idle(b.use(callee.Name), &callee.Traffic)
		chain.Filters = append(b.auditedConnections(l), b.tcpProxy(name, cluster, callee, idle,
			append(b.clientAudit(l), b.accountsConnections(b.going(clientTCP))...)...))
		return chain
	}
	chain.Filters = []*listenerv3.Filter{b.networkFilter(hcmFilter, b.edge(l, hcmv3.HttpConnectionManager_AUTO, from))}
	return chain
}

// edge reads requests from outside. Nothing that comes from there says who it is:
// headers about the caller are dropped, and the request gets an id of its own.
func (b *builder) edge(l *ir.Listener, codec hcmv3.HttpConnectionManager_CodecType,
	from origin,
) *hcmv3.HttpConnectionManager {
	name := gatewayName(l.Name)
	hosts := b.listenerHosts(b.scope.Gateway, l)
	authorizer := b.scope.Gateway.Authorizer
	if l.RedirectTo != "" {
		authorizer = ""
	}
	m := b.connectionManager(name, slices.Concat(b.clientFilter(l, from), b.clientRules(l),
		b.externalAuthorization(authorizer), b.clientRateLimits(l), b.compressors(), b.filtersOf(hosts))...)
	b.dropHeaders(m, b.scope.ForeignHeaders)
	b.wantsHost(m)
	if l.RedirectTo == "" {
		b.tokensAfterForms(m, l.Door())
	}
	b.takes(m, b.member.Proxy.Requests)
	ignoreUpgrades(m, b.scope.Gateway.UpgradesAt(l, b.upstreamOf))
	m.AccessLog = append(b.clientAudit(l), b.accounts(b.entering(l), hosts)...)
	b.tracesBegin(m, b.going(clientHTTP))
	m.CodecType = codec
	b.clientAddress(m, l, from)
	if l.RedirectTo != "" { // the port is the other listener's
		m.StripPortMode = &hcmv3.HttpConnectionManager_StripAnyHostPort{StripAnyHostPort: true}
	}
	m.PreserveExternalRequestId = false
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE
	m.StreamIdleTimeout = durationpb.New(edgeIdleTimeout)
	m.Http2ProtocolOptions = edgeHTTP2()
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: ads(), RouteConfigName: name}}
	if codec == hcmv3.HttpConnectionManager_HTTP3 {
		m.Http3ProtocolOptions = &corev3.Http3ProtocolOptions{OverrideStreamErrorOnInvalidHttpMessage: wrapperspb.Bool(
			true)}
	} else if from != others { // who has the same routes, and so has HTTP/3
		routes := normalRoutes(name, hosts...)
		b.ruledRoutes(routes, l)
		if l.HTTP3 {
			routes.ResponseHeadersToAdd = altSvc(l.Port)
		}
		b.out.Routes = append(b.out.Routes, routes)
	}
	return m
}

// listenerHosts are the hosts of a listener that serves requests, or of one that
// redirects them.
func (b *builder) listenerHosts(g *ir.Gateway, l *ir.Listener) []*routev3.VirtualHost {
	misdirected := b.misdirected(g, l)
	if l.RedirectTo == "" {
		return append(b.gatewayHosts(g, l), misdirected...)
	}
	to := g.Listener(l.RedirectTo)
	r := &ir.Redirect{Scheme: "http", Port: to.Port, Status: permanently}
	if to.TLS != nil {
		r.Scheme = "https"
	}
	if r.Scheme == "https" && to.Port == 443 || r.Scheme == "http" && to.Port == 80 {
		r.Port = 0
	}
	return append(misdirected, &routev3.VirtualHost{
		Name: l.Name, Domains: l.Hosts, Metadata: positionMetadata(l.Pos),
		Routes: []*routev3.Route{{
			Name: join(l.Name, to.Name), Match: pathMatch(ir.PathMatch{}), Metadata: positionMetadata(l.Pos),
			Action: &routev3.Route_Redirect{Redirect: redirect(r, ir.PathMatch{})},
		}},
	})
}

// misdirected has requests for hosts of the other listeners on the port answered with 421 (RFC 9110, 15.5.20): a
// client may send them on a connection that it has, and the other listener may ask for a certificate.
func (b *builder) misdirected(g *ir.Gateway, l *ir.Listener) []*routev3.VirtualHost {
	hosts := g.Elsewhere(l)
	if len(hosts) == 0 {
		return nil
	}
	return []*routev3.VirtualHost{answering(series.MisdirectedRoute, hosts, l.Pos,
		&ir.DirectResponse{Status: http.StatusMisdirectedRequest})}
}

// permanently is the status of a listener's redirects: the method stays.
const permanently = 308

// gatewayAddress is where a listener takes connections.
func (b *builder) gatewayAddress(port uint16) *corev3.Address {
	if ip := b.scope.Gateway.Address; ip != "" {
		return address(ip, port)
	}
	return b.everywhere(port)
}

// edgeIdleTimeout ends a request from outside on which nothing moves.
const edgeIdleTimeout = time.Duration(ir.DefaultEdgeIdle)

// edgeHTTP2 bounds what one connection from outside can make a gateway hold (Envoy,
// "Configuring Envoy as an edge proxy").
func edgeHTTP2() *corev3.Http2ProtocolOptions {
	return streamErrors(&corev3.Http2ProtocolOptions{
		MaxConcurrentStreams:        wrapperspb.UInt32(100),
		InitialStreamWindowSize:     wrapperspb.UInt32(64 << 10),
		InitialConnectionWindowSize: wrapperspb.UInt32(1 << 20),
	})
}

// gatewayHosts has a virtual host for each host that the listener answers for
// or that a route names below it, with the routes that take it from the top; or one without routes.
func (b *builder) gatewayHosts(g *ir.Gateway, l *ir.Listener) []*routev3.VirtualHost {
	domains := slices.Clone(l.Hosts)
	var routes []*ir.Route
	for i := range g.Routes {
		if g.Routes[i].Match.At(l.Name) {
			routes = append(routes, &g.Routes[i])
		}
	}
	for _, r := range routes {
		if h := r.Match.Host; h != "" &&
			slices.ContainsFunc(l.Hosts, func(served string) bool { return ir.HostCovers(served, h) }) {
			domains = append(domains, h)
		}
	}
	slices.Sort(domains)
	var out []*routev3.VirtualHost
	for _, domain := range slices.Compact(domains) {
		if l.BySNI() && g.ListenerOf(l.Port, domain) != l {
			continue // a route's host that is another listener's
		}
		host := &routev3.VirtualHost{Name: domain, Domains: []string{domain}, Metadata: positionMetadata(l.Pos)}
		for _, r := range routes {
			if r.Match.Host == "" || ir.HostCovers(r.Match.Host, domain) {
				host.Routes = append(host.Routes, b.gatewayRoutes(l, r)...)
			}
		}
		if host.Routes != nil {
			out = append(out, host)
		}
	}
	if out == nil { // for what [normalRoutes] refuses
		out = []*routev3.VirtualHost{otherHosts(positionMetadata(l.Pos))}
	}
	return out
}

// gatewayRoutes are one route, or, when all its requests go to a service and no
// version of it is named, those of that service's own routes that they can take:
// a canary of the service is one for calls through the gateway too.
func (b *builder) gatewayRoutes(l *ir.Listener, r *ir.Route) []*routev3.Route {
	if r.Answers() {
		return redirecting(b.route(r.Name, match(&r.Match), nil, ir.Policy{}, r), r, l)
	}
	to := &r.To[0]
	callee := b.scope.Upstreams[to.Service]
	port := callee.Port(to.Port)
	use := b.use(callee.Name)
	var out []*routev3.Route
	if r.GoesOn() {
		for i := range callee.Routes {
			own := &callee.Routes[i]
			if m, possible := intersect(r, own); possible {
				p := b.scope.Settings.Policy(use, &callee.Traffic, r, own)
				out = append(out, withUpgrades(guarded(l, b.route(join(r.Name, own.Name), m, port, p, r, own), r, own),
					own.Upgrades(port, b.upstreamOf))...)
			}
		}
	}
	p := b.scope.Settings.Policy(use, &callee.Traffic, r)
	return append(out, withUpgrades(guarded(l, b.route(r.Name, match(&r.Match), port, p, r), r),
		r.Upgrades(port, b.upstreamOf))...)
}
