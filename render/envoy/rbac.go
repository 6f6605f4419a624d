package envoy

import (
	"slices"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// The filters of the rules. Those of deny are asked first.
const (
	httpRBACFilter        = "envoy.filters.http.rbac"
	httpDenyFilter        = httpRBACFilter + ".deny"
	networkRBACFilter     = "envoy.filters.network.rbac"
	networkRBACDenyFilter = networkRBACFilter + ".deny"
)

// What the statistics and the metadata of rules that are only audited begin with.
const (
	auditAllow = "audit_allow_"
	auditDeny  = "audit_deny_"
)

// httpRBAC are the filters that answer 403 to what the rules of a request's route
// deny or do not allow, and to everything where there are none. Both are always
// there, so that a new rule holds for connections that are open. The one that denies
// is on where a route has such rules, and costs the requests of other routes nothing.
func (b *builder) httpRBAC() []*hcmv3.HttpFilter {
	denies := b.httpFilter(httpDenyFilter, &rbacv3.RBAC{})
	denies.Disabled = true
	return []*hcmv3.HttpFilter{
		denies,
		b.httpFilter(httpRBACFilter, &rbacv3.RBAC{Rules: &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_ALLOW}}),
	}
}

// refuses is a filter of that name that answers 403 to all requests of one of the sorts, by the names of their
// policies.
func (b *builder) refuses(filter string, sorts map[string]*rbacconfigv3.Permission) *hcmv3.HttpFilter {
	policies := map[string]*rbacconfigv3.Policy{}
	for name, requests := range sorts {
		policies[name] = &rbacconfigv3.Policy{
			Permissions: []*rbacconfigv3.Permission{requests},
			Principals:  []*rbacconfigv3.Principal{{Identifier: &rbacconfigv3.Principal_Any{Any: true}}},
		}
	}
	return b.httpFilter(filter,
		&rbacv3.RBAC{Rules: &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_DENY, Policies: policies}})
}

// routeRules put the rules that hold on a port into its route.
func (b *builder) routeRules(route *routev3.Route, port *ir.Port) {
	allow, deny := b.requestRules(port, b.allowed(port), deny(b.denied(port), b.revokedOn(port)))
	b.perRoute(route, httpRBACFilter, allow)
	if deny != nil {
		b.perRoute(route, httpDenyFilter, deny)
	}
}

// requestRules are what the filters of [builder.httpRBAC] are told on a port that has those rules; deny is nil where
// there are none.
func (b *builder) requestRules(port *ir.Port, allowed, denied *rbacconfigv3.RBAC) (allow, deny *rbacv3.RBACPerRoute) {
	of := func(rules *rbacconfigv3.RBAC, action rbacconfigv3.RBAC_Action, prefix string) *rbacv3.RBACPerRoute {
		out := &rbacv3.RBAC{Rules: rules, ShadowRules: b.audited(action, port)}
		if out.ShadowRules != nil {
			out.ShadowRulesStatPrefix = prefix
		}
		return &rbacv3.RBACPerRoute{Rbac: out}
	}
	allow, deny = of(allowed, rbacconfigv3.RBAC_ALLOW, auditAllow), of(denied, rbacconfigv3.RBAC_DENY, auditDeny)
	if deny.Rbac.Rules == nil && deny.Rbac.ShadowRules == nil {
		deny = nil
	}
	return allow, deny
}

// networkRBAC are the filters that close a connection which some rule denies, or no
// rule allows, on that port.
func (b *builder) networkRBAC(port *ir.Port) []*listenerv3.Filter {
	var out []*listenerv3.Filter
	deny := &networkrbacv3.RBAC{
		StatPrefix: inboundName(port.Name) + ".deny", Rules: b.denied(port),
		ShadowRules: b.audited(rbacconfigv3.RBAC_DENY, port),
	}
	if deny.ShadowRules != nil {
		deny.ShadowRulesStatPrefix = auditDeny
	}
	if deny.Rules != nil || deny.ShadowRules != nil {
		out = append(out, b.networkFilter(networkRBACDenyFilter, deny))
	}
	allow := &networkrbacv3.RBAC{
		StatPrefix: inboundName(port.Name), Rules: b.allowed(port),
		ShadowRules: b.audited(rbacconfigv3.RBAC_ALLOW, port),
	}
	if allow.ShadowRules != nil {
		allow.ShadowRulesStatPrefix = auditAllow
	}
	return append(out, b.networkFilter(networkRBACFilter, allow))
}

// guards are the member's.
func (b *builder) guards() *ir.Guards {
	if g := b.scope.Gateway; g != nil {
		return &g.Guards
	}
	return &b.scope.Service.Guards
}

