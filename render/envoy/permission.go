package envoy

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// permission is which requests a rule is about.
func permission(r *ir.Rule) *rbacconfigv3.Permission {
	var all []*rbacconfigv3.Permission
	if len(r.Hosts) > 0 && !slices.Contains(r.Hosts, "*") {
		var hosts []*rbacconfigv3.Permission
		for _, h := range r.Hosts {
			hosts = append(hosts,
				header(ir.StringMatch{Name: ":authority", Kind: ir.MatchRegex, Value: ruleHost(h)}))
		}
		all = append(all, anyOf(hosts))
	}
	if len(r.Methods) > 0 {
		var methods []*rbacconfigv3.Permission
		for _, m := range r.Methods {
			methods = append(methods, header(ir.StringMatch{Name: ":method", Kind: ir.MatchExact, Value: m}))
		}
		all = append(all, anyOf(methods))
	}
	if len(r.Paths) > 0 && !slices.Contains(r.Paths, "/*") {
		var paths []*rbacconfigv3.Permission
		for _, p := range r.Paths {
			paths = append(paths,
				&rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_UrlPath{UrlPath: &matcherv3.PathMatcher{
					Rule: &matcherv3.PathMatcher_Path{Path: rulePath(p)},
				}}})
		}
		all = append(all, anyOf(paths))
	}
	for _, h := range r.Headers {
		all = append(all, header(h))
	}
	if r.JWT != nil {
		all = append(all, token(r.JWT)...)
	}
	switch len(all) {
	case 0:
		return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_Any{Any: true}}
	case 1:
		return all[0]
	}
	return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_AndRules{AndRules: &rbacconfigv3.Permission_Set{
		Rules: all,
	}}}
}

func anyOf(rules []*rbacconfigv3.Permission) *rbacconfigv3.Permission {
	if len(rules) == 1 {
		return rules[0]
	}
	return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_OrRules{OrRules: &rbacconfigv3.Permission_Set{
		Rules: rules,
	}}}
}

func header(m ir.StringMatch) *rbacconfigv3.Permission {
	return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_Header{Header: headerMatch(m)}}
}

// token is a token that was verified, by what the filter for tokens says of it.
func token(j *ir.JWTRule) []*rbacconfigv3.Permission {
	out := []*rbacconfigv3.Permission{verified(j.Issuer, "iss", present())}
	for _, c := range j.Claims {
		var values []*rbacconfigv3.Permission
		for _, v := range c.Values {
			values = append(values, verified(j.Issuer, c.Name, claimValue(v)))
		}
		out = append(out, anyOf(values))
	}
	return out
}

// verified matches what the filter for tokens tells of a token that it verified: a member of the claims or of the
// header, which it tells under that name.
func verified(under, member string, value *matcherv3.ValueMatcher) *rbacconfigv3.Permission {
	return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_SourcedMetadata{
		SourcedMetadata: &rbacconfigv3.SourcedMetadata{
			MetadataMatcher: &matcherv3.MetadataMatcher{
				Filter: jwtFilter,
				Path: []*matcherv3.MetadataMatcher_PathSegment{
					{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: under}},
					{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: member}},
				},
				Value: value,
			},
		},
	}}
}

func present() *matcherv3.ValueMatcher {
	return &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_PresentMatch{PresentMatch: true}}
}

// claimValue matches a claim that is the value, or a list that has it.
func claimValue(v string) *matcherv3.ValueMatcher {
	text := &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{
		StringMatch: &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Exact{Exact: v},
		},
	}}
	forms := []*matcherv3.ValueMatcher{
		text,
		{MatchPattern: &matcherv3.ValueMatcher_ListMatch{ListMatch: &matcherv3.ListMatcher{
			MatchPattern: &matcherv3.ListMatcher_OneOf{OneOf: text},
		}}},
	}
	if truth, err := strconv.ParseBool(v); err == nil && (v == "true" || v == "false") {
		forms = append(forms, &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_BoolMatch{
			BoolMatch: truth,
		}})
	}
	if number, err := strconv.ParseFloat(v, 64); err == nil {
		forms = append(forms, &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_DoubleMatch{
			DoubleMatch: &matcherv3.DoubleMatcher{
				MatchPattern: &matcherv3.DoubleMatcher_Exact{Exact: number},
			},
		}})
	}
	return &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_OrMatch{
		OrMatch: &matcherv3.OrMatcher{ValueMatchers: forms},
	}}
}

// ruleHost matches the host without regard to its case, a port, or the dot at the end of a whole name.
func ruleHost(pattern string) string {
	below := ""
	if suffix, wildcard := strings.CutPrefix(pattern, "*"); wildcard {
		below, pattern = ".+", suffix
	}
	return "(?i)" + below + regexp.QuoteMeta(pattern) + `\.?` + ir.AuthorityPort
}

// rulePath matches the path without the query.
func rulePath(pattern string) *matcherv3.StringMatcher {
	if prefix, below := strings.CutSuffix(pattern, "*"); below {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: prefix}}
	}
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: pattern}}
}

func cidr(p netip.Prefix) *corev3.CidrRange {
	return &corev3.CidrRange{AddressPrefix: p.Addr().String(), PrefixLen: wrapperspb.UInt32(uint32(p.Bits()))}
}
