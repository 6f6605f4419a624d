package envoy

import (
	"strconv"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	upstreamcodecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	grpcStatus = "grpc-status"
	// heldStatus has the status of an answer of gRPC while its caller's proxy counts it, and goes no further.
	heldStatus   = "x-meshc-grpc-status"
	statusFilter = headerMutationFilter + ".status"
)

// judge has a cluster's instances judged by the matcher. Where an answer of gRPC has its status in the headers, as one
// without a message has, Envoy goes by that instead; so a filter holds it back until the answer is counted
// ([builder.givesStatus]), unless a proxy wrote it in the place of an application: of gRPC Envoy counts no failure
// without a status.
func (b *builder) judge(o *httpv3.HttpProtocolOptions, by *httpv3.HttpProtocolOptions_OutlierDetection,
	spoken ir.Protocol,
) *httpv3.HttpProtocolOptions {
	o.OutlierDetection = by
	if by == nil || !spoken.Multiplexed() {
		return o
	}
	if len(o.HttpFilters) == 0 {
		o.HttpFilters = []*hcmv3.HttpFilter{b.httpFilter(upstreamCodecFilter, &upstreamcodecv3.UpstreamCodec{})}
	}
	o.HttpFilters = append([]*hcmv3.HttpFilter{b.httpFilter(statusFilter, &headermutationv3.HeaderMutation{
		Mutations: &headermutationv3.Mutations{ResponseMutations: []*mutationv3.HeaderMutation{
			{Action: &mutationv3.HeaderMutation_Append{Append: copied(grpcStatus, heldStatus)}},
			{Action: &mutationv3.HeaderMutation_Remove{Remove: grpcStatus}},
			{Action: &mutationv3.HeaderMutation_Append{Append: copied(unansweredStatus, grpcStatus)}},
		}},
	})}, o.HttpFilters...)
	return o
}

// givesStatus gives the answers of a route the status that was held back; [routesOf] takes out the rest.
func (b *builder) givesStatus(route *routev3.Route, spoken ir.Protocol) {
	if spoken.Multiplexed() && !b.proxyless {
		route.ResponseHeadersToAdd = append(route.ResponseHeadersToAdd, copied(heldStatus, grpcStatus))
	}
}

// copied writes a header of the answer under another name; nothing where there is none.
func copied(from, to string) *corev3.HeaderValueOption {
	return overwriting(to, "%RESP("+from+")%")
}

// statuses are those of gRPC that the conditions name.
var statuses = map[ir.RetryCondition]int{
	"cancelled": 1, "deadline-exceeded": 4, "resource-exhausted": 8, "internal": 13, "unavailable": 14,
}

// onStatus matches the answers that the conditions send a request again for, while their status is held back.
func onStatus(on []ir.RetryCondition, spoken ir.Protocol) []*routev3.HeaderMatcher {
	var out []*routev3.HeaderMatcher
	for _, condition := range on {
		if status, ok := statuses[condition]; ok && spoken.Multiplexed() {
			out = append(out, headerMatch(ir.StringMatch{
				Name: heldStatus, Kind: ir.MatchExact,
				Value: strconv.Itoa(status),
			}))
		}
	}
	return out
}
