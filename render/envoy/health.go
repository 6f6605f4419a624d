package envoy

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// maxEjection is how long Envoy ejects at most unless told otherwise.
const maxEjection = 300 * time.Second

// outlierDetection ejects by errors in a row alone: by statistics Envoy would too,
// unless told not to. One instance may always be out, however few there are.
func outlierDetection(o *ir.Outliers) *clusterv3.OutlierDetection {
	if o == nil {
		o = ir.DefaultOutliers()
	}
	out := &clusterv3.OutlierDetection{
		Consecutive_5Xx:      wrapperspb.UInt32(o.Consecutive5xx),
		Interval:             duration(o.Interval),
		BaseEjectionTime:     duration(o.EjectFor),
		MaxEjectionPercent:   wrapperspb.UInt32(uint32(o.MaxEjected)),
		EnforcingSuccessRate: wrapperspb.UInt32(0),
	}
	if o.MaxEjected > 0 {
		out.AlwaysEjectOneHost = wrapperspb.Bool(true)
	}
	if most := ir.Duration(maxEjection); o.EjectFor > most {
		out.MaxEjectionTime = duration(o.EjectFor)
	}
	return out
}

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
		check.HealthChecker = &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{
			Host: callee.Name, Path: h.Path, CodecClientType: typev3.CodecClientType_HTTP2,
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
