package envoy

import (
	"cmp"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshc/meshc/compiler/ir"
)

const jwtFilter = "envoy.filters.http.jwt_authn"

const (
	keySetTimeout = 5 * time.Second // to fetch the keys
	keySetRetry   = time.Second     // after they could not be fetched
	maxToken      = 16 << 10        // bytes
)

// nobodysKeys stand in for a key set without keys, which Envoy does not take. Its
// point is the first on P-256 whose x is at or after the SHA-256 of "meshc: nobody
// has the key to this point": no signature can be made for it.
const nobodysKeys = `{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig",` +
	`"x":"Y1kYR2gUzrcnRJBPd8idjweiHsUN9EbhrOKABsVBQ-0","y":"WV5iLZJf579e5J0ZdvMaJhcu9CEaCQctrrjjPjzxJDk"}]}`

// tokens verify the tokens that the rules on a port ask for, and tell the rules what
// they say. A token that is not good is answered with 401, wherever it is sent; none
// at all too, where every rule asks for one.
func (b *builder) tokens(port *ir.Port) []*hcmv3.HttpFilter {
	issuers := b.guards().TokenIssuers(port)
	if len(issuers) == 0 {
		return nil
	}
	config := &jwtv3.JwtAuthentication{Providers: map[string]*jwtv3.JwtProvider{}}
	var good []*jwtv3.JwtRequirement
	for _, name := range issuers {
		config.Providers[name] = b.provider(b.scope.Settings.JWTIssuer(name))
		good = append(good, &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_ProviderName{ProviderName: name}})
	}
	if b.goesWithout(port) {
		good = append(good, &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_AllowMissing{
			AllowMissing: &emptypb.Empty{},
		}})
	}
	required := good[0]
	if len(good) > 1 {
		required = &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_RequiresAny{
			RequiresAny: &jwtv3.JwtRequirementOrList{Requirements: good},
		}}
	}
	config.Rules = []*jwtv3.RequirementRule{{
		Match: pathMatch(ir.PathMatch{}), RequirementType: &jwtv3.RequirementRule_Requires{Requires: required},
	}}
	return []*hcmv3.HttpFilter{b.oneToken(), b.httpFilter(jwtFilter, config), b.nothingCritical(issuers)}
}

// httpCriticalFilter is the filter of [builder.nothingCritical].
const httpCriticalFilter = httpRBACFilter + ".critical"

// nothingCritical answers 403 to tokens whose header says that something in it must be understood ("crit", RFC 7515,
// section 4.1.11). Such a token is not valid for a reader that does not understand it, and the filter that verifies
// tokens understands no extension, but takes no notice.
func (b *builder) nothingCritical(issuers []string) *hcmv3.HttpFilter {
	var critical []*rbacconfigv3.Permission
	for _, name := range issuers {
		critical = append(critical, verified(tokenHeader(name), "crit", present()))
	}
	return b.refuses(httpCriticalFilter, map[string]*rbacconfigv3.Permission{"critical": anyOf(critical)})
}

// tokenHeader is under which name the filter for tokens tells the header of an issuer's token, beside the claims,
// which are under the issuer's. No issuer has such a name.
func tokenHeader(issuer string) string { return issuer + "/header" }

// httpTokenFilter is the filter of [builder.oneToken].
const httpTokenFilter = httpRBACFilter + ".token"

// oneToken answers 403 to credentials that say "bearer" in another way than with one
// token after "Bearer ". The scheme's name has no case (RFC 9110, section 11.1), but
// the filter that verifies tokens knows one spelling, and would take the others for no
// token at all; an application may not.
func (b *builder) oneToken() *hcmv3.HttpFilter {
	is := func(form string) *rbacconfigv3.Permission {
		return header(ir.StringMatch{Name: "authorization", Kind: ir.MatchRegex, Value: form})
	}
	other := &rbacconfigv3.Permission_Set{Rules: []*rbacconfigv3.Permission{
		is(`(?is)(.*[\s,])?bearer([\s,].*)?`),
		{Rule: &rbacconfigv3.Permission_NotRule{NotRule: is(`Bearer( [^\s,]*)?`)}},
	}}
	return b.refuses(httpTokenFilter,
		map[string]*rbacconfigv3.Permission{"bearer": {Rule: &rbacconfigv3.Permission_AndRules{AndRules: other}}})
}

// goesWithout reports whether something is let in on the port without a token.
func (b *builder) goesWithout(port *ir.Port) bool {
	if g := b.scope.Gateway; g != nil && !g.Closed {
		return true
	}
	return b.probe(port) != nil || b.guards().GoesWithout(port)
}

// provider is an issuer. Tokens are looked for in one place, so that there cannot be
// two of which one is good. A gateway leaves every token in: the service behind it may ask for it, and takes it out.
func (b *builder) provider(i *ir.JWTIssuer) *jwtv3.JwtProvider {
	out := &jwtv3.JwtProvider{
		Issuer: i.Issuer, Audiences: i.Audiences, RequireExpiration: true,
		Forward:                    !i.DropToken || b.scope.Gateway != nil,
		FromHeaders:                []*jwtv3.JwtHeader{{Name: "Authorization", ValuePrefix: "Bearer "}},
		PayloadInMetadata:          i.Name,
		HeaderInMetadata:           tokenHeader(i.Name),
		NormalizePayloadInMetadata: &jwtv3.JwtProvider_NormalizePayload{SpaceDelimitedClaims: ir.SpacedClaims},
		JwtCacheConfig:             &jwtv3.JwtCacheConfig{JwtMaxTokenSize: maxToken},
	}
	for _, f := range i.Forward {
		out.ClaimToHeaders = append(out.ClaimToHeaders, &jwtv3.JwtClaimToHeader{
			HeaderName: f.Header,
			ClaimName:  f.Claim,
		})
	}
	if i.To == "" {
		out.JwksSourceSpecifier = &jwtv3.JwtProvider_LocalJwks{LocalJwks: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: cmp.Or(i.Inline, nobodysKeys)},
		}}
		return out
	}
	cluster, scheme := "", "http://"
	if i.External {
		e := b.scope.Externals[i.To]
		cluster, scheme = b.external(e, b.use(i.To), e.Port(i.Port)), "https://"
	} else {
		callee := b.scope.Upstreams[i.To]
		cluster = b.upstream(callee, b.use(i.To), callee.Port(i.Port), "")
	}
	out.JwksSourceSpecifier = &jwtv3.JwtProvider_RemoteJwks{RemoteJwks: &jwtv3.RemoteJwks{
		HttpUri: &corev3.HttpUri{
			Uri: scheme + i.Host + i.Path, Timeout: durationpb.New(keySetTimeout),
			HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: cluster},
		},
		CacheDuration: duration(i.Refresh),
		AsyncFetch:    &jwtv3.JwksAsyncFetch{FastListener: true, FailedRefetchDuration: durationpb.New(keySetRetry)},
	}}
	return out
}
