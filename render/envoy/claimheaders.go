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
	if len(list) == 0 {
		return
	}
	config := &headermutationv3.HeaderMutation{}
	for _, name := range list {
		config.Mutations = append(config.Mutations, &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: name}})
	}
	m.EarlyHeaderMutationExtensions = append(m.EarlyHeaderMutationExtensions, &corev3.TypedExtensionConfig{
		Name: earlyHeaderMutation, TypedConfig: b.any(config),
	})
}
