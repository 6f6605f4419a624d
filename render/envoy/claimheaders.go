package envoy

import (
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
)

const earlyHeaderMutation = "envoy.http.early_header_mutation.header_mutation"

// dropHeaders takes headers out of requests before anything looks at them: those
// that a proxy writes about who calls, of which nobody else's word counts.
func (b *builder) dropHeaders(m *hcmv3.HttpConnectionManager, list []string) {
	var mutations []*mutationv3.HeaderMutation
	for _, name := range list {
		mutations = append(mutations,
			&mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: name}})
	}
	b.early(m, mutations...)
}

// early changes headers of requests before anything looks at them.
func (b *builder) early(m *hcmv3.HttpConnectionManager, mutations ...*mutationv3.HeaderMutation) {
	if len(mutations) == 0 {
		return
	}
	m.EarlyHeaderMutationExtensions = append(m.EarlyHeaderMutationExtensions, &corev3.TypedExtensionConfig{
		Name: earlyHeaderMutation, TypedConfig: b.any(&headermutationv3.HeaderMutation{Mutations: mutations}),
	})
}
