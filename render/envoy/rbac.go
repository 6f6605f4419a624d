package envoy

import (
	"fmt"
	"slices"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	httpRBACFilter    = "envoy.filters.http.rbac"
	networkRBACFilter = "envoy.filters.network.rbac"
)

// httpRBAC answers 403 to what the rules of its route do not allow, and to
// everything where there are none.
func (b *builder) httpRBAC() *hcmv3.HttpFilter {
	return b.httpFilter(httpRBACFilter, &rbacv3.RBAC{Rules: &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_ALLOW}})
}

// networkRBAC closes a connection that no rule allows on that port.
func (b *builder) networkRBAC(port *ir.Port) *listenerv3.Filter {
	return b.networkFilter(networkRBACFilter, &networkrbacv3.RBAC{StatPrefix: inboundName(port.Name), Rules: b.rules(port)})
}

// rules allow what the service's rules allow on that port. Without any, nothing
// is allowed.
func (b *builder) rules(port *ir.Port) *rbacconfigv3.RBAC {
	out := &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_ALLOW, Policies: map[string]*rbacconfigv3.Policy{}}
	for i := range b.scope.Service.Allow {
		r := &b.scope.Service.Allow[i]
		if !holds(r, port) {
			continue
		}
		name := policyName(r)
		for n := 2; out.Policies[name] != nil; n++ {
			name = fmt.Sprintf("%s (%d)", policyName(r), n)
		}
		out.Policies[name] = &rbacconfigv3.Policy{Permissions: []*rbacconfigv3.Permission{permission(r)}, Principals: principals(r.From)}
	}
	if probe := b.probe(port); probe != nil && len(out.Policies) > 0 {
		out.Policies[healthPolicy] = &rbacconfigv3.Policy{Permissions: []*rbacconfigv3.Permission{permission(probe)}, Principals: principals(probe.From)}
	}
	return out
}

// healthPolicy lets callers probe the service; no rule's name is like it.
const healthPolicy = "(health)"

// probe is the rule for the probes of whoever may call at all on that port; nil
// when there are none that are requests.
func (b *builder) probe(port *ir.Port) *ir.Rule {
	h := b.scope.Service.Health
	if !h.Probes(port) || h.Kind == ir.HealthTCP {
		return nil
	}
	rule := &ir.Rule{Methods: []string{"GET"}, Paths: []string{h.Path}}
	if h.Kind == ir.HealthGRPC {
		rule.Methods, rule.Paths = []string{"POST"}, []string{grpcHealthPath}
	}
	rule.From = b.peers(port)
	return rule
}

// grpcHealthPath is the method that probes call (gRPC health checking protocol).
const grpcHealthPath = "/grpc.health.v1.Health/Check"

// holds reports whether a rule can let anything in on that port. A rule about
// requests lets in nothing that is not HTTP.
func holds(r *ir.Rule, port *ir.Port) bool {
	return r.Covers(port.Name) && (port.Protocol.IsHTTP() || len(r.Methods) == 0 && len(r.Paths) == 0)
}

// callers accepts the identities that some rule lets in on that port.
func (b *builder) callers(port *ir.Port) []*matcherv3.StringMatcher {
	var out []*matcherv3.StringMatcher
	for _, p := range b.peers(port) {
		out = append(out, exactly(p.Identity))
	}
	return out
}

// peers are those whom some rule lets in on that port, each once.
func (b *builder) peers(port *ir.Port) []ir.Peer {
	var out []ir.Peer
	known := map[spiffeid.ID]bool{}
	for i := range b.scope.Service.Allow {
		r := &b.scope.Service.Allow[i]
		if !holds(r, port) {
			continue
		}
		for _, p := range r.From {
			if !known[p.Identity] {
				known[p.Identity] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// policyName says what a rule lets in, so that its name is its own wherever in
// the list it stands.
func policyName(r *ir.Rule) string {
	var from []string
	for _, p := range r.From {
		from = append(from, string(p.Kind)+" "+p.Name)
	}
	words := []string{strings.Join(from, ", ")}
	if len(r.Methods) > 0 {
		words = append(words, strings.Join(r.Methods, " "))
	}
	if len(r.Paths) > 0 {
		words = append(words, strings.Join(r.Paths, " "))
	}
	return strings.Join(words, ": ")
}

// principals are the callers, by the identity in their certificate.
func principals(peers []ir.Peer) []*rbacconfigv3.Principal {
	var out []*rbacconfigv3.Principal
	for _, p := range peers {
		out = append(out, &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_Authenticated_{
			Authenticated: &rbacconfigv3.Principal_Authenticated{PrincipalName: exactly(p.Identity)},
		}})
	}
	return out
}

func permission(r *ir.Rule) *rbacconfigv3.Permission {
	var all []*rbacconfigv3.Permission
	if len(r.Methods) > 0 {
		var methods []*rbacconfigv3.Permission
		for _, m := range r.Methods {
			methods = append(methods, &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_Header{Header: &routev3.HeaderMatcher{
				Name: ":method",
				HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{
					MatchPattern: &matcherv3.StringMatcher_Exact{Exact: m},
				}},
			}}})
		}
		all = append(all, anyOf(methods))
	}
	if len(r.Paths) > 0 && !slices.Contains(r.Paths, "/*") {
		var paths []*rbacconfigv3.Permission
		for _, p := range r.Paths {
			paths = append(paths, &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_UrlPath{UrlPath: &matcherv3.PathMatcher{
				Rule: &matcherv3.PathMatcher_Path{Path: rulePath(p)},
			}}})
		}
		all = append(all, anyOf(paths))
	}
	switch len(all) {
	case 0:
		return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_Any{Any: true}}
	case 1:
		return all[0]
	}
	return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_AndRules{AndRules: &rbacconfigv3.Permission_Set{Rules: all}}}
}

func anyOf(rules []*rbacconfigv3.Permission) *rbacconfigv3.Permission {
	if len(rules) == 1 {
		return rules[0]
	}
	return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_OrRules{OrRules: &rbacconfigv3.Permission_Set{Rules: rules}}}
}

// rulePath matches the path without the query.
func rulePath(pattern string) *matcherv3.StringMatcher {
	if prefix, below := strings.CutSuffix(pattern, "*"); below {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: prefix}}
	}
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: pattern}}
}
