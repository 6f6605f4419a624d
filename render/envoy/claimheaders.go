package envoy

import (
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"

	"github.com/meshc/meshc/compiler/ir"
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

// forwardedHeaders are those in which the application on that port learns what a
// token says, and what the service says that is asked about requests.
func (b *builder) forwardedHeaders(port *ir.Port) []string {
	known := map[string]bool{}
	for _, name := range b.scope.Service.TokenIssuers(port) {
		for _, f := range b.scope.Settings.JWTIssuer(name).Forward {
			known[f.Header] = true
		}
	}
	return b.withAuthorizer(known, b.scope.Service.Authorizer)
}

// foreignHeaders are those that nobody outside the mesh may write.
func (b *builder) foreignHeaders(authorizer string) []string {
	known := map[string]bool{}
	for _, name := range b.scope.Settings.ClaimHeaders() {
		known[name] = true
	}
	return b.withAuthorizer(known, authorizer)
}

func (b *builder) withAuthorizer(known map[string]bool, authorizer string) []string {
	if a := b.scope.Settings.ExternalAuthorization(authorizer); a != nil {
		for _, name := range a.Forward {
			known[name] = true
		}
	}
	return sortedKeys(known)
}
