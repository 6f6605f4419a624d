package envoy

import (
	"net"
	"slices"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// certificateProvider is the entry of certificate_providers in the bootstrap of
// a gRPC client that has its certificate and the trust bundle (gRFC A29).
const certificateProvider = "default"

// Proxyless makes the resources of a gRPC client that reads xDS itself (gRFC
// A27) and stands for the member. Its targets are the names of the services that
// the member uses on ports that speak HTTP/2, with the port's number:
// "xds:///checkout.shop:5050", or without it where only one of the ports is
// meant. Externals are left out: a client reaches them without the mesh.
func Proxyless(scope ir.Scope, o Options) (*Resources, error) {
	b := newBuilder(scope, o)
	b.proxyless = true
	for i := range b.member.Uses {
		use := &b.member.Uses[i]
		if use.External {
			continue
		}
		var calls []call
		for _, name := range use.Ports {
			if c := b.call(use, name); c.port.Protocol.Multiplexed() {
				calls = append(calls, c)
			}
		}
		for _, c := range calls {
			b.apiListeners(c, len(calls) == 1)
		}
	}
	return b.finish()
}

// apiListeners adds a listener for each name by which a client may address the call,
// all with the same routes.
func (b *builder) apiListeners(c call, alone bool) {
	name := outboundBind(b.label(c), c.port.Name)
	b.out.Routes = append(b.out.Routes, &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{{
		Name: name, Domains: []string{"*"}, Metadata: positionMetadata(c.use.Pos),
		Routes: b.serviceRoutes(forGRPC(c.callee), c.use, c.port),
	}}})
	api := b.any(&hcmv3.HttpConnectionManager{
		StatPrefix:     name,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: ads(), RouteConfigName: name}},
		HttpFilters:    []*hcmv3.HttpFilter{b.httpFilter(routerFilter, &routerv3.Router{})},
	})
	for _, host := range b.hosts(c) {
		targets := []string{net.JoinHostPort(host, strconv.Itoa(int(c.port.Number)))}
		if alone {
			targets = append(targets, host)
		}
		for _, target := range targets {
			b.out.Listeners = append(b.out.Listeners, &listenerv3.Listener{
				Name:        target,
				ApiListener: &listenerv3.ApiListener{ApiListener: api},
				Metadata:    positionMetadata(c.use.Pos),
			})
		}
	}
}

// forGRPC is the callee with the routes that a gRPC request can take. Such a
// request is a POST without a query, and a client cannot match either by itself:
// it would drop a route that asks for a query, even one that asks for none.
func forGRPC(callee *ir.Upstream) *ir.Upstream {
	out := *callee
	out.Routes = nil
	for _, r := range callee.Routes {
		m := &r.Match
		if m.Method != "" && m.Method != "POST" {
			continue
		}
		if slices.ContainsFunc(m.Query, func(q ir.StringMatch) bool { return q.Kind != ir.MatchAbsent }) {
			continue
		}
		m.Method, m.Query = "", nil
		out.Routes = append(out.Routes, r)
	}
	return &out
}

// proxylessTLS is the client's side without a proxy. A gRPC client refuses
// tls_params, and reads match_subject_alt_names alone: what stands in the typed
// matchers that Envoy prefers it would silently not check.
func (b *builder) proxylessTLS(callee *ir.Upstream) *corev3.TransportSocket {
	provider := func() *tlsv3.CertificateProviderPluginInstance {
		return &tlsv3.CertificateProviderPluginInstance{InstanceName: certificateProvider}
	}
	return b.transportSocket(&tlsv3.UpstreamTlsContext{
		CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsCertificateProviderInstance: provider(),
			ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{
				ValidationContext: &tlsv3.CertificateValidationContext{
					CaCertificateProviderInstance: provider(),
					//lint:ignore SA1019 gRPC reads no other
					MatchSubjectAltNames: []*matcherv3.StringMatcher{b.callee(callee.Identity)},
				},
			},
		},
	})
}
