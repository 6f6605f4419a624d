package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metricsservice "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/telemetry"
)

// reports takes what proxies tell of their edges, over the connections by which they get their configuration. It has
// a lock of its own, and calls the live mesh and the quotas alone.
type reports struct {
	store   *telemetry.Store
	live    *liveMesh
	quotas  *quotas
	log     func(spiffeid.ID, string, ...any)
	metrics *metrics
	// left is told of lines that a tapped proxy left out.
	left func(kind ir.MemberKind, name string, identity spiffeid.ID, lines uint64)

	mu    sync.Mutex
	nodes map[reportingKey]*reporting
	// of is how many nodes of an identity report.
	of map[spiffeid.ID]int
}

type reportingKey struct {
	identity spiffeid.ID
	node     string
}

// reporting is a proxy that reports, or did within the last minute: its next stream goes on where the last one ended.
type reporting struct {
	mu      sync.Mutex // held while a report is taken
	proxy   *telemetry.Proxy
	streams int
	last    time.Time    // when the last stream ended
	heard   atomic.Int64 // when it reported last, in nanoseconds since 1970
}

// remembered is how long a proxy that reports no more is remembered.
const remembered = time.Minute

func newReports(s *Server) *reports {
	return &reports{
		store: telemetry.NewStore(telemetry.Memory), live: s.live, quotas: s.quotas, metrics: s.metrics,
		log:   func(id spiffeid.ID, text string, about ...any) { s.quotas.logger(s.log, id).Warn(text, about...) },
		nodes: map[reportingKey]*reporting{}, of: map[spiffeid.ID]int{},
	}
}

// register adds Envoy's metrics service to a gRPC server, until the context ends.
func (r *reports) register(running context.Context, g *grpc.Server) {
	service := metricsservice.MetricsService_ServiceDesc
	name := service.Streams[0].StreamName
	stream := func(_ any, s grpc.ServerStream) error {
		ended := make(chan error, 1)
		go func() { ended <- r.follow(s) }()
		select {
		case err := <-ended:
			return err
		case <-running.Done(): // the stream ends, and with it follow
			return status.Error(codes.Unavailable, "the server is going away")
		}
	}
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: service.ServiceName,
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: name, ClientStreams: true, Handler: stream}},
	}, nil)
}

// follow takes the reports of a stream. A message is received as an empty one, which keeps all of it as it came: what
// it says is read without building it.
func (r *reports) follow(s grpc.ServerStream) error {
	identity, err := callerIdentity(s.Context())
	if err != nil {
		return status.Errorf(codes.Unauthenticated, "the client's certificate has no SPIFFE identity: %v", err)
	}
	var kind ir.MemberKind
	var name, id string
	var from *reporting
	for {
		var message emptypb.Empty
		if err := s.RecvMsg(&message); err != nil {
			return err
		}
		data := message.ProtoReflect().GetUnknown()
		if from == nil {
			if id, err = reporterOf(data); err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
			if kind, name, _, err = envoy.ParseNodeID(id); err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
		}
		who, err := r.reporter(kind, name, identity)
		if err != nil {
			r.log(identity, "reports refused", "node", id, "reason", err)
			return err
		}
		if from == nil {
			if from, err = r.join(reportingKey{identity, id}); err != nil {
				r.log(identity, "reports refused", "node", id, "reason", err)
				return status.Error(codes.ResourceExhausted, err.Error())
			}
			defer r.leave(from)
		}
		if err := r.take(from, who, data); err != nil {
			r.log(identity, "reports refused", "node", id, "reason", err)
			if errors.Is(err, telemetry.ErrTooMuch) {
				r.metrics.limited.Inc()
				return status.Error(codes.ResourceExhausted, err.Error())
			}
			return status.Error(codes.InvalidArgument, err.Error())
		}
		if n := telemetry.Counted(data, envoy.TapDropped); n > 0 {
			r.left(kind, name, identity, n)
		}
	}
}

func (r *reports) take(from *reporting, who *telemetry.Reporter, data []byte) error {
	from.mu.Lock()
	defer from.mu.Unlock()
	r.metrics.reports.Inc()
	now := time.Now()
	from.heard.Store(now.UnixNano())
	return from.proxy.Report(who, data, now)
}

// identifierNode is the number of the field in which a report names the node.
var identifierNode = new(metricsservice.StreamMetricsMessage_Identifier).ProtoReflect().Descriptor().Fields().
	ByName("node").Number()