// allowed is what the member's rules allow on that port. Without any, nothing is.
func (b *builder) allowed(port *ir.Port) *rbacconfigv3.RBAC {
	out := b.policies(rbacconfigv3.RBAC_ALLOW, b.guards().Allow, port, false)
	if out == nil {
		return &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_ALLOW, Policies: map[string]*rbacconfigv3.Policy{}}
	}
	if probe := b.probe(port); probe != nil {
		if len(probe.From) > 0 {
			out.Policies[ir.HealthRule] = b.policy(probe, port, rbacconfigv3.RBAC_ALLOW)
		}
		for _, r := range ir.RulesOn(b.guards().Allow, port, false) {
			if !r.Until.IsZero() { // its callers' probes end with it
				ends := out.Policies[r.Label]
				ends.Permissions = append(ends.Permissions, permission(probe))
			}
		}
	}
	return out
}

// denied is what the member's rules deny on that port; nil when there are none.
func (b *builder) denied(port *ir.Port) *rbacconfigv3.RBAC {
	return b.policies(rbacconfigv3.RBAC_DENY, b.guards().Deny, port, false)
}

// audited is what rules that are only audited would allow or deny; nil when there
// are none.
func (b *builder) audited(action rbacconfigv3.RBAC_Action, port *ir.Port) *rbacconfigv3.RBAC {
	if action == rbacconfigv3.RBAC_DENY {
		return b.policies(action, b.guards().Deny, port, true)
	}
	return b.policies(action, b.guards().Allow, port, true)
}

// policies are the rules that hold on a port, by their names.
func (b *builder) policies(action rbacconfigv3.RBAC_Action, rules []ir.Rule, port *ir.Port,
	audit bool,
) *rbacconfigv3.RBAC {
	out := &rbacconfigv3.RBAC{Action: action, Policies: map[string]*rbacconfigv3.Policy{}}
	for _, r := range ir.RulesOn(rules, port, audit) {
		out.Policies[r.Label] = b.policy(r.Rule, port, action)
	}
	if len(out.Policies) == 0 {
		return nil
	}
	return out
}

func (b *builder) policy(r *ir.Rule, port *ir.Port, action rbacconfigv3.RBAC_Action) *rbacconfigv3.Policy {
	out := &rbacconfigv3.Policy{
		Permissions: []*rbacconfigv3.Permission{permission(r)},
		Principals:  b.principals(r, port, action),
	}
	if action == rbacconfigv3.RBAC_ALLOW { // without its end a rule of deny would allow more
		out.Condition = before(r.Until)
	}
	return out
}

// probe is the rule for the probes of whoever may call on that port by a rule without an end; nil when there are no
// probes that are requests.
func (b *builder) probe(port *ir.Port) *ir.Rule {
	if b.scope.Service == nil {
		return nil
	}
	h := b.scope.Service.Health
	if !h.Probes(port) || h.Kind == ir.HealthTCP {
		return nil
	}
	rule := &ir.Rule{Methods: []string{"GET"}, Paths: []string{h.Path}}
	if h.Kind == ir.HealthGRPC {
		rule.Methods, rule.Paths = []string{"POST"}, []string{ir.GRPCHealthPath}
	}
	lasting := slices.DeleteFunc(slices.Clone(b.guards().Allow), func(r ir.Rule) bool { return !r.Until.IsZero() })
	rule.From = ir.PeersOn(lasting, port)
	return rule
}

// peers are those whom some rule lets in on that port, each once.
func (b *builder) peers(port *ir.Port) []ir.Peer { return ir.PeersOn(b.guards().Allow, port) }

// principals are the callers of a rule on a port, from where it wants them to come.
func (b *builder) principals(r *ir.Rule, port *ir.Port, action rbacconfigv3.RBAC_Action) []*rbacconfigv3.Principal {
	switch {
	case b.scope.Gateway != nil:
		return b.clients(r)
	case len(r.IPRanges) > 0:
		return b.principalsFrom(r, port, action)
	}
	var out []*rbacconfigv3.Principal
	for i := range r.From {
		out = append(out, b.principal(&r.From[i], action))
	}
	return out
}

// principal is a caller by the identity in its certificate, or by having none.
func (b *builder) principal(p *ir.Peer, action rbacconfigv3.RBAC_Action) *rbacconfigv3.Principal {
	switch {
	case p.Kind == ir.KindPlaintext:
		return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_NotId{NotId: authenticated(nil)}}
	case p.Kind == ir.KindAnyone && action == rbacconfigv3.RBAC_DENY:
		return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_Any{Any: true}}
	}
	return authenticated(b.identityOf(p))
}

// authenticated is whoever has a certificate with such an identity; with any for nil.
func authenticated(name *matcherv3.StringMatcher) *rbacconfigv3.Principal {
	return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_Authenticated_{
		Authenticated: &rbacconfigv3.Principal_Authenticated{PrincipalName: name},
	}}
}

func anyID(ids []*rbacconfigv3.Principal) *rbacconfigv3.Principal {
	if len(ids) == 1 {
		return ids[0]
	}
	return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_OrIds{OrIds: &rbacconfigv3.Principal_Set{
		Ids: ids,
	}}}
}
