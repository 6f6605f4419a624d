package envoy

import (
	"strconv"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	networkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	destinationInput = "envoy.matching.inputs.destination_ip"
	addressMatcher   = "envoy.matching.custom_matchers.ip_range_matcher"
)

// addressed are the filter chains of a virtual listener whose connections are told apart by the address that they were
// made to. Each leads to that address, or is closed.
type addressed struct {
	b      *builder
	name   string // of the listener
	ranges []*xdsmatcherv3.IPMatcher_IPRangeMatcher
	chains []*listenerv3.FilterChain
	// rest is the name of the chain of all other addresses; "" where these are closed.
	rest string
}

// connections adds those of a port below HTTP.
func (a *addressed) connections(c call) {
	b := a.b
	places, whole := b.scope.Places(c.use, c.port.Name)
	byPort := map[uint16][]ir.Place{}
	for _, p := range places {
		byPort[p.Port] = append(byPort[p.Port], p)
	}
	for _, port := range sortedKeys(byPort) {
		name := join(outboundListener, b.label(c), c.port.Name)
		if port != c.port.Number {
			name = join(name, strconv.Itoa(int(port)))
		}
		a.chains = append(a.chains, &listenerv3.FilterChain{
			Name: name, Filters: []*listenerv3.Filter{b.direct(name, c, port)},
		})
		to := &xdsmatcherv3.IPMatcher_IPRangeMatcher{OnMatch: b.toChain(name)}
		for _, p := range byPort[port] {
			to.Ranges = append(to.Ranges, &xdscorev3.CidrRange{
				AddressPrefix: p.Addr().String(), PrefixLen: wrapperspb.UInt32(uint32(p.Bits())),
			})
		}
		a.ranges = append(a.ranges, to)
	}
	if whole {
		return
	}
	a.rest = a.name
	rest := &listenerv3.FilterChain{Name: a.name}
	if b.scope.ByIdentity(c.use, c.port.Name) {
		rest.Filters = []*listenerv3.Filter{b.direct(a.name, c, c.port.Number)}
	} else {
		rest.Filters = b.connects(a.name, c)
	}
	a.chains = append(a.chains, rest)
}

// requests adds those of HTTP, whatever their address is that is not another callee's.
func (a *addressed) requests(chain *listenerv3.FilterChain) {
	a.rest = chain.Name
	a.chains = append(a.chains, chain)
}

// listen gives the listener the chains. Which of them takes an address is said apart from them, so that addresses
// come and go without ending the connections of others.
func (a *addressed) listen(l *listenerv3.Listener) {
	l.FilterChains = a.chains
	if len(a.ranges) == 0 {
		return // the rest is all there is
	}
	l.FilterChainMatcher = &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{
		MatcherTree: &xdsmatcherv3.Matcher_MatcherTree{
			Input: &xdscorev3.TypedExtensionConfig{
				Name: destinationInput, TypedConfig: a.b.any(&networkv3.DestinationIPInput{}),
			},
			TreeType: &xdsmatcherv3.Matcher_MatcherTree_CustomMatch{CustomMatch: &xdscorev3.TypedExtensionConfig{
				Name: addressMatcher, TypedConfig: a.b.any(&xdsmatcherv3.IPMatcher{RangeMatchers: a.ranges}),
			}},
		},
	}}
	if a.rest == "" {
		l.DefaultFilterChain = a.b.nowhere()
		return
	}
	l.FilterChainMatcher.OnNoMatch = a.b.toChain(a.rest)
}

// toChain leads to the filter chain of that name.
func (b *builder) toChain(name string) *xdsmatcherv3.Matcher_OnMatch {
	return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
		Action: &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: b.any(wrapperspb.String(name))},
	}}
}

// direct hands a connection on to the address that it was made to, at that port: where the callee shows its identity,
// or where an external is.
func (b *builder) direct(name string, c call, port uint16) *listenerv3.Filter {
	counts := b.accountsConnections(b.going(clientTCP))
	if c.external == nil {
		return b.tcpProxy(name, b.directUpstream(c, port), nil, b.idle(c.use, &c.callee.Traffic), counts...)
	}
	idle := b.idle(c.use, &c.external.Traffic)
	if b.goesVia(c.external) {
		return b.tcpProxy(name, b.external(c.external, c.use, c.port), nil, idle, counts...)
	}
	return b.tcpProxy(name, b.directExternal(c), nil, idle, counts...)
}

// directUpstream is the cluster of an instance of the callee at the address that was asked for. Nobody chooses among
// instances, so none is ejected, and none is asked for its health.
func (b *builder) directUpstream(c call, port uint16) string {
	name := join(upstreamCluster(c.callee, c.port.Name, ""), "direct")
	if port != c.port.Number {
		name = join(name, strconv.Itoa(int(port)))
	}
	p := b.scope.Settings.Policy(c.use, &c.callee.Traffic)
	out := b.originalDestinationCluster(name, c, &p, calleeOf(c.callee), c.callee.Name, port)
	if out != nil {
		out.TransportSocket = b.upstreamTLS(c.callee)
	}
	return name
}

func (b *builder) directExternal(c call) string {
	name := join(externalCluster(c.external, c.port.Name), "direct")
	p := b.scope.Settings.Policy(c.use, &c.external.Traffic)
	b.originalDestinationCluster(name, c, &p, c.external.Name, c.external.Name, c.port.Number)
	return name
}

// originalDestinationCluster adds a cluster whose one instance is where the connection was made to; nil when there is
// one of that name already.
func (b *builder) originalDestinationCluster(
	name string, c call, p *ir.Policy, callee, opens string, port uint16,
) *clusterv3.Cluster {
	if b.clusters[name] {
		return nil
	}
	b.clusters[name] = true
	out := b.cluster(name, c.use.Pos)
	standsFor(out, callee, c.port, "")
	connections(out, &p.Bounds)
	b.connectInTime(out, opens)
	out.CircuitBreakers = breakers(&p.Bounds, budgetOf(p))
	out.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST}
	out.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
	if port != c.port.Number {
		out.LbConfig = &clusterv3.Cluster_OriginalDstLbConfig_{
			OriginalDstLbConfig: &clusterv3.Cluster_OriginalDstLbConfig{
				UpstreamPortOverride: wrapperspb.UInt32(uint32(port)),
			},
		}
	}
	b.out.Clusters = append(b.out.Clusters, out)
	return out
}
