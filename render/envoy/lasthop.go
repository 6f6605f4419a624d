package envoy

import (
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// onceMore sends requests again, once, that the application gave back unread, and over HTTP/1.1 those that met a
// connection which it was just closing. Envoy cannot tell those from one that the application died of; so they are
// requests that change nothing (RFC 9110, 9.2.2), as Go's client and curl have it. The others get 503, and the header
// that says so.
func onceMore(port *ir.Port) *routev3.RetryPolicy {
	if port.Protocol.Multiplexed() { // where the end of a connection is announced
		return &routev3.RetryPolicy{RetryOn: refusedStream, NumRetries: wrapperspb.UInt32(1)}
	}
	return &routev3.RetryPolicy{
		RetryOn: brokenOff, NumRetries: wrapperspb.UInt32(1),
		RetriableRequestHeaders: []*routev3.HeaderMatcher{
			headerMatch(ir.StringMatch{Name: ":method", Kind: ir.MatchRegex, Value: "GET|HEAD|OPTIONS|TRACE"}),
		},
		RetryBackOff: &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(time.Millisecond), MaxInterval: durationpb.New(10 * time.Millisecond),
		},
	}
}
