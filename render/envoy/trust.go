package envoy

import (
	"path"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/ir"
)

const spiffeValidator = "envoy.tls.cert_validator.spiffe"

// trustOn is the secret of whom connections to that port are believed by: the mesh's
// own roots, and others where a rule lets somebody of another trust domain in.
func (b *builder) trustOn(port *ir.Port) string {
	for _, p := range b.peers(port) {
		if b.foreign(&p) {
			b.trustsAll = true
			return secretTrustOfAll
		}
	}
	return secretTrust
}

// oneIdentity closes connections whose certificate has identities of two trust domains,
// or one that is no SPIFFE ID, on a port that believes several. Envoy chooses the roots
// by the first identity, and rules and handshakes are content with any: by the second, a
// domain's roots could speak for another. (A certificate has one; SPIFFE X.509-SVID,
// section 2.)
func (b *builder) oneIdentity(port *ir.Port) []*listenerv3.Filter {
	if b.trustOn(port) != secretTrustOfAll {
		return nil
	}
	domains := []string{b.scope.Settings.Domain()}
	for _, td := range b.scope.Settings.TrustDomains {
		domains = append(domains, "spiffe://"+td.Name+"/")
	}
	refused := []*rbacconfigv3.Principal{authenticated(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: re2(noSPIFFEID)}})}
	for i, one := range domains {
		for _, other := range domains[i+1:] {
			refused = append(refused, &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_AndIds{AndIds: &rbacconfigv3.Principal_Set{
				Ids: []*rbacconfigv3.Principal{authenticated(below(one)), authenticated(below(other))},
			}}})
		}
	}
	return []*listenerv3.Filter{b.networkFilter(networkRBACFilter+".identity", &networkrbacv3.RBAC{
		StatPrefix: inboundName(port.Name) + ".identity",
		Rules: &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_DENY, Policies: map[string]*rbacconfigv3.Policy{"several identities": {
			Permissions: []*rbacconfigv3.Permission{{Rule: &rbacconfigv3.Permission_Any{Any: true}}},
			Principals:  refused,
		}}},
	})}
}

// noSPIFFEID are URIs with a path that a SPIFFE ID must not have: with empty segments,
// dots for segments, or other characters (SPIFFE-ID, section 2.2).
const noSPIFFEID = `spiffe://[^/]*/(.*/)?\.{0,2}(/.*)?|spiffe://.*[^A-Za-z0-9._/-].*`

func (b *builder) foreign(p *ir.Peer) bool {
	return p.Kind == ir.KindIdentity && !strings.HasPrefix(p.Pattern, b.scope.Settings.Domain())
}

// trustOfAll believes the roots of each trust domain for its own identities and no
// other (SPIFFE Trust Domain and Bundle, section 4). The file of the mesh's own is
// named twice: by the second name Envoy knows that it must read it again.
func (b *builder) trustOfAll(own *tlsv3.CertificateValidationContext) *tlsv3.Secret {
	config := &tlsv3.SPIFFECertValidatorConfig{TrustDomains: []*tlsv3.SPIFFECertValidatorConfig_TrustDomain{{
		Name: b.scope.Settings.TrustDomain, TrustBundle: own.TrustedCa,
	}}}
	for _, td := range b.scope.Settings.TrustDomains {
		config.TrustDomains = append(config.TrustDomains, &tlsv3.SPIFFECertValidatorConfig_TrustDomain{
			Name: td.Name, TrustBundle: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: td.Bundle}},
		})
	}
	return &tlsv3.Secret{Name: secretTrustOfAll, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
		TrustedCa: own.TrustedCa, WatchedDirectory: own.WatchedDirectory,
		CustomValidatorConfig: &corev3.TypedExtensionConfig{Name: spiffeValidator, TypedConfig: b.any(config)},
	}}}
}

// ownTrust is whom the mesh itself trusts: what the server says, or a file.
func (b *builder) ownTrust() *tlsv3.CertificateValidationContext {
	if b.options.TrustBundle != nil {
		return &tlsv3.CertificateValidationContext{TrustedCa: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: string(b.options.TrustBundle)},
		}}
	}
	dir := b.member.Proxy.CertificateDirectory
	return &tlsv3.CertificateValidationContext{TrustedCa: file(path.Join(dir, trustFile)), WatchedDirectory: &corev3.WatchedDirectory{Path: dir}}
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
	out := []*matcherv3.StringMatcher{below(b.scope.Settings.Domain())}
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
		return below(b.scope.Settings.Domain())
	case ir.KindIdentity, ir.KindNamespace:
		if prefix, all := strings.CutSuffix(p.Pattern, "*"); all {
			return below(prefix)
		}
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: p.Pattern}}
	}
	return exactly(p.Identity)
}

func below(prefix string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: prefix}}
}
