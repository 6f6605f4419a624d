package envoy

import (
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const bufferFilter = "envoy.filters.http.buffer"

// limitBody refuses requests with a longer body than the strictest of the routes
// takes.
func limitBody(_ string, by []*ir.Route) proto.Message {
	var limit uint32
	for _, r := range by {
		if n := r.MaxRequestBytes; n > 0 && (limit == 0 || n < limit) {
			limit = n
		}
	}
	if limit == 0 {
		return nil
	}
	return &bufferv3.BufferPerRoute{Override: &bufferv3.BufferPerRoute_Buffer{
		Buffer: &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(limit)},
	}}
}
