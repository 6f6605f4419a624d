package envoy

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// connections says how connections to an upstream are opened and kept.
func connections(c *clusterv3.Cluster, bounds *ir.Bounds) {
	c.ConnectTimeout = duration(bounds.ConnectTimeout.Value)
	if !bounds.Keepalive() {
		return
	}
	keepalive := &corev3.TcpKeepalive{}
	if t := bounds.KeepaliveTime.Value; t > 0 {
		keepalive.KeepaliveTime = wrapperspb.UInt32(wholeSeconds(t))
	}
	if t := bounds.KeepaliveInterval.Value; t > 0 {
		keepalive.KeepaliveInterval = wrapperspb.UInt32(wholeSeconds(t))
	}
	if n := bounds.KeepaliveProbes.Value; n > 0 {
		keepalive.KeepaliveProbes = wrapperspb.UInt32(n)
	}
	c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: keepalive}
}

func wholeSeconds(d ir.Duration) uint32 { return uint32(time.Duration(d) / time.Second) }

// breakers bound what a proxy has open to an upstream. Retries are bounded by
// a share of the requests in flight.
func breakers(bounds *ir.Bounds, retries budget) *clusterv3.CircuitBreakers {
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections:     wrapperspb.UInt32(bounds.Max.Value),
		MaxPendingRequests: wrapperspb.UInt32(bounds.MaxPending.Value),
		MaxRequests:        wrapperspb.UInt32(bounds.MaxRequests.Value),
		RetryBudget: &clusterv3.CircuitBreakers_Thresholds_RetryBudget{
			BudgetPercent:       &typev3.Percent{Value: retries.percent},
			MinRetryConcurrency: wrapperspb.UInt32(retries.minConcurrency),
		},
	}}}
}
