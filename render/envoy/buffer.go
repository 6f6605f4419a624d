package envoy

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const bufferFilter = "envoy.filters.http.buffer"

// limitBody refuses requests with a longer body than the strictest of the routes
// takes.
func (b *builder) limitBody(route *routev3.Route, by []*ir.Route) {
	var limit uint32
	for _, r := range by {
		if n := r.MaxRequestBytes; n > 0 && (limit == 0 || n < limit) {
			limit = n
		}
	}
	if limit > 0 {
		b.perRoute(route, bufferFilter, &bufferv3.BufferPerRoute{Override: &bufferv3.BufferPerRoute_Buffer{
			Buffer: &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(limit)},
		}})
	}
}
