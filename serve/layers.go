package serve

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/telemetry"
)

// layers tell proxies a layer of their runtime, each over a stream of its own (RTDS): resources of ADS have no time to
// live.
type layers struct {
	name   string
	log    *slog.Logger
	quotas *quotas
	// reporter is as whom a node reports.
	reporter func(ir.MemberKind, string, spiffeid.ID) (*telemetry.Reporter, error)
	// refresh is how often a layer that is not empty is told anew.
	refresh time.Duration
	// compose makes the layer of a proxy, empty for nothing, for how long it holds, and the turn that it is of.
	compose func(*layered) (layer map[string]any, ttl time.Duration, turn uint64)
	// taken is called when a proxy has taken something or left. The lock is held.
	taken func()

	mu      sync.Mutex
	proxies map[*layered]bool
}

// layered is a proxy whose runtime the server sets over a stream.
type layered struct {
	id       string
	identity spiffeid.ID
	kind     ir.MemberKind
	name     string
	changed  chan struct{} // something to send
	// sent and acked are the turns of what it was sent and has taken last.
	sent, acked uint64
}

func newLayers(s *Server, name string, refresh time.Duration) layers {
	return layers{
		name: name, log: s.log, quotas: s.quotas, reporter: s.reports.reporter, refresh: refresh,
		proxies: map[*layered]bool{},
	}
}

// registerRuntime adds the service by which proxies are told of these layers, until the context ends. A proxy that
// names none is told the first.
func registerRuntime(running context.Context, g *grpc.Server, all ...*layers) {
	service := runtimeservice.RuntimeDiscoveryService_ServiceDesc
	stream := func(_ any, s grpc.ServerStream) error {
		var first discoveryv3.DeltaDiscoveryRequest
		if err := s.RecvMsg(&first); err != nil {
			return err
		}
		of := slices.IndexFunc(all, func(l *layers) bool {
			return slices.Contains(first.GetResourceNamesSubscribe(), l.name)
		})
		return all[max(0, of)].follow(running, s, &first)
	}
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: service.ServiceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "DeltaRuntime", ServerStreams: true, ClientStreams: true, Handler: stream,
		}},
	}, nil)
}

// follow tells a proxy its layer, and each change of it.
func (t *layers) follow(running context.Context, s grpc.ServerStream, first *discoveryv3.DeltaDiscoveryRequest) error {
	p, err := t.join(s, first)
	if err != nil {
		return err
	}
	defer t.leave(p)
	ended := make(chan error, 1)
	go func() { ended <- t.answers(p, s) }()
	tick := time.NewTicker(t.refresh)
	defer tick.Stop()
	for had := true; ; { // the first answer is also what a proxy that starts waits for
		layer, ttl, turn := t.compose(p)
		if had || len(layer) > 0 {
			if err := t.tell(p, s, layer, ttl, turn); err != nil {
				return err
			}
		}
		had = len(layer) > 0
		select {
		case err := <-ended:
			return err
		case <-running.Done():
			return status.Error(codes.Unavailable, "the server is going away")
		case <-p.changed:
		case <-tick.C:
		}
	}
}

// join reads who a proxy is, which must have the identity of the client's certificate.
func (t *layers) join(s grpc.ServerStream, first *discoveryv3.DeltaDiscoveryRequest) (*layered, error) {
	identity, err := callerIdentity(s.Context())
	if err != nil {
		return nil, status.Errorf(codes.Unauthenticated, "the client's certificate has no SPIFFE identity: %v", err)
	}
	if err := boundedNode(first.GetNode()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	id := first.GetNode().GetId()
	kind, name, _, err := envoy.ParseNodeID(id)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if _, err := t.reporter(kind, name, identity); err != nil {
		return nil, err
	}
	p := &layered{id: id, identity: identity, kind: kind, name: name, changed: make(chan struct{}, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proxies[p] = true
	return p, nil
}

func (t *layers) leave(p *layered) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.proxies, p)
	t.taken()
}

// tell sends a proxy its layer. The nonce is the turn that the layer is of.
func (t *layers) tell(p *layered, s grpc.ServerStream, layer map[string]any, ttl time.Duration, turn uint64) error {
	fields, err := structpb.NewStruct(layer)
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	packed, err := anypb.New(&runtimeservice.Runtime{Name: t.name, Layer: fields})
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	version := strconv.FormatUint(turn, 10)
	told := &discoveryv3.Resource{Name: t.name, Version: version, Resource: packed}
	if len(layer) > 0 {
		told.Ttl = durationpb.New(ttl)
	}
	t.mu.Lock()
	p.sent = turn
	t.mu.Unlock()
	return s.SendMsg(&discoveryv3.DeltaDiscoveryResponse{
		SystemVersionInfo: version, Nonce: version, TypeUrl: resource.RuntimeType,
		Resources: []*discoveryv3.Resource{told},
	})
}

// answers reads what a proxy says to it, until its stream ends.
func (t *layers) answers(p *layered, s grpc.ServerStream) error {
	for {
		var said discoveryv3.DeltaDiscoveryRequest
		if err := s.RecvMsg(&said); err != nil {
			return err
		}
		turn, err := strconv.ParseUint(said.GetResponseNonce(), 10, 64)
		if err != nil {
			continue // a subscription
		}
		if said.GetErrorDetail() != nil {
			t.quotas.logger(t.log, p.identity).Warn("a proxy refuses a layer of its runtime", "layer", t.name, "node", p.id,
				"reason", t.quotas.refusal(said.GetErrorDetail().GetMessage()))
			continue
		}
		t.mu.Lock()
		if turn <= p.sent {
			p.acked = max(p.acked, turn)
		}
		t.taken()
		t.mu.Unlock()
	}
}

// changed has every proxy's layer looked at. It is called with the lock held.
func (t *layers) changed() {
	for p := range t.proxies {
		signal(p.changed)
	}
}

// signal wakes who waits for it, once.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
