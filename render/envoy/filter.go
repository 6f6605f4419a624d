package envoy

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	localratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// routeFilters are the filters that do nothing but what a route configures, in
// the order in which requests pass them.
func (b *builder) routeFilters() []routeFilter {
	return []routeFilter{
		{corsFilter, &corsv3.Cors{}},
		{faultFilter, &faultv3.HTTPFault{}},
		{localRateLimitFilter, &localratelimitv3.LocalRateLimit{StatPrefix: localRateLimitFilter}},
		{rateLimitFilter, b.rateLimits()},
		{bufferFilter, &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(1)}},
	}
}

type routeFilter struct {
	name   string
	config proto.Message
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
	for _, f := range b.routeFilters() {
		if wanted[f.name] {
			filter := b.httpFilter(f.name, f.config)
			filter.Disabled = true
			out = append(out, filter)
		}
	}
	return out
}