// reporterOf is the node that the first message of a stream names.
func reporterOf(message []byte) (string, error) {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeField(message)
		if size < 0 {
			return "", protowire.ParseError(size)
		}
		if n == 1 && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(message)
			data, _ := protowire.ConsumeBytes(message[tag:])
			var about metricsservice.StreamMetricsMessage_Identifier
			if len(data) > 2*maxNode {
				return "", fmt.Errorf("the node is described by %d bytes, and at most %d are read", len(data), maxNode)
			}
			if err := proto.Unmarshal(without(data, identifierNode, nodeExtensions), &about); err != nil {
				return "", err
			}
			return about.GetNode().GetId(), boundedNode(about.GetNode())
		}
		message = message[size:]
	}
	return "", errors.New("the first report does not name the node")
}

// reporter is as whom a node reports, which must have the identity of the client's certificate.
func (r *reports) reporter(kind ir.MemberKind, name string, identity spiffeid.ID) (*telemetry.Reporter, error) {
	m := r.live.now().mesh
	if m == nil {
		return nil, status.Error(codes.Unavailable, "no mesh is loaded yet")
	}
	needs, ok := memberIdentity(m, kind, name, identity)
	if !ok {
		return nil, status.Errorf(codes.NotFound, "the mesh %s has no %s %q", m.Name, kind, name)
	}
	if needs != identity {
		r.metrics.refused.Inc()
		return nil, status.Errorf(codes.PermissionDenied, "%s is not the identity of %s %s", identity, kind, name)
	}
	who := &telemetry.Reporter{Identity: identity.String()}
	if len(m.Members(identity)) > 1 {
		who.Member = ir.Ref{Kind: kind, Name: name}.String()
	}
	if kind == ir.KindGateway {
		who.External = func(callee string) bool { return m.External(callee) != nil }
		if gateway := m.GatewayOf(name, identity); gateway != nil {
			who.Denies = func(rule string) bool { return denies(&gateway.Guards, gateway.Closed, rule) }
		}
		return who, nil
	}
	service := m.ServiceOf(name, identity)
	who.Callee = envoy.CalleeLabel(&service.Upstream)
	who.Denies = func(rule string) bool { return denies(&service.Guards, true, rule) }
	return who, nil
}

// denies reports whether the rule of that label denies; where no rule decided, what is closed does. The place in the
// label may be that of an earlier mesh, whose lines have moved since: then the name decides.
func denies(s *ir.Guards, closed bool, label string) bool {
	if label == "" {
		return closed
	}
	is := func(rules []ir.Rule, same func(*ir.Rule) bool) bool {
		return slices.ContainsFunc(rules, func(r ir.Rule) bool { return !r.Audit && same(&r) })
	}
	exactly := func(r *ir.Rule) bool { return strings.HasPrefix(label, r.Label()) }
	named := func(r *ir.Rule) bool { return strings.HasPrefix(label, r.Name+" ") }
	switch {
	case is(s.Allow, exactly):
		return false
	case is(s.Deny, exactly):
		return true
	}
	return is(s.Deny, named) && !is(s.Allow, named)
}

// join counts a stream of a node. As many nodes of an identity may report as it may have instances.
func (r *reports) join(k reportingKey) (*reporting, error) {
	most := r.quotas.holders()
	r.mu.Lock()
	defer r.mu.Unlock()
	from := r.nodes[k]
	if from == nil {
		if r.of[k.identity] >= most {
			return nil, fmt.Errorf("%d proxies of %s report, which is the limit (mesh.server.limits.instances)", most,
				k.identity)
		}
		from = &reporting{proxy: r.store.Proxy(envoy.ReportInterval)}
		r.nodes[k] = from
		r.of[k.identity]++
	}
	from.streams++
	return from, nil
}

func (r *reports) leave(from *reporting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from.streams--
	from.last = time.Now()
}

// forget removes what is too old.
func (r *reports) forget(now time.Time) {
	r.mu.Lock()
	for k, from := range r.nodes {
		if from.streams > 0 || now.Sub(from.last) < remembered {
			continue
		}
		delete(r.nodes, k)
		if r.of[k.identity]--; r.of[k.identity] == 0 {
			delete(r.of, k.identity)
		}
	}
	r.mu.Unlock()
	r.store.Forget(now)
}
