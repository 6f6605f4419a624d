package envoy

import (
	"net/netip"
	"slices"
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
	taken  map[netip.Prefix]bool // that have a chain
	closed []netip.Prefix        // within ranges, where no proxy may be led to
	// rest is the name of the chain of all other addresses; "" where these are closed, or pass.
	rest string
}

// connections adds those of a port below HTTP.
func (a *addressed) connections(c call) {
	b := a.b
	places, whole := b.scope.Places(c.use, c.port.Name)
	known := b.options.Addresses[c.use.To]
	if c.external == nil {
		places = append(places, instancesAt(known.Instances, c.callee.InstancePort(c.port))...)
	}
	byPort := map[uint16][]ir.Place{}
	for _, p := range places {
		byPort[p.Port] = append(byPort[p.Port], p)
	}
	crowded := b.scope.Crowded(c.use, c.port.Name)
	if at := b.reachedAt(c); crowded && c.callee.Workload.InCluster() && byPort[at] == nil {
		byPort[at] = []ir.Place{} // its connections stay while no instance is there
	}
	name := join(outboundListener, b.label(c), c.port.Name)
	for _, port := range sortedKeys(byPort) {
		chain := name
		if port != c.port.Number {
			chain = join(chain, strconv.Itoa(int(port)))
		}
		a.leads(byPort[port], chain, []*listenerv3.Filter{b.direct(chain, c, port)})
	}
	told := len(known.Services) > 0
	if b.scope.Told(c.use) { // which may be at any time, and then only adds a row
		chain := join(name, "service")
		a.leads(instancesAt(known.Services, c.port.Number), chain, b.connects(chain, c))
		whole = whole || (told || b.scope.PassesUndeclared()) && b.scope.ByService(c.use) &&
			len(c.callee.Workload.Endpoints) > 0
	}
	if whole || crowded {
		return
	}
	a.rest = a.name
	rest := &listenerv3.FilterChain{Name: a.name}
	if b.scope.ByIdentity(c.use, c.port.Name) && (!b.scope.ByService(c.use) || told) {
		rest.Filters = []*listenerv3.Filter{b.direct(a.name, c, b.reachedAt(c))}
	} else {
		rest.Filters = b.connects(a.name, c)
	}
	a.chains = append(a.chains, rest)
}

// reachedAt is the port of an instance at an address that is asked for and nobody knows.
func (b *builder) reachedAt(c call) uint16 {
	if c.callee != nil {
		return c.callee.ReachedAt(c.port)
	}
	return c.port.Number
}

// instancesAt are addresses at that port.
func instancesAt(addresses []string, port uint16) []ir.Place {
	var out []ir.Place
	for _, a := range addresses {
		if ip, err := netip.ParseAddr(a); err == nil {
			ip = ip.Unmap()
			out = append(out, ir.Place{Prefix: netip.PrefixFrom(ip, ip.BitLen()), Port: port})
		}
	}
	return out
}

// leads has connections to those places go to a chain. An address that an earlier callee has stays with it: two ways
// for one address are refused by Envoy, with the whole listener, and an address that is given to somebody else is
// told to one before the other.
func (a *addressed) leads(places []ir.Place, chain string, filters []*listenerv3.Filter) {
	a.chains = append(a.chains, &listenerv3.FilterChain{Name: chain, Filters: filters})
	to := &xdsmatcherv3.IPMatcher_IPRangeMatcher{OnMatch: a.b.toChain(chain)}
	for _, p := range places {
		if a.taken[p.Prefix] {
			continue
		}
		a.taken[p.Prefix] = true
		to.Ranges = append(to.Ranges, rangeOf(p.Prefix))
		for _, f := range ir.ForbiddenWithin(p.Prefix) {
			if !slices.Contains(a.closed, f) {
				a.closed = append(a.closed, f)
			}
		}
	}
	if to.Ranges != nil {
		a.ranges = append(a.ranges, to)
	}
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
	if a.rest != "" && len(a.chains) == 1 {
		return // the rest is all there is
	}
	if a.closed != nil {
		nowhere := a.b.nowhere()
		to := &xdsmatcherv3.IPMatcher_IPRangeMatcher{OnMatch: a.b.toChain(nowhere.Name)}
		for _, network := range a.closed {
			if !a.taken[network] {
				to.Ranges = append(to.Ranges, rangeOf(network))
			}
		}
		a.ranges, l.FilterChains = append(a.ranges, to), append(l.FilterChains, nowhere)
		if !a.b.scope.PassesUndeclared() {
			a.rest = nowhere.Name // beside a range there are no others
		}
	}
	if a.rest == "" && len(a.ranges) == 0 {
		others := a.b.passes()
		a.rest, l.FilterChains = others.Name, append(l.FilterChains, others)
	}
	if len(a.ranges) == 0 { // no address is known yet
		l.FilterChainMatcher = &xdsmatcherv3.Matcher{OnNoMatch: a.b.toChain(a.rest)}
		return
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
		l.DefaultFilterChain = a.b.passes()
		return
	}
	l.FilterChainMatcher.OnNoMatch = a.b.toChain(a.rest)
}

func rangeOf(network netip.Prefix) *xdscorev3.CidrRange {
	return &xdscorev3.CidrRange{
		AddressPrefix: network.Addr().String(), PrefixLen: wrapperspb.UInt32(uint32(network.Bits())),
	}
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
	if b.scope.GoesVia(c.external) {
		return b.tcpProxy(name, b.external(c.external, c.use, c.port), nil, idle, counts...)
	}
	return b.tcpProxy(name, b.directExternal(c), nil, idle, counts...)
}

// directUpstream is the cluster of an instance of the callee at the address that was asked for. Nobody chooses among
// instances, so none is ejected, and none is asked for its health.
func (b *builder) directUpstream(c call, port uint16) string {
	name := directName(upstreamCluster(c.callee, c.port.Name, ""), c.port, port)
	p := b.scope.Settings.Policy(c.use, &c.callee.Traffic)
	out := b.originalDestinationCluster(name, c, &p, calleeOf(c.callee), c.callee.Name, port)
	if out != nil {
		b.toProxies(out, c.callee, c.port, &p.Bounds, nil)
	}
	return name
}

// directName is what a name of a callee's port becomes for an instance of which that port is at another one.
func directName(name string, port *ir.Port, at uint16) string {
	if at != port.Number {
		return join(name, "direct", strconv.Itoa(int(at)))
	}
	return join(name, "direct")
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
	out.CircuitBreakers = breakers(&p.Bounds, b.retryBudget(opens, p))
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
