package envoy

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/ir"
)

var lbPolicies = map[ir.BalancePolicy]clusterv3.Cluster_LbPolicy{
	"":            clusterv3.Cluster_LEAST_REQUEST,
	ir.RoundRobin: clusterv3.Cluster_ROUND_ROBIN,
	ir.Random:     clusterv3.Cluster_RANDOM,
	ir.RingHash:   clusterv3.Cluster_RING_HASH,
	ir.Maglev:     clusterv3.Cluster_MAGLEV,
}

// balance says how an instance of the callee is chosen.
func (b *builder) balance(c *clusterv3.Cluster, callee *ir.Upstream) {
	lb := &callee.LoadBalancer
	c.LbPolicy = lbPolicies[lb.Policy]
	if lb.SlowStart > 0 {
		slow := &clusterv3.Cluster_SlowStartConfig{SlowStartWindow: duration(lb.SlowStart)}
		if lb.Policy == ir.RoundRobin {
			c.LbConfig = &clusterv3.Cluster_RoundRobinLbConfig_{
				RoundRobinLbConfig: &clusterv3.Cluster_RoundRobinLbConfig{SlowStartConfig: slow},
			}
		} else {
			c.LbConfig = &clusterv3.Cluster_LeastRequestLbConfig_{
				LeastRequestLbConfig: &clusterv3.Cluster_LeastRequestLbConfig{SlowStartConfig: slow},
			}
		}
	}
	if lb.PanicThreshold != nil {
		c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{
			Value: *lb.PanicThreshold,
		}}
	}
}

// hashPolicy says what of a request to the callee is hashed; nil when nothing is.
func hashPolicy(callee *ir.Upstream) []*routev3.RouteAction_HashPolicy {
	if callee == nil || callee.LoadBalancer.Hash == nil {
		return nil
	}
	h := callee.LoadBalancer.Hash
	out := &routev3.RouteAction_HashPolicy{}
	switch {
	case h.Header != "":
		out.PolicySpecifier = &routev3.RouteAction_HashPolicy_Header_{Header: &routev3.RouteAction_HashPolicy_Header{
			HeaderName: h.Header,
		}}
	case h.Cookie != "":
		cookie := &routev3.RouteAction_HashPolicy_Cookie{Name: h.Cookie}
		if h.TTL > 0 {
			cookie.Ttl, cookie.Path = duration(h.TTL), "/"
		}
		out.PolicySpecifier = &routev3.RouteAction_HashPolicy_Cookie_{Cookie: cookie}
	case h.Query != "":
		out.PolicySpecifier = &routev3.RouteAction_HashPolicy_QueryParameter_{
			QueryParameter: &routev3.RouteAction_HashPolicy_QueryParameter{Name: h.Query},
		}
	default:
		out.PolicySpecifier = &routev3.RouteAction_HashPolicy_ConnectionProperties_{
			ConnectionProperties: &routev3.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true},
		}
	}
	return []*routev3.RouteAction_HashPolicy{out}
}

// hashConnections has connections to a callee that hashes go by their caller's
// address.
func hashConnections(p *tcpproxyv3.TcpProxy, callee *ir.Upstream) {
	if callee == nil || !callee.LoadBalancer.Policy.Hashes() {
		return
	}
	p.HashPolicy = []*typev3.HashPolicy{
		{PolicySpecifier: &typev3.HashPolicy_SourceIp_{SourceIp: &typev3.HashPolicy_SourceIp{}}},
	}
}
