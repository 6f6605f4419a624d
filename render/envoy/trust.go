package envoy

import (
	"path"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/ir"
)

const spiffeValidator = "envoy.tls.cert_validator.spiffe"

func (b *builder) foreign(p *ir.Peer) bool { return b.scope.Settings.Foreign(p) }

// identities believes the roots for identities of the trust domain, and those of others for their own, and
// refuses a leaf that is an authority or may sign for one (SPIFFE X.509-SVID, section 4): Envoy's own validation
// asks neither. The roots are named twice: by the second name Envoy knows that it must read a file of them again.
func identities(own *tlsv3.CertificateValidationContext, domain string,
	others ...*ir.TrustDomain,
) (*tlsv3.CertificateValidationContext, error) {
	config := &tlsv3.SPIFFECertValidatorConfig{TrustDomains: []*tlsv3.SPIFFECertValidatorConfig_TrustDomain{
		{Name: domain, TrustBundle: own.TrustedCa},
	}}
	for _, td := range others {
		config.TrustDomains = append(config.TrustDomains, &tlsv3.SPIFFECertValidatorConfig_TrustDomain{
			Name: td.Name, TrustBundle: inline([]byte(td.Bundle)),
		})
	}
	packed, err := anypb.New(config)
	return &tlsv3.CertificateValidationContext{
		TrustedCa: own.TrustedCa, WatchedDirectory: own.WatchedDirectory,
		CustomValidatorConfig: &corev3.TypedExtensionConfig{Name: spiffeValidator, TypedConfig: packed},
	}, err
}

// trust is a secret that says whose certificates are believed: identities of the mesh's own trust domain, and of
// others.
func (b *builder) trust(name string, others ...*ir.TrustDomain) *tlsv3.Secret {
	context, err := identities(b.ownTrust(), b.scope.Settings.TrustDomain, others...)
	if b.err == nil {
		b.err = err
	}
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: context}}
}

// ownTrust is whom the mesh itself trusts: what the server says, or a file.
func (b *builder) ownTrust() *tlsv3.CertificateValidationContext {
	if b.options.TrustBundle != nil {
		return &tlsv3.CertificateValidationContext{TrustedCa: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: string(b.options.TrustBundle)},
		}}
	}
	dir := b.member.Proxy.CertificateDirectory
	return &tlsv3.CertificateValidationContext{
		TrustedCa:        file(path.Join(dir, trustFile)),
		WatchedDirectory: &corev3.WatchedDirectory{Path: dir},
	}
}

// callers accepts the identities that some rule lets in on that port.
func (b *builder) callers(port *ir.Port) []*matcherv3.StringMatcher {
	var out []*matcherv3.StringMatcher
	for _, p := range b.peers(port) {
		if p.Kind != ir.KindPlaintext {
			out = append(out, b.identityOf(&p))
		}
	}
	return out
}

// members accepts every identity of the mesh's trust domain, and those of others
// that some rule lets in on that port: whoever is refused learns so by an answer.
func (b *builder) members(port *ir.Port) []*matcherv3.StringMatcher {
	out := []*matcherv3.StringMatcher{hasPrefix(b.scope.Settings.Domain())}
	for _, p := range b.peers(port) {
		if b.foreign(&p) {
			out = append(out, b.identityOf(&p))
		}
	}
	return out
}

// identityOf matches the SPIFFE IDs of a caller.
func (b *builder) identityOf(p *ir.Peer) *matcherv3.StringMatcher {
	switch p.Kind {
	case ir.KindAnyone:
		return hasPrefix(b.scope.Settings.Domain())
	case ir.KindIdentity, ir.KindNamespace:
		if prefix, all := strings.CutSuffix(p.Pattern, "*"); all {
			return hasPrefix(prefix)
		}
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: p.Pattern}}
	}
	return exactly(p.Identity)
}

func hasPrefix(prefix string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: prefix}}
}
