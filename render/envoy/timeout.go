package envoy

import (
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

// answerFirst is how much later the bound on a whole call of gRPC comes than the one on the beginning of its answer.
const answerFirst = 100 * time.Millisecond

// limit ends a request that takes longer from its end to the end of the answer; what is not a bound never does. A
// request that moves is not cut while it comes in.
//
// A call of gRPC, where messages go both ways until the end, is bounded from its beginning, and its answer begins in
// that time too ([answersWithin]). The client's own deadline holds where that is shorter, and the callee learns the
// shorter of the two in the header grpc-timeout. It is told a little more than the bound: one that keeps its deadline
// to the millisecond would reset the call before the proxy ends it, which the client would see as UNAVAILABLE.
//
// Envoy's own bound on the answer counts as a failure of the instance; the one on the stream, by which the client's
// deadline is kept, does not, and switches the other off. So a hung instance is found by the time that the spec gives
// it, and no client has one ejected by a deadline that nobody could keep.
func limit(action *routev3.RouteAction, timeout ir.Duration, protocol ir.Protocol) {
	action.Timeout = durationpb.New(0)
	switch d := time.Duration(timeout) + answerFirst; {
	case !timeout.Bounds():
	case protocol == ir.GRPC:
		action.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{
			MaxStreamDuration:    durationpb.New(d),
			GrpcTimeoutHeaderMax: durationpb.New(d),
		}
	default:
		action.Timeout = duration(timeout)
	}
}

// answersWithin bounds each try from the end of the request to the beginning of its answer; 0 for no bound but the one
// of [limit].
func answersWithin(p *ir.Policy, protocol ir.Protocol) ir.Duration {
	perTry, timeout := p.PerTryTimeout.Value, p.Timeout.Value
	switch {
	case protocol == ir.GRPC && timeout.Bounds() && (!perTry.Bounds() || perTry > timeout):
		return timeout
	case perTry.Bounds():
		return perTry
	default:
		return 0
	}
}

// connectTimes are, by callee, the shortest connectTimeout of the member's calls that lead there: Envoy keeps one for
// each cluster.
func connectTimes(s *ir.Scope) map[string]ir.Duration {
	out := map[string]ir.Duration{}
	for c := range s.Calls() {
		t := c.Policy.Bounds.ConnectTimeout.Value
		for _, end := range c.Ends() {
			if known, ok := out[end]; !ok || t < known {
				out[end] = t
			}
		}
	}
	return out
}

// connectInTime bounds the opening of the cluster's connections by what the member's calls to the callee have; a
// callee that its proxy alone asks keeps what is written.
func (b *builder) connectInTime(c *clusterv3.Cluster, callee string) {
	if t, called := b.opening[callee]; called {
		c.ConnectTimeout = duration(t)
	}
}

// lateRPCs has a proxy end calls of gRPC whose time is over with DEADLINE_EXCEEDED; Envoy would say UNAVAILABLE.
func lateRPCs() *hcmv3.ResponseMapper {
	return &hcmv3.ResponseMapper{
		Filter: everyFilter(withFlags("UT", "SI"), ofGRPC()),
		HeadersToAdd: []*corev3.HeaderValueOption{
			overwriting(grpcStatus, strconv.Itoa(int(codes.DeadlineExceeded))),
		},
	}
}
