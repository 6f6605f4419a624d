package envoy

import (
	"net/http"
	"slices"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stats/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
)

const statsLogger = "envoy.access_loggers.stats"

// metricsPrefix begins the names of what the mesh counts; Envoy puts its own "envoy_" before it for Prometheus.
const metricsPrefix = "meshc"

// measured are the requests or connections of a listener, as the labels of its metrics name them.
type measured struct {
	kind string // of the metrics: see [clientHTTP] and its neighbours
	// caller, callee and port are format strings of Envoy: constants, or what the chosen cluster or the peer's
	// certificate says.
	caller, callee, port string
	// callers are the wildcards that stand for callers of other trust domains.
	callers []string
	// rules is the filter whose metadata tells which rule decided; empty where there are no rules, and below HTTP.
	rules string
	// upgrades is set where the port takes protocols that requests are upgraded to.
	upgrades bool
	// ruled is a port below HTTP with rules: of these Envoy tells which one denies, and not which one allows.
	ruled *ir.Port
}

// What is measured: by the proxy that chooses the route, and by the one that lets the request in. The names are those
// of OpenTelemetry's semantic conventions.
const (
	clientHTTP = series.ClientHTTP
	serverHTTP = series.ServerHTTP
	clientTCP  = series.ClientTCP
	serverTCP  = series.ServerTCP
)

// going are those that the proxy sends on for its own member, or from outside at a gateway: their caller is the member.
func (b *builder) going(kind string) measured {
	return measured{
		kind: kind, caller: b.member.Identity.String(), callee: clusterSays(metadataCallee),
		port: clusterSays(metadataPort),
	}
}

// entering are those that come to a listener of a gateway which serves requests.
func (b *builder) entering(l *ir.Listener) measured {
	m := b.going(clientHTTP)
	if l.RedirectTo == "" {
		m.rules = httpRBACFilter
	}
	return m
}

// coming are those that come to a port of the service, by the identity in the caller's certificate.
func (b *builder) coming(kind string, port *ir.Port) measured {
	m := measured{
		kind: kind, caller: peerIdentity, callee: calleeOf(&b.scope.Service.Upstream), port: portLabel(port),
		callers: b.scope.Settings.ForeignPatterns(b.peers(port)), upgrades: len(port.Upgrades) > 0,
	}
	if kind == serverHTTP {
		m.rules = httpRBACFilter
	} else {
		m.ruled = port
	}
	return m
}

// unguarded are connections to a port that no rule holds for.
func (b *builder) unguarded(port *ir.Port) measured {
	return measured{
		kind: serverTCP, caller: peerIdentity, callee: calleeOf(&b.scope.Service.Upstream),
		port: portLabel(port),
	}
}

// passing are those of members that leave the mesh by an egress gateway.
func (b *builder) passing(kind string, e *ir.External, port *ir.Port) measured {
	return measured{kind: kind, caller: peerIdentity, callee: e.Name, port: portLabel(port)}
}

// counts are the access loggers that count requests. Of those that rules hold for, the first counts what the rules let
// in: its labels have no value that is not of the configuration or of a certificate of the mesh. The other counts what
// failed or was refused, by whom it was sent and why.
func (b *builder) counts(m measured, hosts []*routev3.VirtualHost) []*accesslogv3.AccessLog {
	edge := b.edgeTags(m)
	requests := append(edge, b.decisionTags(m)...)
	admitted := &statsv3.Config{
		StatsScope: statsScope(b.room),
		Counters: []*statsv3.Config_Counter{
			one(m.kind+".requests", append(requests, b.statusClass())),
			sum(m.kind+".request.bytes", "%BYTES_RECEIVED%", edge),
			sum(m.kind+".response.bytes", "%BYTES_SENT%", edge),
		},
	}
	durations := []*statsv3.Config_Histogram{{
		Stat: &statsv3.Config_Stat{Name: m.kind + ".request.duration", Tags: edge},
		Unit: statsv3.Config_Histogram_Milliseconds, ValueFormat: "%DURATION%",
	}}
	if m.kind == clientHTTP {
		admitted.Counters = append(admitted.Counters, sum(m.kind+".attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", edge))
	}
	failed := &statsv3.Config{
		StatsScope: statsScope(b.failures(m, hosts)),
		Counters: []*statsv3.Config_Counter{one(m.kind+".failures", append(b.failureTags(m),
			tag("http.response.status_code", "%RESPONSE_CODE%"), tag("rpc.grpc.status_code", "%GRPC_STATUS_NUMBER%"),
			errorType()))},
	}
	apart := m.upgrades || slices.ContainsFunc(hosts, upgrades)
	if !apart {
		admitted.Histograms = durations
	}
	out := []*accesslogv3.AccessLog{
		b.statsLog(admitted, letIn(m)),
		b.statsLog(failed, anyFilter(
			withStatus(accesslogv3.ComparisonFilter_GE, 400, "meshc.failures_from"), withFlags(), grpcFailed(),
		)),
	}
	if apart {
		which := notUpgraded()
		if in := letIn(m); in != nil {
			which = everyFilter(append(in.GetAndFilter().Filters, which)...)
		}
		out = append(out, b.statsLog(&statsv3.Config{StatsScope: statsScope(b.room), Histograms: durations}, which))
	}
	return out
}

