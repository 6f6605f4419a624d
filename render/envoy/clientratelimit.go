package envoy

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	commonratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	localratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// The filters of a gateway's own bounds, beside those of its routes: of one filter only what the route says would hold.
const (
	localClientLimitFilter = localRateLimitFilter + ".clients"
	clientLimitFilter      = rateLimitFilter + ".clients"
)

// The entries of descriptors by which a gateway's bounds, and its clients, are told apart. That of addresses has the
// name which Envoy gives it.
const (
	descriptorGateway = "gateway"
	descriptorLimit   = "limit"
	descriptorAddress = "masked_remote_address"
	descriptorHeader  = "header"
	descriptorWithout = "without"
)

// maxClients is for how many addresses, or values of a header, a listener counts at a time; of Envoy's own 20 the next
// one would have the first one begin anew. When there are more, those are forgotten that have sent nothing for longest.
const maxClients = 100_000

// clientRateLimits are the filters of a gateway's bounds, which stand in the routes of a listener as its rules do.
func (b *builder) clientRateLimits(l *ir.Listener) []*hcmv3.HttpFilter {
	if l.RedirectTo != "" {
		return nil
	}
	var out []*hcmv3.HttpFilter
	add := func(name string, config proto.Message) {
		filter := b.httpFilter(name, config)
		filter.Disabled = true
		out = append(out, filter)
	}
	g := b.scope.Gateway
	if local, _ := clientLimits(g); local != nil {
		add(localClientLimitFilter, &localratelimitv3.LocalRateLimit{StatPrefix: localClientLimitFilter})
	}
	if g.CountedGlobally() != nil {
		add(clientLimitFilter, b.rateLimits())
	}
	return out
}

// limitClients has the bounds of the gateway hold for all requests of a listener.
func (b *builder) limitClients(routes *routev3.RouteConfiguration) {
	local, global := clientLimits(b.scope.Gateway)
	if local != nil {
		routes.TypedPerFilterConfig[localClientLimitFilter] = b.any(local)
	}
	if global != nil {
		routes.TypedPerFilterConfig[clientLimitFilter] = b.any(&ratelimitv3.RateLimitPerRoute{RateLimits: global})
	}
}

// clientLimits are the bounds of a gateway that this proxy keeps, and the descriptors of those that the rate limit
// service does; nil where there are none.
func clientLimits(g *ir.Gateway) (local *localratelimitv3.LocalRateLimit, global []*routev3.RateLimit) {
	for i := range g.RateLimits {
		r := &g.RateLimits[i]
		for _, by := range clientsOf(r) {
			limit := &routev3.RateLimit{Actions: []*routev3.RateLimit_Action{entry(descriptorLimit, r.Name)}}
			if by.action != nil {
				limit.Actions = append(limit.Actions, by.action)
			}
			if r.Bound.Global {
				limit.Actions = append([]*routev3.RateLimit_Action{entry(descriptorGateway, g.Name)}, limit.Actions...)
				global = append(global, limit)
				continue
			}
			if local == nil { // what has no descriptor, of which there is none, would have the first bound
				local = localLimit(localClientLimitFilter, &r.Bound, nil)
				local.AlwaysConsumeDefaultTokenBucket = wrapperspb.Bool(false)
				local.MaxDynamicDescriptors = wrapperspb.UInt32(maxClients)
			}
			entries := []*commonratelimitv3.RateLimitDescriptor_Entry{{Key: descriptorLimit, Value: r.Name}}
			if by.entry != nil {
				entries = append(entries, by.entry)
			}
			local.RateLimits = append(local.RateLimits, limit)
			local.Descriptors = append(local.Descriptors, &commonratelimitv3.LocalRateLimitDescriptor{
				Entries: entries, TokenBucket: tokens(&r.Bound),
			})
		}
	}
	return local, global
}

// clientEntry is how the requests are told apart that have a bound of their own: an action, and the entry of
// descriptors that it makes, of any value where it has none.
type clientEntry struct {
	action *routev3.RateLimit_Action
	entry  *commonratelimitv3.RateLimitDescriptor_Entry
}

// clientsOf are the entries of a bound, of which each request has exactly one.
func clientsOf(r *ir.ClientRateLimit) []clientEntry {
	switch {
	case r.PerAddress:
		return []clientEntry{{
			&routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_MaskedRemoteAddress_{
				MaskedRemoteAddress: &routev3.RateLimit_Action_MaskedRemoteAddress{
					V4PrefixMaskLen: wrapperspb.UInt32(32), V6PrefixMaskLen: wrapperspb.UInt32(64),
				},
			}}, &commonratelimitv3.RateLimitDescriptor_Entry{Key: descriptorAddress},
		}}
	case r.Header != "":
		return []clientEntry{{
			&routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_RequestHeaders_{
				RequestHeaders: &routev3.RateLimit_Action_RequestHeaders{
					HeaderName: r.Header, DescriptorKey: descriptorHeader,
				},
			}}, &commonratelimitv3.RateLimitDescriptor_Entry{Key: descriptorHeader},
		}, {
			&routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_HeaderValueMatch_{
				HeaderValueMatch: &routev3.RateLimit_Action_HeaderValueMatch{
					DescriptorKey: descriptorWithout, DescriptorValue: r.Header, ExpectMatch: wrapperspb.Bool(false),
					Headers: []*routev3.HeaderMatcher{{
						Name: r.Header, HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true},
					}},
				},
			}}, &commonratelimitv3.RateLimitDescriptor_Entry{Key: descriptorWithout, Value: r.Header},
		}}
	}
	return []clientEntry{{}}
}
