package serve

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// TapMethod is the gRPC method, at the address for proxies, by which an operator taps: it takes one StringValue with
// the JSON of a [TapRequest], and answers by StringValues with the JSON of a [TapEvent] each.
const TapMethod = "/meshc.Operators/Tap"

// maxTapRequest is how long a request may be, in bytes.
const maxTapRequest = 16 << 10

// registerOperators adds the method for operators who have an identity of the mesh.
func (t *taps) registerOperators(running context.Context, g *grpc.Server) {
	stream := func(_ any, s grpc.ServerStream) error {
		identity, err := callerIdentity(s.Context())
		if err != nil {
			return status.Errorf(codes.Unauthenticated, "the client's certificate has no SPIFFE identity: %v", err)
		}
		var asked wrapperspb.StringValue
		if err := s.RecvMsg(&asked); err != nil {
			return err
		}
		request, err := parseTap([]byte(asked.GetValue()))
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(s.Context())
		defer cancel()
		defer context.AfterFunc(running, cancel)()
		may := func(o *ir.Operators) bool { return o.AllowIdentity(identity) }
		err = t.follow(ctx, identity.String(), may, request, func(e *TapEvent) error {
			data, err := json.Marshal(e)
			if err != nil {
				return status.Error(codes.Internal, err.Error())
			}
			return s.SendMsg(wrapperspb.String(string(data)))
		})
		if err == nil && running.Err() != nil {
			return status.Error(codes.Unavailable, "the server is going away")
		}
		return err
	}
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "meshc.Operators",
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "Tap", ServerStreams: true, Handler: stream}},
	}, nil)
}

func parseTap(data []byte) (*TapRequest, error) {
	out := &TapRequest{}
	if len(data) > maxTapRequest || json.Unmarshal(data, out) != nil {
		return nil, status.Error(codes.InvalidArgument, "this is not a valid request for a tap")
	}
	return out, nil
}
