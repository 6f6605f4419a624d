package envoy

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	sslv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/ssl/v3"
	"google.golang.org/protobuf/proto"
)

// networkIdentityFilter is the filter of [builder.oneIdentity].
const networkIdentityFilter = networkRBACFilter + ".identity"

// aSPIFFEID is one SPIFFE ID of a workload: with a path, whose segments are neither empty nor dots (SPIFFE-ID,
// section 2). Envoy joins the URIs of a certificate with commas, which no ID has.
const aSPIFFEID = `spiffe://[a-z0-9._-]+(/(\.{0,2}[A-Za-z0-9_-][A-Za-z0-9._-]*|\.{3}[A-Za-z0-9._-]*))+`

// aSPIFFEName is what DNS names, joined with commas, hold where one spells a SPIFFE ID.
const aSPIFFEName = `(?i).*spiffe:.*`

// oneIdentity closes connections whose certificate does not have exactly one identity: rules and handshakes are content
// with any URI of a certificate that they know, and rules with its DNS names too. (SPIFFE X.509-SVID, section 2.) It
// comes before all filters of a listener that asks for certificates of the mesh.
func (b *builder) oneIdentity(name string) *listenerv3.Filter {
	one := &xdsmatcherv3.Matcher_MatcherList_Predicate{
		MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_AndMatcher{
			AndMatcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_PredicateList{
				Predicate: []*xdsmatcherv3.Matcher_MatcherList_Predicate{
					b.certificate("uri_san", &sslv3.UriSanInput{}, aSPIFFEID),
					{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher{
						NotMatcher: b.certificate("dns_san",
							&sslv3.DnsSanInput{}, aSPIFFEName),
					}},
				},
			},
		},
	}
	allow := &xdscorev3.TypedExtensionConfig{
		Name:        "one identity",
		TypedConfig: b.any(&rbacconfigv3.Action{Name: "one identity", Action: rbacconfigv3.RBAC_ALLOW}),
	}
	return b.networkFilter(networkIdentityFilter, &networkrbacv3.RBAC{
		StatPrefix: name + ".identity",
		// What nothing matches is denied.
		Matcher: &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherList_{
			MatcherList: &xdsmatcherv3.Matcher_MatcherList{
				Matchers: []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher{{
					Predicate: one,
					OnMatch: &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
						Action: allow,
					}},
				}},
			},
		}},
	})
}

// certificate matches what the caller's certificate has of a kind of names, joined with commas, as a whole.
func (b *builder) certificate(kind string, input proto.Message,
	regex string,
) *xdsmatcherv3.Matcher_MatcherList_Predicate {
	return &xdsmatcherv3.Matcher_MatcherList_Predicate{
		MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{
			SinglePredicate: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate{
				Input: &xdscorev3.TypedExtensionConfig{
					Name:        "envoy.matching.inputs." + kind,
					TypedConfig: b.any(input),
				},
				Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{
					ValueMatch: &xdsmatcherv3.StringMatcher{
						MatchPattern: &xdsmatcherv3.StringMatcher_SafeRegex{SafeRegex: &xdsmatcherv3.RegexMatcher{
							EngineType: &xdsmatcherv3.RegexMatcher_GoogleRe2{
								GoogleRe2: &xdsmatcherv3.RegexMatcher_GoogleRE2{},
							},
							Regex: regex,
						}},
					},
				},
			},
		},
	}
}
