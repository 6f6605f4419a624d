package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/ir"
)

const externalAuthorizationFilter = "envoy.filters.http.ext_authz"

// externalAuthorization asks a service about each request; none when the name is
// empty. Without an answer the request is refused with 403, unless the spec says
// that it goes through.
func (b *builder) externalAuthorization(name string) []*hcmv3.HttpFilter {
	a := b.scope.Settings.ExternalAuthorization(name)
	if a == nil {
		return nil
	}
	callee := b.scope.Upstreams[a.Service]
	cluster := b.upstream(callee, b.use(a.Service), callee.Port(a.Port), "")
	config := &extauthzv3.ExtAuthz{
		TransportApiVersion: corev3.ApiVersion_V3, FailureModeAllow: a.FailOpen, IncludePeerCertificate: true,
		StatusOnError: &typev3.HttpStatus{Code: typev3.StatusCode_Forbidden},
		StatPrefix:    a.Name,
	}
	if a.GRPC {
		config.Services = &extauthzv3.ExtAuthz_GrpcService{GrpcService: &corev3.GrpcService{
			Timeout: duration(a.Timeout),
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
				ClusterName: cluster, Authority: callee.Name,
			}},
		}}
	} else {
		config.Services = &extauthzv3.ExtAuthz_HttpService{HttpService: askedByHTTP(a, cluster)}
		config.AllowedHeaders = names(append([]string{"authorization"}, a.Headers...))
	}
	return []*hcmv3.HttpFilter{b.httpFilter(externalAuthorizationFilter, config)}
}

func askedByHTTP(a *ir.ExternalAuthorization, cluster string) *extauthzv3.HttpService {
	out := &extauthzv3.HttpService{
		ServerUri: &corev3.HttpUri{
			Uri: "http://" + a.Service, Timeout: duration(a.Timeout),
			HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: cluster},
		},
		PathPrefix: a.PathPrefix,
	}
	if len(a.Forward) > 0 {
		out.AuthorizationResponse = &extauthzv3.AuthorizationResponse{AllowedUpstreamHeaders: names(a.Forward)}
	}
	return out
}

func names(list []string) *matcherv3.ListStringMatcher {
	out := &matcherv3.ListStringMatcher{}
	for _, name := range list {
		out.Patterns = append(out.Patterns,
			&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}})
	}
	return out
}
