package envoy

import (
	"fmt"
	"net/http"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/stats/v3"
	sinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/stat_sinks/open_telemetry/v3"
	detectorsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/resource_detectors/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	pushName  = "push"
	otelSink  = "envoy.stat_sinks.open_telemetry"
	otlpPath  = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
	pushedAll = `meshc\..*`
)

// pushes has the proxy send the mesh's metrics by OTLP. Envoy takes the cluster for that from the bootstrap alone, and
// asks for it where no listener within the proxy is: so it sends them to a socket of its own, whose listener hands them
// on to the collector of the moment (docs/decisions/0039-metrics-are-pushed-through-a-socket.md).
func (b *builder) pushes(boot *bootstrapv3.Bootstrap) {
	if b.member.Push == nil {
		return
	}
	boot.StatsFlushInterval = durationpb.New(ReportInterval)
	attributes := map[string]string{}
	for _, a := range b.resourceAttributes() {
		attributes[a.name] = a.value
	}
	boot.StaticResources.Clusters = append(boot.StaticResources.Clusters, b.pushCluster())
	boot.StatsSinks = append(boot.StatsSinks, &metricsv3.StatsSink{
		Name: otelSink, ConfigType: &metricsv3.StatsSink_TypedConfig{TypedConfig: b.any(&sinkv3.SinkConfig{
			ProtocolSpecifier: &sinkv3.SinkConfig_GrpcService{GrpcService: &corev3.GrpcService{
				Timeout: durationpb.New(reportTimeout),
				TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
					ClusterName: pushName, SkipEnvoyHeaders: true,
				}},
			}},
			ResourceDetectors: []*corev3.TypedExtensionConfig{{
				Name: resourceDetector, TypedConfig: b.any(&detectorsv3.StaticConfigResourceDetectorConfig{
					Attributes: attributes,
				}),
			}},
			CustomMetricConversions: b.pushedAlone(), MaxDataPointsPerRequest: reportMetrics,
		})},
	})
}

// pushedAlone drops what are not the mesh's metrics.
func (b *builder) pushedAlone() *xdsmatcherv3.Matcher {
	single := &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate{
		Input: &xdscorev3.TypedExtensionConfig{
			Name: "name", TypedConfig: b.any(&statsv3.StatFullNameMatchInput{}),
		},
		Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{
			ValueMatch: &xdsmatcherv3.StringMatcher{MatchPattern: &xdsmatcherv3.StringMatcher_SafeRegex{
				SafeRegex: &xdsmatcherv3.RegexMatcher{
					EngineType: &xdsmatcherv3.RegexMatcher_GoogleRe2{GoogleRe2: &xdsmatcherv3.RegexMatcher_GoogleRE2{}},
					Regex:      pushedAll,
				},
			}},
		},
	}
	other := &xdsmatcherv3.Matcher_MatcherList_Predicate{
		MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher{
			NotMatcher: &xdsmatcherv3.Matcher_MatcherList_Predicate{
				MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{SinglePredicate: single},
			},
		},
	}
	drop := &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
		Action: &xdscorev3.TypedExtensionConfig{Name: "drop", TypedConfig: b.any(&sinkv3.SinkConfig_DropAction{})},
	}}
	return &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherList_{
		MatcherList: &xdsmatcherv3.Matcher_MatcherList{
			Matchers: []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher{{Predicate: other, OnMatch: drop}},
		},
	}}
}

// pushAddress is a socket of the host or pod, without a file. Others there can connect to it or be there first: so both
// ends show the proxy's own certificate.
func (b *builder) pushAddress() *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{
		Path: fmt.Sprintf("@meshc-push-%s-%d", b.loopback, b.member.Proxy.AdminPort),
	}}}
}

func (b *builder) pushCluster() *clusterv3.Cluster {
	c := b.cluster(pushName, b.member.Push.Pos)
	c.Metadata = nil
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LoadAssignment = single(pushName, b.pushAddress())
	c.TransportSocket = b.transportSocket(b.byFiles(b.member.Identity, pushName))
	b.httpOptions(c, &corev3.Http2ProtocolOptions{}, ir.Duration(idleTimeout), &httpv3.HttpProtocolOptions{})
	return c
}

// push is the listener by which the proxy's own metrics, and nothing else, go to the collector.
func (b *builder) push() {
	if b.member.Push == nil || !b.collected() {
		return
	}
	to := b.collector().GetEnvoyGrpc()
	match := pathMatch(ir.PathMatch{Kind: ir.MatchExact, Value: otlpPath})
	match.Headers = []*routev3.HeaderMatcher{
		headerMatch(ir.StringMatch{Name: ":method", Kind: ir.MatchExact, Value: http.MethodPost}),
	}
	m := b.connectionManager(pushName)
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
		Name: pushName,
		VirtualHosts: []*routev3.VirtualHost{{
			Name: pushName, Domains: []string{"*"},
			Routes: []*routev3.Route{{
				Name: pushName, Match: match,
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{
					ClusterSpecifier:     &routev3.RouteAction_Cluster{Cluster: to.ClusterName},
					HostRewriteSpecifier: &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: to.Authority},
					Timeout:              durationpb.New(reportTimeout),
				}},
			}},
		}},
	}}
	b.out.Listeners = append(b.out.Listeners, &listenerv3.Listener{
		Name: pushName, Address: b.pushAddress(), TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		FilterChains: []*listenerv3.FilterChain{{
			Name: pushName, TransportSocketConnectTimeout: durationpb.New(headersTimeout),
			TransportSocket: b.downstreamTLS([]*matcherv3.StringMatcher{exactly(b.member.Identity)}, "h2"),
			Filters:         []*listenerv3.Filter{b.oneIdentity(pushName), b.networkFilter(hcmFilter, m)},
		}},
		Metadata: positionMetadata(b.member.Push.Pos),
	})
}
