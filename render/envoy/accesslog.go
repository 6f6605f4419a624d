package envoy

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	filev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	otelv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	fileLogger = "envoy.access_loggers.file"
	otlpLogger = "envoy.access_loggers.open_telemetry"
)

// accounts are the access loggers of requests that the routes of those hosts take: they count them, and log those that
// the spec wants logged.
func (b *builder) accounts(m measured, hosts []*routev3.VirtualHost) []*accesslogv3.AccessLog {
	log, out := b.accessLog(), b.taps(b.counts(m, hosts), m, hosts)
	if filter, some := b.loggedBy(log, m, hosts); some {
		out = append(out, b.logger(log, b.requestLine(m, log.Query), filter))
	}
	return out
}

// accountsConnections is [builder.accounts] below HTTP.
func (b *builder) accountsConnections(m measured) []*accesslogv3.AccessLog {
	log, out := b.accessLog(), b.tapsConnections(b.countsConnections(m), m)
	if filter, some := loggedWhen(&log.Logged, b.failedConnections); some {
		out = append(out, b.logger(log, b.connectionLine(m), filter))
	}
	return out
}

// accessLog is what the member's proxies log and how; where only routes say which, as the schema's defaults have it.
func (b *builder) accessLog() *ir.AccessLog {
	if log := b.member.AccessLog; log != nil && (log.Format != ir.LogOTLP || b.collected()) {
		return log
	}
	return &ir.AccessLog{Format: ir.LogJSON, Logged: ir.Logged{When: ir.LogNever}}
}

// loggedWhen passes the requests that are logged; some is false where none is.
func loggedWhen(l *ir.Logged, failed func() *accesslogv3.AccessLogFilter) (f *accesslogv3.AccessLogFilter, some bool) {
	switch l.When {
	case ir.LogAll:
		return nil, true
	case ir.LogErrors:
		return failed(), true
	case ir.LogSampled:
		return shareOf(l.Percent), true
	default:
		return nil, false
	}
}

// failedRequests passes those that failed or were refused: a status is not enough, as a request whose client went away
// has none, and an application answers 403 too.
func failedRequests(m measured) *accesslogv3.AccessLogFilter {
	failed := []*accesslogv3.AccessLogFilter{
		withStatus(accesslogv3.ComparisonFilter_GE, 500, "meshc.logged_from"), withFlags(), grpcFailed(),
	}
	if m.rules != "" {
		failed = append(failed, withMetadata(m.rules, decision, "denied"))
	}
	return anyFilter(failed...)
}

// logger writes lines in the form and to the place that the spec says.
func (b *builder) logger(log *ir.AccessLog, line line, filter *accesslogv3.AccessLogFilter) *accesslogv3.AccessLog {
	name, config := stdoutLogger, proto.Message(&streamv3.StdoutAccessLog{
		AccessLogFormat: &streamv3.StdoutAccessLog_LogFormat{LogFormat: line.format(log.Format)},
	})
	switch {
	case log.Format == ir.LogOTLP:
		name, config = otlpLogger, &otelv3.OpenTelemetryAccessLogConfig{
			GrpcService: b.collector(), DisableBuiltinLabels: true, ResourceAttributes: b.resource(),
			Attributes: line.attributes(),
			Body:       &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: line.summary()}},
		}
	case log.File != "":
		name, config = fileLogger, &filev3.FileAccessLog{
			Path: log.File, AccessLogFormat: &filev3.FileAccessLog_LogFormat{LogFormat: line.format(log.Format)},
		}
	}
	return &accesslogv3.AccessLog{
		Name: name, Filter: filter, ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: b.any(config)},
	}
}

// format is the line as JSON, or as NAME=VALUE with the path, which may have any character but a line's end, last.
func (l line) format(f ir.LogFormat) *corev3.SubstitutionFormatString {
	if f == ir.LogText {
		return &corev3.SubstitutionFormatString{Format: &corev3.SubstitutionFormatString_TextFormatSource{
			TextFormatSource: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: l.text()}},
		}}
	}
	out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for _, f := range l {
		out.Fields[f.name] = structpb.NewStringValue(f.value)
	}
	return &corev3.SubstitutionFormatString{
		Format:          &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: out},
		OmitEmptyValues: true,
	}
}

// resource is the service, as the semantic conventions of OpenTelemetry name it.
func (b *builder) resource() *commonv1.KeyValueList {
	out := &commonv1.KeyValueList{}
	for _, a := range b.resourceAttributes() {
		out.Values = append(out.Values, keyValue(a.name, a.value))
	}
	return out
}

func (b *builder) resourceAttributes() []logField {
	return []logField{
		{"service.name", b.member.PlainName()}, {"service.namespace", b.member.Namespace},
	}
}

func keyValue(key, value string) *commonv1.KeyValue {
	return &commonv1.KeyValue{
		Key: key, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: value}},
	}
}

// shareOf passes that share of the requests, whichever they are: not those alone whose trace is recorded.
func shareOf(percent float64) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_RuntimeFilter{
		RuntimeFilter: &accesslogv3.RuntimeFilter{
			RuntimeKey: "meshc.logged_share", PercentSampled: fraction(percent), UseIndependentRandomness: true,
		},
	}}
}
