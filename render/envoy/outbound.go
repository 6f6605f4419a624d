package envoy

import (
	"net/netip"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

const originalDestinationFilter = "envoy.filters.listener.original_dst"

// call is a port of a callee that the member calls.
type call struct {
	use      *ir.Use
	port     *ir.Port
	callee   *ir.Upstream // or
	external *ir.External
}

// outbound are the listeners for calls from the member: one for each bind, and
// with redirection one for each port number that is called.
func (b *builder) outbound() {
	redirected := map[uint16][]call{}
	for i := range b.member.Uses {
		use := &b.member.Uses[i]
		for _, name := range use.Ports {
			c := b.call(use, name)
			if bind := use.Bind(name, b.loopback); bind != "" {
				b.bound(c, bind)
				continue // its port's number may be another call's
			}
			redirected[c.port.Number] = append(redirected[c.port.Number], c)
		}
	}
	if b.scope.Gateway != nil || b.member.Proxy.Interception != ir.InterceptRedirect {
		return
	}
	b.intercepted()
	for _, number := range sortedKeys(redirected) {
		b.virtual(number, redirected[number])
	}
}

func (b *builder) call(use *ir.Use, port string) call {
	if use.External {
		e := b.scope.Externals[use.To]
		return call{use: use, port: e.Port(port), external: e}
	}
	u := b.scope.Upstreams[use.To]
	return call{use: use, port: u.Port(port), callee: u}
}

// bound is the listener on an address of the member's host that stands for one
// callee.
func (b *builder) bound(c call, bind string) {
	at, err := netip.ParseAddrPort(bind)
	if err != nil {
		b.err = err
		return
	}
	name := outboundBind(b.label(c), c.port.Name)
	l := b.outboundListener(name, address(at.Addr().String(), at.Port()), c.use.Pos)
	if c.port.Protocol.IsHTTP() {
		l.FilterChains = []*listenerv3.FilterChain{
			b.outboundHTTP(name, c, true, c.external != nil, b.anyHost(c)...),
		}
	} else {
		l.FilterChains = []*listenerv3.FilterChain{{Name: name, Filters: b.connects(name, c)}}
		if c.external != nil && c.external.ByHost() {
			b.bySNI(l, c.external)
		}
	}
	b.out.Listeners = append(b.out.Listeners, l)
}

// intercepted is the listener that redirected connections come to. It hands each
// to the virtual listener of its original port; what has none is closed, or passes.
func (b *builder) intercepted() {
	l := b.outboundListener(outboundListener, b.everywhere(b.member.Proxy.OutboundPort), source.Position{})
	l.UseOriginalDst = wrapperspb.Bool(true)
	l.ListenerFilters = []*listenerv3.ListenerFilter{b.originalDestination()}
	if l.FilterChains = b.notToItself(); l.FilterChains != nil {
		l.DefaultFilterChain = b.passes()
		b.tellsNames(l)
	} else {
		l.FilterChains = []*listenerv3.FilterChain{b.nowhere()}
	}
	b.out.Listeners = append(b.out.Listeners, l)
	nothing := b.cluster(blackhole, source.Position{})
	nothing.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	b.out.Clusters = append(b.out.Clusters, nothing)
}

// nowhere closes connections that no callee takes, and accounts for them.
func (b *builder) nowhere() *listenerv3.FilterChain {
	filter := b.tcpProxy(blackhole, blackhole, nil, ir.Duration(idleTimeout),
		b.accountsConnections(b.going(clientTCP))...)
	return &listenerv3.FilterChain{Name: blackhole, Filters: []*listenerv3.Filter{filter}}
}

// virtual is the listener of all calls to one port number. Connections below HTTP are told apart by the address that
// they were made to, HTTP by host and TLS by SNI; the linker has made sure that this is enough.
func (b *builder) virtual(number uint16, calls []call) {
	name := outboundNumber(number)
	l := b.outboundListener(name, b.everywhere(number), calls[0].use.Pos)
	l.BindToPort = wrapperspb.Bool(false)
	byAddress := addressed{b: b, name: name, taken: map[netip.Prefix]bool{}}
	var hosts []*routev3.VirtualHost
	var first call // of HTTP
	for _, c := range calls {
		switch {
		case c.port.Protocol.IsHTTP():
			if hosts == nil {
				first = c
			}
			hosts = append(hosts, b.named(c))
		case c.port.Protocol == ir.TLS:
			chain := join(outboundListener, b.label(c), c.port.Name)
			l.ListenerFilters = []*listenerv3.ListenerFilter{b.tlsInspector()}
			l.FilterChains = append(l.FilterChains, &listenerv3.FilterChain{
				Name:             chain,
				FilterChainMatch: &listenerv3.FilterChainMatch{ServerNames: b.hosts(c)},
				Filters:          b.connects(chain, c),
			})
		default:
			byAddress.connections(c)
		}
	}
	if hosts != nil {
		undeclared := b.undeclared(number, first)
		hosts = slices.Concat(hosts, b.instances(number, undeclared), []*routev3.VirtualHost{undeclared})
		byAddress.requests(b.outboundHTTP(name, first, false, b.scope.ExternalsAlone(number), hosts...))
	}
	switch {
	case l.FilterChains != nil: // of TLS
		b.passesBytes(l)
	default:
		byAddress.listen(l)
		if hosts != nil && len(l.FilterChains) == 1 {
			b.onlyHTTP(l)
		}
	}
	b.out.Listeners = append(b.out.Listeners, l)
}

// named has the requests for a callee by the names that it has.
func (b *builder) named(c call) *routev3.VirtualHost {
	if c.external != nil {
		return b.externalHost(c)
	}
	return b.virtualHost(c, b.hosts(c))
}

// anyHost has all requests of a listener for one callee.
func (b *builder) anyHost(c call) []*routev3.VirtualHost {
	if c.external != nil && c.external.ByHost() {
		return []*routev3.VirtualHost{b.externalHost(c)}
	}
	if c.external != nil {
		return []*routev3.VirtualHost{b.externalHost(c), firstHost(b.externalHost(c), c.external)}
	}
	return []*routev3.VirtualHost{b.virtualHost(c, []string{"*"})}
}

func (b *builder) outboundListener(name string, at *corev3.Address, pos source.Position) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name: name, Address: at, TrafficDirection: corev3.TrafficDirection_OUTBOUND, Metadata: positionMetadata(pos),
	}
}

