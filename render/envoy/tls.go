package envoy

import (
	"cmp"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const tlsTransportSocket = "envoy.transport_sockets.tls"

// systemRoots is where Envoy's own images, Debian and Alpine have the system's
// roots. Envoy 1.40 does not look for them itself (system_root_certs).
const systemRoots = "/etc/ssl/certs/ca-certificates.crt"

// Between proxies there is TLS 1.3 and nothing else.
func meshParameters() *tlsv3.TlsParameters {
	return &tlsv3.TlsParameters{
		TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
		TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
	}
}

// meshContext presents the proxy's own certificate and accepts the identities
// that one of the matchers does, signed by whom the mesh trusts.
func (b *builder) meshContext(accept []*matcherv3.StringMatcher, trust string, alpn []string) *tlsv3.CommonTlsContext {
	var names []*tlsv3.SubjectAltNameMatcher
	for _, m := range accept {
		names = append(names, &tlsv3.SubjectAltNameMatcher{SanType: tlsv3.SubjectAltNameMatcher_URI, Matcher: m})
	}
	return &tlsv3.CommonTlsContext{
		TlsParams:                      meshParameters(),
		AlpnProtocols:                  alpn,
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{b.identityConfig()},
		ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext:         &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: names},
				ValidationContextSdsSecretConfig: b.trustConfig(trust),
			},
		},
	}
}

// upstreamTLS is the client's side: it accepts the callee's identity alone.
func (b *builder) upstreamTLS(callee *ir.Upstream, alpn ...string) *corev3.TransportSocket {
	return b.upstreamTLSTo(callee.Identity, callee.QualifiedName(), alpn...)
}

// upstreamTLSTo accepts that identity alone, and names the SNI in the handshake.
func (b *builder) upstreamTLSTo(id spiffeid.ID, sni string, alpn ...string) *corev3.TransportSocket {
	return b.transportSocket(&tlsv3.UpstreamTlsContext{
		CommonTlsContext: b.meshContext([]*matcherv3.StringMatcher{b.callee(id)}, secretTrust, alpn),
		Sni:              sni,
	})
}

// downstreamTLS is the server's side: it demands a certificate of an identity
// that one of the matchers accepts. Sessions are not resumed, as that would carry
// an identity past the end of its certificate.
func (b *builder) downstreamTLS(accept []*matcherv3.StringMatcher, alpn ...string) *corev3.TransportSocket {
	b.trustsAll = true
	return b.transportSocket(&tlsv3.DownstreamTlsContext{
		CommonTlsContext:         b.meshContext(accept, secretTrustOfAll, alpn),
		RequireClientCertificate: wrapperspb.Bool(true),
		SessionTicketKeysType: &tlsv3.DownstreamTlsContext_DisableStatelessSessionResumption{
			DisableStatelessSessionResumption: true,
		},
		DisableStatefulSessionResumption: true,
	})
}

// originatedTLS is TLS to a service outside the mesh, whose certificate must carry its host, or the name that the spec
// gives for it, and be signed by the given roots or the system's. Of an external with several hosts it is the one that
// was asked for ([severalHosts]).
func (b *builder) originatedTLS(e *ir.External, alpn string) *corev3.TransportSocket {
	validation := &tlsv3.CertificateValidationContext{TrustedCa: file(cmp.Or(e.Roots, systemRoots))}
	out := &tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsParams:             &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		AlpnProtocols:         []string{alpn},
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: validation},
	}}
	if e.Secret != "" {
		out.CommonTlsContext.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{b.certificateSecret(e.Secret)}
	}
	if name := onlyName(e); name != "" {
		out.Sni = name
		validation.MatchTypedSubjectAltNames = []*tlsv3.SubjectAltNameMatcher{{
			SanType: tlsv3.SubjectAltNameMatcher_DNS,
			Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}},
		}}
	}
	return b.transportSocket(out)
}

// onlyName is the name in each handshake with an external, and in its certificate; "" where it is the host of the
// request.
func onlyName(e *ir.External) string {
	if e.ServerName == "" && len(e.Hosts) == 1 && !e.ByHost() {
		return e.Hosts[0]
	}
	return e.ServerName
}

// severalHosts has the name in the handshake, and that in the certificate, be the host of the request; nil for an
// external for which it is always the same.
func severalHosts(e *ir.External, port *ir.Port) *corev3.UpstreamHttpProtocolOptions {
	if onlyName(e) != "" || port.Protocol != ir.HTTPS {
		return nil
	}
	return &corev3.UpstreamHttpProtocolOptions{AutoSni: true, AutoSanValidation: true}
}

func exactly(id spiffeid.ID) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: id.String()}}
}

func (b *builder) transportSocket(context proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{
		Name:       tlsTransportSocket,
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: b.any(context)},
	}
}
