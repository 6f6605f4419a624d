package envoy

import (
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

// answerFirst is how much later the bound on a whole stream comes than the one on
// its answer, so that an answer that is late is told as such: 504 and not 408.
const answerFirst = 100 * time.Millisecond

// limit ends a request that takes longer; 0 never does. Envoy's timeout counts
// from the end of the request only, so a request that does not end is bounded by
// the duration of its stream.
//
// Of gRPC, where messages go both ways until the end, it is the stream alone that
// is bounded, which a client sees as DEADLINE_EXCEEDED. The client's own deadline
// holds where that is shorter. The callee learns the shorter of the two in the
// header grpc-timeout; one that keeps it to the millisecond may be the first to
// reset the stream, which the client sees as UNAVAILABLE.
func limit(action *routev3.RouteAction, timeout ir.Duration, protocol ir.Protocol) {
	d := time.Duration(timeout)
	switch {
	case d <= 0:
		action.Timeout = durationpb.New(0)
	case protocol == ir.GRPC:
		action.Timeout = durationpb.New(0)
		action.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{
			MaxStreamDuration: durationpb.New(d), GrpcTimeoutHeaderMax: durationpb.New(d),
		}
	default:
		action.Timeout = durationpb.New(d)
		action.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{MaxStreamDuration: durationpb.New(d + answerFirst)}
	}
}
