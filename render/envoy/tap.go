package envoy

import (
	"fmt"
	"slices"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/process_ratelimit/v3"
	otelv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const rateLogFilter = "envoy.access_loggers.extension_filters.process_ratelimit"

// What a proxy shows of its requests to who taps it. It has a log of them that is off: a filter asks its runtime, which
// meshc serve sets for as long as somebody taps, so no listener changes when a tap begins or ends.
const (
	// TapLayer is the layer of the runtime that meshc serve sets.
	TapLayer = "meshc.tap"
	// TapBucket is the bucket that bounds how many lines a proxy sends, over all its listeners and workers.
	TapBucket = "meshc.tap"
	// TapRate is how many lines a proxy sends in a second at most.
	TapRate = 100
	// TapStatusFrom and TapStatusTo bound the status of the requests that are shown. A request without one has 0.
	TapStatusFrom, TapStatusTo = "meshc.tap.status_from", "meshc.tap.status_to"
	// TapDropped is the statistic of the lines that a proxy left out, as they were too many.
	TapDropped = tapStats + "denied"

	tapStats = "access_log.process_ratelimit."
	// TapMaxStatus is above every status.
	TapMaxStatus = 999
)

// TapKey turns on the lines of a kind ("http.client"). TapEdge turns on those to a port of a callee among them, as
// metrics name the two, or those to all for an empty callee.
func TapKey(kind string) string { return "meshc.tap." + kind }

func TapEdge(kind, callee, port string) string {
	if callee == "" {
		return TapKey(kind) + " *"
	}
	return TapKey(kind) + " " + callee + ":" + port
}

// The kinds of lines that a tap shows.
const (
	OperatorClientHTTP, TapServerHTTP = clientHTTP, serverHTTP
	OperatorClientTCP, TapServerTCP   = clientTCP, serverTCP
)

// tapped reports whether the proxy can be tapped: where somebody may, and a server can ask it to.
func (b *builder) tapped() bool {
	s := b.scope.Settings
	return s.Operators != nil && s.Delivery != ir.DeliveryStatic && !b.proxyless
}

// taps adds the logs of requests that the routes of these hosts take, without and with details.
func (b *builder) taps(logs []*accesslogv3.AccessLog, m measured, hosts []*routev3.VirtualHost,
) []*accesslogv3.AccessLog {
	if !b.tapped() {
		return logs
	}
	var which []*accesslogv3.AccessLogFilter
	if m.kind == clientHTTP {
		edges := []*accesslogv3.AccessLogFilter{whenRuntime(TapEdge(m.kind, "", ""))}
		for _, e := range b.calleesOf(hosts) {
			its := whenRuntime(TapEdge(m.kind, e.callee, e.port))
			edges = append(edges, everyFilter(its, b.expression(e.expression())))
		}
		which = append(which, orFilter(edges))
	} else {
		which = append(which, whenRuntime(TapEdge(m.kind, m.callee, m.port)))
	}
	which = append(which,
		withStatus(accesslogv3.ComparisonFilter_GE, 0, TapStatusFrom),
		withStatus(accesslogv3.ComparisonFilter_LE, TapMaxStatus, TapStatusTo))
	alone := append([]*accesslogv3.AccessLogFilter{whenRuntime(TapKey(m.kind))}, which...)
	return append(logs, b.tap(b.requestLine(m, false), alone), b.tapDetails(m, which))
}

// tapsConnections is [builder.taps] below HTTP.
func (b *builder) tapsConnections(logs []*accesslogv3.AccessLog, m measured) []*accesslogv3.AccessLog {
	if !b.tapped() {
		return logs
	}
	which := []*accesslogv3.AccessLogFilter{whenRuntime(TapKey(m.kind))}
	if m.kind == serverTCP {
		which = append(which, whenRuntime(TapEdge(m.kind, m.callee, m.port)))
	}
	return append(logs, b.tap(b.connectionLine(m), which))
}

// tap sends each line by itself, over a connection to meshc serve, when it passes the filters and the bound.
func (b *builder) tap(l line, which []*accesslogv3.AccessLogFilter) *accesslogv3.AccessLog {
	return &accesslogv3.AccessLog{
		Name: otlpLogger, Filter: everyFilter(append(which, b.boundedTap())...),
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: b.any(&otelv3.OpenTelemetryAccessLogConfig{
			GrpcService: &corev3.GrpcService{
				Timeout: durationpb.New(reportTimeout),
				TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
					ClusterName: serverCluster, SkipEnvoyHeaders: true,
				}},
			},
			Attributes: l.attributes(),
			// A line is sent at once, so there is nothing to look after while there are none.
			BufferSizeBytes: wrapperspb.UInt32(1), BufferFlushInterval: durationpb.New(time.Hour),
		})},
	}
}

