package serve

import (
	"context"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/heard"
	"github.com/meshc/meshc/serve/telemetry"
)

// nodeLabel names the node in what Envoy's logger says of itself.
const nodeLabel = "node_name"

// registerLines adds the service to which proxies send lines: OTLP's of logs.
func (t *taps) registerLines(g *grpc.Server) {
	export := func(_ any, ctx context.Context, decode func(any) error, through grpc.UnaryServerInterceptor,
	) (any, error) {
		var message logsv1.LogsData // on the wire it is an ExportLogsServiceRequest
		if err := decode(&message); err != nil {
			return nil, err
		}
		take := func(ctx context.Context, _ any) (any, error) { return &emptypb.Empty{}, t.take(ctx, &message) }
		if through == nil {
			return take(ctx, &message)
		}
		return through(ctx, &message, &grpc.UnaryServerInfo{}, take)
	}
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "opentelemetry.proto.collector.logs.v1.LogsService",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Export", Handler: export}},
	}, nil)
}

// interceptCall bounds a call that is not a stream as a message of one.
func (s *Server) interceptCall(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "no peer")
	}
	limit, leave := s.limits.enter(p.Addr.String())
	defer leave()
	if !limit.messages.Allow() {
		s.metrics.limited.Inc()
		return nil, errFlooded
	}
	return handler(ctx, request)
}

// take hands lines to those who tap the proxy. A proxy tells of itself only: as a client of its own identity, as a
// server of its own service.
func (t *taps) take(ctx context.Context, message *logsv1.LogsData) error {
	if !t.any() {
		return nil
	}
	identity, err := callerIdentity(ctx)
	if err != nil {
		return status.Errorf(codes.Unauthenticated, "the client's certificate has no SPIFFE identity: %v", err)
	}
	for _, resource := range message.GetResourceLogs() {
		node := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == nodeLabel {
				node = a.GetValue().GetStringValue()
			}
		}
		err := boundedNode(&corev3.Node{Id: node})
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		kind, name, _, err := envoy.ParseNodeID(node)
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		who, err := t.reporter(kind, name, identity)
		if err != nil {
			return err
		}
		for _, scope := range resource.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				if event := eventOf(node, record); tellsOfItself(who, event.Fields) {
					t.deliver(reportingKey{identity, node}, event)
				}
			}
		}
	}
	return nil
}

// eventOf is a line as it is shown; what it has of others is one line of text.
func eventOf(node string, record *logsv1.LogRecord) *TapEvent {
	at := time.Unix(0, int64(record.GetTimeUnixNano())).UTC() // #nosec G115 -- a wrong time is shown as it is
	out := &TapEvent{Proxy: node, Time: at, Fields: map[string]string{}}
	for _, a := range record.GetAttributes() {
		text := a.GetValue().GetStringValue()
		if text == "" || text == "-" {
			continue
		}
		if len(out.Fields) < maxFields {
			out.Fields[heard.Line(a.GetKey(), maxFieldName)] = heard.Line(text, maxField)
		}
	}
	return out
}

// What a line has at most: a proxy's own has some 30 fields.
const (
	maxFields    = 64
	maxFieldName = 64
	maxField     = 2048 // bytes
)

// tellsOfItself reports whether a line is of requests of the proxy that sends it.
func tellsOfItself(who *telemetry.Reporter, fields map[string]string) bool {
	switch fields["kind"] {
	case envoy.OperatorClientHTTP, envoy.OperatorClientTCP:
		return fields["caller"] == who.Identity
	case envoy.TapServerHTTP, envoy.TapServerTCP:
		callee := fields["callee"]
		return who.Callee != "" && callee == who.Callee || who.External != nil && who.External(callee)
	}
	return false
}

// deliver gives a line to all taps that show it, within what a proxy may send. An operator who takes them too slowly
// is told how many he misses.
func (t *taps) deliver(from reportingKey, event *TapEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var allowed, asked bool
	for one := range t.active {
		if !one.shows(event.Fields) {
			continue
		}
		if !asked {
			asked, allowed = true, t.allow(from)
		}
		if allowed {
			select {
			case one.lines <- one.view(event):
				continue
			default:
			}
		}
		one.left.Add(1)
	}
}

// allow takes a line of a proxy from what it may send, as the proxy itself does. It is called with the lock held.
func (t *taps) allow(from reportingKey) bool {
	bound := t.bounds[from]
	if bound == nil {
		if t.of[from.identity] >= t.quotas.holders() {
			return false
		}
		bound = rate.NewLimiter(envoy.TapRate, envoy.TapRate)
		t.bounds[from] = bound
		t.of[from.identity]++
	}
	return bound.Allow()
}
