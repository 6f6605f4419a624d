package envoy

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// healthChecks probe the instances of a callee.
func healthChecks(c *clusterv3.Cluster, callee *ir.Upstream, port *ir.Port) {
	h := callee.Health
	if !h.Probes(port) {
		return
	}
	check := &corev3.HealthCheck{
		Interval: duration(h.Interval), Timeout: duration(h.Timeout),
		// Without requests instances fail too.
		NoTrafficInterval:  duration(h.Interval),
		UnhealthyThreshold: wrapperspb.UInt32(h.UnhealthyAfter), HealthyThreshold: wrapperspb.UInt32(h.HealthyAfter),
	}
	switch h.Kind {
	case ir.HealthHTTP:
		codec := typev3.CodecClientType_HTTP2
		if callee.Forms.HTTP1(port) {
			codec = typev3.CodecClientType_HTTP1
		}
		check.HealthChecker = &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{
			Host: callee.Name, Path: h.Path, CodecClientType: codec,
		}}
	case ir.HealthGRPC:
		check.HealthChecker = &corev3.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: &corev3.HealthCheck_GrpcHealthCheck{
			ServiceName: h.Service, Authority: callee.Name,
		}}
	default:
		check.HealthChecker = &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}}
	}
	c.HealthChecks = []*corev3.HealthCheck{check}
	mergeNothing(c)
}

// mergeNothing has changes of health and weight hold at once; Envoy would else
// gather them for a second.
func mergeNothing(c *clusterv3.Cluster) {
	if c.CommonLbConfig == nil {
		c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{}
	}
	c.CommonLbConfig.UpdateMergeWindow = durationpb.New(0)
}