// boundedTap passes as many as the bucket has, which meshc serve gives to all proxies.
func (b *builder) boundedTap() *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{
		ExtensionFilter: &accesslogv3.ExtensionFilter{
			Name: rateLogFilter, ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{
				TypedConfig: b.any(&ratelimitv3.ProcessRateLimitFilter{
					DynamicConfig: &ratelimitv3.DynamicTokenBucket{ResourceName: TapBucket, ConfigSource: ads()},
				}),
			},
		},
	}}
}

// TapBound is the bucket that bounds lines.
func TapBound() *typev3.TokenBucket {
	return &typev3.TokenBucket{
		MaxTokens: TapRate, TokensPerFill: wrapperspb.UInt32(TapRate), FillInterval: durationpb.New(time.Second),
	}
}

// whenRuntime passes everything while the runtime sets that key, and nothing else.
func whenRuntime(key string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_RuntimeFilter{
		RuntimeFilter: &accesslogv3.RuntimeFilter{
			RuntimeKey: key, PercentSampled: &typev3.FractionalPercent{}, UseIndependentRandomness: true,
		},
	}}
}

// orFilter is [anyFilter] of one or more.
func orFilter(filters []*accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	if len(filters) == 1 {
		return filters[0]
	}
	return anyFilter(filters...)
}

// tapCallee is a port of a callee that routes lead to.
type tapCallee struct{ callee, port string }

// expression is true of requests that went there.
func (c tapCallee) expression() string {
	const says = "xds.cluster_metadata.filter_metadata['" + metadataNamespace + "']"
	return fmt.Sprintf("%s['%s'] == %q && %s['%s'] == %q", says, metadataCallee, c.callee, says, metadataPort, c.port)
}

// calleesOf are those to which the routes of hosts lead, sorted.
func (b *builder) calleesOf(hosts []*routev3.VirtualHost) (out []tapCallee) {
	at := map[string]tapCallee{}
	for _, c := range b.out.Clusters {
		said := c.GetMetadata().GetFilterMetadata()[metadataNamespace].GetFields()
		if callee := said[metadataCallee].GetStringValue(); callee != "" {
			at[c.Name] = tapCallee{callee, said[metadataPort].GetStringValue()}
		}
	}
	add := func(cluster string) {
		if c, known := at[cluster]; known && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	for _, host := range hosts {
		for _, r := range host.Routes {
			add(r.GetRoute().GetCluster())
			for _, w := range r.GetRoute().GetWeightedClusters().GetClusters() {
				add(w.GetName())
			}
		}
	}
	slices.SortFunc(out, func(a, b tapCallee) int {
		return slices.Compare([]string{a.callee, a.port}, []string{b.callee, b.port})
	})
	return out
}

// tapRuntime is the layer that meshc serve sets for taps.
func (b *builder) tapRuntime(boot *bootstrapv3.Bootstrap) { ownLayer(boot, TapLayer) }

// withoutTaps are the logs of a proxy that no server can ask.
func withoutTaps(logs []*accesslogv3.AccessLog) []*accesslogv3.AccessLog {
	return slices.DeleteFunc(logs, func(l *accesslogv3.AccessLog) bool {
		bounded := func(f *accesslogv3.AccessLogFilter) bool {
			return f.GetExtensionFilter().GetName() == rateLogFilter
		}
		return slices.ContainsFunc(l.GetFilter().GetAndFilter().GetFilters(), bounded)
	})
}
