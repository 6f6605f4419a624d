package envoy

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// connections says how connections to an upstream are opened and kept.
func connections(c *clusterv3.Cluster, bounds *ir.Bounds) {
	c.ConnectTimeout = duration(bounds.ConnectTimeout.Value)
	if bounds.Keepalive() {
		c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{
			TcpKeepalive: keepalive(bounds.KeepaliveTime.Value, bounds.KeepaliveInterval.Value,
				bounds.KeepaliveProbes.Value),
		}
	}
}

// keepalive of TCP, with the system's values where nothing is said.
func keepalive(time, interval ir.Duration, probes uint32) *corev3.TcpKeepalive {
	out := &corev3.TcpKeepalive{}
	if time > 0 {
		out.KeepaliveTime = wrapperspb.UInt32(wholeSeconds(time))
	}
	if interval > 0 {
		out.KeepaliveInterval = wrapperspb.UInt32(wholeSeconds(interval))
	}
	if probes > 0 {
		out.KeepaliveProbes = wrapperspb.UInt32(probes)
	}
	return out
}

// asks has a listener find out that a caller is gone whose host cannot say so any more.
func asks(l *listenerv3.Listener, h *ir.LastHop) *listenerv3.Listener {
	l.TcpKeepalive = keepalive(h.KeepaliveTime, h.KeepaliveInterval, h.KeepaliveProbes)
	return l
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

// boundByCaller is for connections that the proxy before this one ends when nothing moves on them.
const boundByCaller ir.Duration = 0

// idleByCaller has a connection manager leave it to the caller's proxy, or the gateway, to end requests on which
// nothing moves, and connections without any: it knows how long the caller wants them kept.
func idleByCaller(m *hcmv3.HttpConnectionManager) {
	m.StreamIdleTimeout, m.CommonHttpProtocolOptions.IdleTimeout = duration(boundByCaller), duration(boundByCaller)
}