// outboundHTTP routes requests by host, of which it takes any, or those alone that the virtual hosts name; these are
// of externals alone, or of services too. The call is one of them.
func (b *builder) outboundHTTP(name string, c call, anyHost, externals bool,
	hosts ...*routev3.VirtualHost,
) *listenerv3.FilterChain {
	forms := b.scope.FormsOn(c.use, c.port.Name, c.port.Number)
	upgrades := b.scope.UpgradesOn(c.use, c.port.Name, c.port.Number)
	read, routes := b.connectionManager, normalRoutes
	if externals {
		read, routes, forms = b.pathsAsWritten, routesOf, forms.ToExternals()
	}
	m := read(name, b.filtersOf(hosts)...)
	b.takes(m, forms)
	if anyHost {
		b.wantsHost(m)
	}
	ignoreUpgrades(m, upgrades)
	m.AccessLog = b.accounts(b.going(clientHTTP), hosts)
	if b.scope.PassesUndeclared() && !anyHost {
		m.AccessLog = append(m.AccessLog, b.passedRequests())
	}
	b.traces(m, b.going(clientHTTP))
	b.routesByName(m, routes(name, hosts...))
	return &listenerv3.FilterChain{Name: name, Filters: []*listenerv3.Filter{b.networkFilter(hcmFilter, m)}}
}

// virtualHost has the routes of requests for one callee.
func (b *builder) virtualHost(c call, domains []string) *routev3.VirtualHost {
	return &routev3.VirtualHost{
		Name: join(b.label(c), c.port.Name), Domains: domains, Metadata: positionMetadata(c.use.Pos),
		Routes: b.serviceRoutes(c.callee, c.use, c.port),
	}
}

// label names a callee in resources.
func (b *builder) label(c call) string {
	if c.callee != nil {
		return c.callee.QualifiedName()
	}
	return join("external", c.external.Name)
}

// hosts are the names that the member may address the callee by.
func (b *builder) hosts(c call) []string {
	if c.external != nil {
		return c.external.Hosts
	}
	hosts := b.scope.Settings.Hosts(c.callee, b.member.Namespace)
	if dns := c.callee.Workload.DNS; dns != "" && !slices.Contains(hosts, dns) {
		hosts = append(hosts, dns)
	}
	return hosts
}

// idle is how long a connection of the call may be without requests, or without a byte where there are none.
func (b *builder) idle(use *ir.Use, callee *ir.Traffic) ir.Duration {
	return b.scope.Settings.Policy(use, callee).Bounds.IdleTimeout.Value
}

// connects are the filters of connections that are handed on as they are.
func (b *builder) connects(name string, c call) []*listenerv3.Filter {
	counts := b.accountsConnections(b.going(clientTCP))
	if c.external == nil {
		cluster, idle := b.upstream(c.callee, c.use, c.port, ""), b.idle(c.use, &c.callee.Traffic)
		return []*listenerv3.Filter{b.tcpProxy(name, cluster, c.callee, idle, counts...)}
	}
	cluster, idle := b.external(c.external, c.use, c.port), b.idle(c.use, &c.external.Traffic)
	out := []*listenerv3.Filter{b.tcpProxy(name, cluster, nil, idle, counts...)}
	if b.leadsAnywhere(c.external) {
		out = slices.Insert(out, 0, b.forbiddenBytes(name, c.external.Local))
	}
	if b.looksUpWhatIsAsked(c.external) {
		out = slices.Insert(out, 0, b.toAskedName(c.external, c.port))
	}
	return out
}

func (b *builder) originalDestination() *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name:       originalDestinationFilter,
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: b.any(&originaldstv3.OriginalDst{})},
	}
}
