package envoy

import (
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// edgeTLS ends the TLS of clients from outside, with the suites that Mozilla's
// "intermediate" configuration has for TLS 1.2. Tickets of sessions are not given
// out where clients show certificates: a session would outlive one.
func (b *builder) edgeTLS(t *ir.ListenerTLS, alpn []string) *tlsv3.DownstreamTlsContext {
	versions := map[string]tlsv3.TlsParameters_TlsProtocol{
		"1.2": tlsv3.TlsParameters_TLSv1_2,
		"1.3": tlsv3.TlsParameters_TLSv1_3,
	}
	out := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsParams: &tlsv3.TlsParameters{
			TlsMinimumProtocolVersion: versions[t.MinVersion], TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
			CipherSuites: []string{
				"[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
				"[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
				"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
			},
		},
		AlpnProtocols:                  alpn,
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{b.certificateSecret(t.Secret)},
	}}
	if t.ClientRoots != "" {
		out.RequireClientCertificate = wrapperspb.Bool(!t.ClientOptional)
		out.CommonTlsContext.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: b.rootsSecret(t.ClientRoots),
		}
		out.SessionTicketKeysType = &tlsv3.DownstreamTlsContext_DisableStatelessSessionResumption{
			DisableStatelessSessionResumption: true,
		}
		out.DisableStatefulSessionResumption = true
	}
	return out
}