// notUpgraded passes all but what was upgraded: that lasts as long as both sides like, and is no duration of a request.
func notUpgraded() *accesslogv3.AccessLogFilter {
	return withStatus(accesslogv3.ComparisonFilter_NE, http.StatusSwitchingProtocols, "meshc.upgraded")
}

// failures is how many series of failures the listener keeps.
func (b *builder) failures(m measured, hosts []*routev3.VirtualHost) uint32 {
	if m.kind == clientHTTP || m.kind == clientTCP {
		return uint32(series.ClientFailures(len(b.calleesOf(hosts)))) // #nosec G115 -- of some hundreds
	}
	return uint32(b.set.ServerFailures(m.kind, m.callee, m.port)) // #nosec G115 -- as above
}

func (b *builder) statsLog(config *statsv3.Config, filter *accesslogv3.AccessLogFilter) *accesslogv3.AccessLog {
	return &accesslogv3.AccessLog{
		Name: statsLogger, Filter: filter,
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: b.any(config)},
	}
}

// statsScope bounds the counters of one logger: what is beyond is not counted, and server.stats_overflow.counter counts
// that. It has no sharing_name, by which the bound would be the proxy's: Envoy
// 1.40 ends with a segmentation fault then when it only validates its configuration (--mode validate).
func statsScope(most uint32) *typev3.Scope {
	return &typev3.Scope{
		Prefix: metricsPrefix, MaxCounters: wrapperspb.UInt32(most),
		MaxHistograms: wrapperspb.UInt32(most),
	}
}

func one(name string, tags []*statsv3.Config_Tag) *statsv3.Config_Counter {
	return &statsv3.Config_Counter{Stat: &statsv3.Config_Stat{Name: name, Tags: tags}, ValueFixed: wrapperspb.UInt64(1)}
}

func sum(name, of string, tags []*statsv3.Config_Tag) *statsv3.Config_Counter {
	return &statsv3.Config_Counter{Stat: &statsv3.Config_Stat{Name: name, Tags: tags}, ValueFormat: of}
}

// letIn passes requests that the rules allowed; nil where there are none. Filters that only refuse leave "allowed" too
// when they do not: before a bad token is answered with 401, no rule has decided.
func letIn(m measured) *accesslogv3.AccessLogFilter {
	if m.rules == "" || m.kind == clientHTTP { // what a gateway refuses counts too: its callee is none
		return nil
	}
	named := withMetadata(m.rules, decidingRule, "")
	named.GetMetadataFilter().Matcher.Value = &matcherv3.ValueMatcher{
		MatchPattern: &matcherv3.ValueMatcher_PresentMatch{PresentMatch: true},
	}
	return everyFilter(withMetadata(m.rules, decision, "allowed"), named)
}

// grpcFailed passes calls of gRPC with another status than OK, whose HTTP status is 200.
func grpcFailed() *accesslogv3.AccessLogFilter {
	return everyFilter(ofGRPC(), &accesslogv3.AccessLogFilter{
		FilterSpecifier: &accesslogv3.AccessLogFilter_GrpcStatusFilter{GrpcStatusFilter: &accesslogv3.GrpcStatusFilter{
			Statuses: []accesslogv3.GrpcStatusFilter_Status{accesslogv3.GrpcStatusFilter_OK}, Exclude: true,
		}},
	})
}
