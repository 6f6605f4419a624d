package envoy

import (
	"math"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	uuidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/request_id/uuid/v3"
	detectorsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/resource_detectors/v3"
	tracingv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	otelTracer       = "envoy.tracers.opentelemetry"
	resourceDetector = "envoy.tracers.opentelemetry.resource_detectors.static_config"
	requestIDs       = "envoy.request_id.uuid"
)

// spanName is that of a span, as OpenTelemetry's semantic conventions have it: the method and the route.
const spanName = "%REQ(:METHOD):32% %ROUTE_NAME%"

// traces has the requests of a connection manager traced. Whether a trace is recorded is decided where it begins; the
// proxies after that follow what its headers say (traceparent and tracestate, W3C Trace Context).
func (b *builder) traces(m *hcmv3.HttpConnectionManager, of measured) {
	t := b.member.Tracing
	if t == nil || !b.collected() {
		return
	}
	m.Tracing = &hcmv3.HttpConnectionManager_Tracing{
		ClientSampling: &typev3.Percent{}, // no caller has a trace recorded by a header of its own (x-client-trace-id)
		RandomSampling: &typev3.Percent{Value: t.Sampling}, OverallSampling: &typev3.Percent{Value: 100},
		// Envoy's own tag http.url has the query string; url.path has not.
		MaxPathTagLength: wrapperspb.UInt32(0), CustomTags: b.spanTags(of),
		Operation: spanName, UpstreamOperation: spanName,
		Provider: &tracev3.Tracing_Http{Name: otelTracer, ConfigType: &tracev3.Tracing_Http_TypedConfig{
			TypedConfig: b.any(&tracev3.OpenTelemetryConfig{
				GrpcService: b.collector(), ServiceName: b.member.PlainName(), ResourceDetectors: b.detects(),
			}),
		}},
	}
	// The id of a request arrives as it was sent, and not with what was decided of its trace in it.
	m.RequestIdExtension = &hcmv3.RequestIDExtension{TypedConfig: b.any(&uuidv3.UuidRequestIdConfig{
		PackTraceReason: wrapperspb.Bool(false),
	})}
}

// tracesBegin has traces begin at a gateway, with a span for each try: whoever is outside could have every request
// recorded, or make a span a part of another's trace.
func (b *builder) tracesBegin(m *hcmv3.HttpConnectionManager, of measured) {
	b.traces(m, of)
	if m.Tracing == nil {
		return
	}
	m.Tracing.SpawnUpstreamSpan = wrapperspb.Bool(true)
	b.dropHeaders(m, traceHeaders)
}

// traceHeaders are those by which a request says what trace it is a part of.
var traceHeaders = []string{"traceparent", "tracestate"}

// detects are the attributes of the resource besides service.name.
func (b *builder) detects() []*corev3.TypedExtensionConfig {
	attributes := map[string]string{}
	for _, a := range b.resourceAttributes() {
		if a.name != "service.name" {
			attributes[a.name] = a.value
		}
	}
	return []*corev3.TypedExtensionConfig{{
		Name: resourceDetector, TypedConfig: b.any(&detectorsv3.StaticConfigResourceDetectorConfig{
			Attributes: attributes,
		}),
	}}
}

// spanTags are what a line of the log has, under the same names: who called whom, what decided and where that stands in
// the spec.
func (b *builder) spanTags(of measured) (tags []*tracingv3.CustomTag) {
	for _, f := range b.requestLine(of, false) {
		switch f.name {
		case "time", "time.received", "time.connect", "time.first_byte", "time.last_byte", "trace.id", "flags",
			"request.bytes", "response.bytes", "network.protocol":
			continue // which spans have by themselves
		}
		tags = append(tags, &tracingv3.CustomTag{Tag: f.name, Type: &tracingv3.CustomTag_Value{Value: f.value}})
	}
	return tags
}

// tellSampled has a route say how many of the traces that begin with its requests are recorded.
func tellSampled(out *routev3.Route, by []*ir.Route) {
	if s := nearest(by, func(r *ir.Route) *ir.Setting[float64] { return r.Sampling }); s != nil {
		out.Tracing = &routev3.Tracing{
			ClientSampling: ofTraces(0), RandomSampling: ofTraces(s.Value), OverallSampling: ofTraces(100),
		}
	}
}

// ofTraces is a share of the traces. Envoy compares it with a number below 10,000 that it makes of the request's id: of
// another denominator each share would be all.
func ofTraces(percent float64) *typev3.FractionalPercent {
	return &typev3.FractionalPercent{
		Numerator: uint32(math.Round(percent * 100)), Denominator: typev3.FractionalPercent_TEN_THOUSAND,
	}
}
