package envoy

import (
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const metricsService = "envoy.stat_sinks.metrics_service"

// ReportInterval is how often a proxy tells meshc serve what it has counted: Envoy's default, at which it brings its
// histograms up to date whether somebody reads them or not.
const ReportInterval = 5 * time.Second

// reportMetrics is how many metrics are in one message at most, so that it stays below a megabyte.
const reportMetrics = 1000

// reports has the proxy tell meshc serve what it counts, over the connection by which it gets its configuration. A
// report says by how much counters grew, and the quantiles of the durations, since the last one: so one that reaches
// another server, or comes from a proxy that was started again, needs nothing of those before it.
func (b *builder) reports(boot *bootstrapv3.Bootstrap) {
	boot.StatsFlushInterval = durationpb.New(ReportInterval)
	boot.StatsSinks = []*metricsv3.StatsSink{{
		Name: metricsService,
		ConfigType: &metricsv3.StatsSink_TypedConfig{TypedConfig: b.any(&metricsv3.MetricsServiceConfig{
			GrpcService: &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: serverCluster},
			}},
			TransportApiVersion:    corev3.ApiVersion_V3,
			ReportCountersAsDeltas: wrapperspb.Bool(true),
			EmitTagsAsLabels:       true,
			HistogramEmitMode:      metricsv3.HistogramEmitMode_SUMMARY,
			BatchSize:              reportMetrics,
		})},
	}}
}

// CalleeLabel is how the metrics of proxies name a service.
func CalleeLabel(u *ir.Upstream) string { return calleeOf(u) }
