package serve

import (
	"context"
	"strconv"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/render/envoy"
)

// A proxy ends a tap by itself when it has heard nothing of it for tapTTL: the server is gone, or cannot be reached.
// Until then it is told once more every tapRefresh.
const (
	tapTTL     = 30 * time.Second
	tapRefresh = 10 * time.Second
)

// registerRuntime adds the service by which proxies are told of taps (RTDS), until the context ends. Each has a stream
// for it: resources of ADS have no time to live.
func (t *taps) registerRuntime(running context.Context, g *grpc.Server) {
	service := runtimeservice.RuntimeDiscoveryService_ServiceDesc
	stream := func(_ any, s grpc.ServerStream) error { return t.runtime(running, s) }
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: service.ServiceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "DeltaRuntime", ServerStreams: true, ClientStreams: true, Handler: stream,
		}},
	}, nil)
}

// runtime tells a proxy of taps.
func (t *taps) runtime(running context.Context, s grpc.ServerStream) error {
	p, err := t.join(s)
	if err != nil {
		return err
	}
	defer t.leave(p)
	ended := make(chan error, 1)
	go func() { ended <- t.answers(p, s) }()
	tick := time.NewTicker(tapRefresh)
	defer tick.Stop()
	for had := true; ; { // the first answer is also what a proxy that starts waits for
		layer, turn := t.layer(p)
		if had || len(layer) > 0 {
			if err := t.tell(p, s, layer, turn); err != nil {
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
func (t *taps) join(s grpc.ServerStream) (*tappable, error) {
	identity, err := callerIdentity(s.Context())
	if err != nil {
		return nil, status.Errorf(codes.Unauthenticated, "the client's certificate has no SPIFFE identity: %v", err)
	}
	var first discoveryv3.DeltaDiscoveryRequest
	if err := s.RecvMsg(&first); err != nil {
		return nil, err
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
	p := &tappable{id: id, identity: identity, kind: kind, name: name, changed: make(chan struct{}, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proxies[p] = true
	return p, nil
}

func (t *taps) leave(p *tappable) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.proxies, p)
	t.changedAcks()
}

// tell sends a proxy its layer. The nonce is the turn that the layer is of.
func (t *taps) tell(p *tappable, s grpc.ServerStream, layer map[string]any, turn uint64) error {
	fields, err := structpb.NewStruct(layer)
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	packed, err := anypb.New(&runtimeservice.Runtime{Name: envoy.TapLayer, Layer: fields})
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	version := strconv.FormatUint(turn, 10)
	told := &discoveryv3.Resource{Name: envoy.TapLayer, Version: version, Resource: packed}
	if len(layer) > 0 {
		told.Ttl = durationpb.New(tapTTL)
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
func (t *taps) answers(p *tappable, s grpc.ServerStream) error {
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
			t.quotas.logger(t.log, p.identity).Warn("a proxy cannot be tapped", "node", p.id,
				"reason", t.quotas.refusal(said.GetErrorDetail().GetMessage()))
			continue
		}
		t.mu.Lock()
		if turn <= p.sent {
			p.acked = max(p.acked, turn)
		}
		t.changedAcks()
		t.mu.Unlock()
	}
}

// changedAcks has every tap look whether all of its proxies know of it. It is called with the lock held.
func (t *taps) changedAcks() {
	for one := range t.active {
		signal(one.acks)
	}
}
