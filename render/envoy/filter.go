package envoy

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	localratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	httpstatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// routeFilters are the filters that do nothing but what a route configures, in
// the order in which requests pass them.
var routeFilters = []routeFilter{
	{corsFilter, cors, func(*builder) proto.Message { return &corsv3.Cors{} }},
	{faultFilter, fault, func(*builder) proto.Message { return &faultv3.HTTPFault{} }},
	{localRateLimitFilter, localRateLimit, func(*builder) proto.Message {
		return &localratelimitv3.LocalRateLimit{StatPrefix: localRateLimitFilter}
	}},
	{rateLimitFilter, globalRateLimit, func(b *builder) proto.Message { return b.rateLimits() }},
	{bufferFilter, limitBody, func(*builder) proto.Message {
		return &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(1)}
	}},
	{httpStateFilter, nil, func(*builder) proto.Message { return &httpstatev3.Config{} }},
	{dynamicFilter(false), nil, looksHostsUp(false)},
	{dynamicFilter(true), nil, looksHostsUp(true)},
}

type routeFilter struct {
	name string
	// told is what it does with the requests of a route of that name, by the routes that they go through; nil when
	// none of them says anything. It is nil itself for filters of externals, which have no routes of the spec.
	told func(name string, by []*ir.Route) proto.Message
	// config is what it does where no route says anything.
	config func(*builder) proto.Message
}

// tellFilters has the filters do with the requests of a route what the routes say.
func (b *builder) tellFilters(route *routev3.Route, by []*ir.Route) {
	for _, f := range routeFilters {
		if f.told == nil {
			continue
		}
		if told := f.told(route.Name, by); told != nil {
			b.perRoute(route, f.name, told)
		}
	}
}

// filtersOf are the filters that some route of the hosts configures. They are off
// where no route does.
func (b *builder) filtersOf(hosts []*routev3.VirtualHost) []*hcmv3.HttpFilter {
	wanted := map[string]bool{}
	for _, host := range hosts {
		for _, route := range host.Routes {
			for name := range route.TypedPerFilterConfig {
				wanted[name] = true
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	var out []*hcmv3.HttpFilter
	for _, f := range routeFilters {
		if wanted[f.name] {
			filter := b.httpFilter(f.name, f.config(b))
			filter.Disabled = true
			out = append(out, filter)
		}
	}
	return out
}
