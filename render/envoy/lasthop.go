package envoy

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// application adds the cluster of the service's own application on that port.
func (b *builder) application(port *ir.Port) string {
	name := inboundName(port.Name)
	if b.clusters[name] {
		return name
	}
	b.clusters[name] = true
	c := b.cluster(name, port.Pos)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LoadAssignment = single(name, address(b.loopback, b.target(port)))
	c.CircuitBreakers = toApplication(&b.scope.Service.LastHop, port)
	if port.Protocol.IsHTTP() {
		options := towardsAProxy(&httpv3.HttpProtocolOptions{})
		if b.member.Proxy.Requests.KeepsCase(port) {
			byHTTP1(options, b.http1Towards(true))
		}
		b.httpOptions(c, http2Where(port), b.scope.Service.LastHop.IdleTimeout, options)
	}
	b.out.Clusters = append(b.out.Clusters, c)
	return name
}

const unboundedCount = 1 << 30

// unbounded are circuit breakers that are out of the way: others bound what comes in, and the tries of each request.
func unbounded() *clusterv3.CircuitBreakers {
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections: wrapperspb.UInt32(unboundedCount), MaxPendingRequests: wrapperspb.UInt32(unboundedCount),
		MaxRequests: wrapperspb.UInt32(unboundedCount), MaxRetries: wrapperspb.UInt32(unboundedCount),
	}}}
}

// toApplication bounds the connections to a port of the application, where the service says how many it takes. Of a
// burst each request waits until its connection is open, and Envoy counts it among those that wait for one to become
// free: so as many more may wait.
func toApplication(h *ir.LastHop, port *ir.Port) *clusterv3.CircuitBreakers {
	out := unbounded()
	if h.Bounded(port) {
		bounds := out.Thresholds[0]
		bounds.MaxConnections = wrapperspb.UInt32(h.Max)
		bounds.MaxPendingRequests = wrapperspb.UInt32(min(h.Max+h.MaxPending, unboundedCount))
	}
	return out
}

// onceMore sends requests again, once, that the application gave back unread, and over HTTP/1.1 those that met a
// connection which it was just closing. Envoy cannot tell those from one that the application died of; so they are
// requests that change nothing (RFC 9110, 9.2.2), as Go's client and curl have it. The others get 503, and the header
// that says so.
func onceMore(port *ir.Port) *routev3.RetryPolicy {
	if port.Protocol.Multiplexed() { // where the end of a connection is announced
		return &routev3.RetryPolicy{RetryOn: refusedStream, NumRetries: wrapperspb.UInt32(1)}
	}
	return &routev3.RetryPolicy{
		RetryOn: brokenOff, NumRetries: wrapperspb.UInt32(1),
		RetriableRequestHeaders: []*routev3.HeaderMatcher{
			headerMatch(ir.StringMatch{Name: ":method", Kind: ir.MatchRegex, Value: "GET|HEAD|OPTIONS|TRACE"}),
		},
		RetryBackOff: &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(time.Millisecond), MaxInterval: durationpb.New(10 * time.Millisecond),
		},
	}
}
