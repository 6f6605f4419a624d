package envoy

import (
	"net/netip"
	"strconv"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	dynamicclusterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dynamic_forward_proxy/v3"
	dynamicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/dynamic_forward_proxy/v3"
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	httpdynamicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/dynamic_forward_proxy/v3"
	httpstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	snidynamicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	dynamicCluster    = "envoy.clusters.dynamic_forward_proxy"
	httpStateFilter   = "envoy.filters.http.set_filter_state"
	httpDynamicFilter = "envoy.filters.http.dynamic_forward_proxy"
	dynamicHost       = "envoy.upstream.dynamic_host"
	dynamicPort       = "envoy.upstream.dynamic_port"
	sniDynamicFilter  = "envoy.filters.network.sni_dynamic_forward_proxy"
)

// hostWithoutPort is the host of a request that has an [ir.Authority]. With a port behind it Envoy's cluster would go
// by that port, whatever [dynamicPort] is.
const hostWithoutPort = `%CEL(re.extract(request.host, "^([^:]*)", "\\1"))%`

// looksUpWhatIsAsked reports whether the proxy looks up the names that callers of an external ask for, as its hosts
// stand for all names below a domain.
func (b *builder) looksUpWhatIsAsked(e *ir.External) bool {
	return e.ByHost() && len(e.Endpoints) == 0 && !b.scope.GoesVia(e)
}

// dynamic has a cluster connect to the host that was asked for. All names are kept in one cache, or those of externals
// that may be local in another one.
func (b *builder) dynamic(c *clusterv3.Cluster, e *ir.External, port *ir.Port) {
	c.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
	c.ClusterDiscoveryType = b.clusterType(dynamicCluster, &dynamicclusterv3.ClusterConfig{
		ClusterImplementationSpecifier: &dynamicclusterv3.ClusterConfig_DnsCacheConfig{
			DnsCacheConfig: b.askedNames(e.Local),
		},
		// TLS that is originated here has the host in its handshake and its certificate ([severalHosts]).
		AllowInsecureClusterOptions: port.Protocol != ir.HTTPS,
	})
}

// askedNames keeps the addresses of names that callers asked for. Of an answer what no proxy may be led to is taken
// away, so that nothing connects there, not even for a handshake.
func (b *builder) askedNames(local bool) *dynamicv3.DnsCacheConfig {
	out := &dynamicv3.DnsCacheConfig{
		Name: "asked", DnsLookupFamily: clusterv3.Cluster_V4_PREFERRED, DnsRefreshRate: durationpb.New(lookUpEvery),
		DnsMinRefreshRate: durationpb.New(lookUpEvery), ResolvedAddressFilter: &matcherv3.AddressMatcher{},
		TypedDnsResolverConfig: b.resolverOf(&caresv3.CaresDnsResolverConfig{
			DnsResolverOptions: &corev3.DnsResolverOptions{NoDefaultSearchDomain: true}, // they are whole names
		}),
	}
	if local {
		out.Name += "-local"
	}
	for _, network := range b.noAnswers() {
		if !local || !network.Contains(netip.IPv6Loopback()) && !network.Addr().IsLoopback() {
			out.ResolvedAddressFilter.Ranges = append(out.ResolvedAddressFilter.Ranges, rangeOf(network))
		}
	}
	return out
}

// noAnswers are the networks to which no name that callers ask for may lead: where no proxy may be led, IPv4 addresses
// in the form of IPv6, and meshc serve where the spec has its address.
func (b *builder) noAnswers() []netip.Prefix {
	networks := append(ir.ForbiddenRanges(), netip.MustParsePrefix("::ffff:0:0/96"))
	if server, err := netip.ParseAddrPort(b.member.Proxy.Server); err == nil {
		ip := server.Addr().Unmap()
		networks = append(networks, netip.PrefixFrom(ip, ip.BitLen()))
	}
	return networks
}

// toAskedHost has a route lead to the host of its requests, at the port of the external whatever port they name. It
// takes those with an [ir.Authority] alone: without its port "10.0.0.1:x.example.com:80" ends like a name below
// example.com, and would lead to the address.
func (b *builder) toAskedHost(route *routev3.Route, e *ir.External, port *ir.Port) {
	state := func(key, value string) *statev3.FilterStateValue {
		return &statev3.FilterStateValue{
			Key: &statev3.FilterStateValue_ObjectKey{ObjectKey: key},
			Value: &statev3.FilterStateValue_FormatString{FormatString: &corev3.SubstitutionFormatString{
				Format: &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: inline([]byte(value))},
			}},
		}
	}
	b.perRoute(route, httpStateFilter, &httpstatev3.Config{OnRequestHeaders: []*statev3.FilterStateValue{
		state(dynamicHost, hostWithoutPort), state(dynamicPort, strconv.Itoa(int(port.Target))),
	}})
	route.Match.Headers = append(route.Match.Headers,
		headerMatch(ir.StringMatch{Name: ":authority", Kind: ir.MatchRegex, Value: ir.Authority}))
	b.perRoute(route, dynamicFilter(e.Local), &httpdynamicv3.PerRouteConfig{})
}

// dynamicFilter looks up the hosts of requests to externals that may be local, or may not.
func dynamicFilter(local bool) string {
	if local {
		return httpDynamicFilter + ".local"
	}
	return httpDynamicFilter
}

// looksHostsUp is what that filter does.
func looksHostsUp(local bool) func(*builder) proto.Message {
	return func(b *builder) proto.Message {
		names := &httpdynamicv3.FilterConfig_DnsCacheConfig{DnsCacheConfig: b.askedNames(local)}
		return &httpdynamicv3.FilterConfig{ImplementationSpecifier: names, AllowDynamicHostFromFilterState: true}
	}
}

// toAskedName has connections lead to the name in their handshake.
func (b *builder) toAskedName(e *ir.External, port *ir.Port) *listenerv3.Filter {
	return b.networkFilter(sniDynamicFilter, &snidynamicv3.FilterConfig{
		DnsCacheConfig: b.askedNames(e.Local),
		PortSpecifier:  &snidynamicv3.FilterConfig_PortValue{PortValue: uint32(port.Target)},
	})
}

// bySNI has a listener take the connections alone whose handshake names a host of an external.
func (b *builder) bySNI(l *listenerv3.Listener, e *ir.External) {
	l.ListenerFilters = []*listenerv3.ListenerFilter{b.tlsInspector()}
	l.FilterChains[0].FilterChainMatch = &listenerv3.FilterChainMatch{ServerNames: e.Hosts}
}
