package envoy

import (
	"slices"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	exprv1alpha1 "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"github.com/meshc/meshc/compiler/ir"
)

// Revoked are certificates that nobody is to believe any more, though they hold: all of an identity, or those of a
// chain of it, which have that common name.
type Revoked struct {
	Identity spiffeid.ID
	Chain    string // empty for all
	// Live says that the proxy is told of it apart from its listeners ([RevokedRules], [RevokedRuntime]).
	Live bool
}

const (
	networkRevokedFilter = networkRBACFilter + ".revoked"
	// revokedPolicy refuses what was revoked; no rule's name is like it.
	revokedPolicy = "(revoked)"
)

// revoked are the revocations that matter to those whom the matchers accept.
func (b *builder) revoked(callers []*matcherv3.StringMatcher) []Revoked {
	var out []Revoked
	for _, r := range b.options.Revoked {
		if slices.ContainsFunc(callers, func(m *matcherv3.StringMatcher) bool {
			return matches(m, r.Identity.String())
		}) {
			out = append(out, r)
		}
	}
	return out
}

// matches reports whether a matcher of [builder.identityOf] is one of that identity.
func matches(m *matcherv3.StringMatcher, id string) bool {
	if prefix := m.GetPrefix(); prefix != "" {
		return strings.HasPrefix(id, prefix)
	}
	return m.GetExact() == id
}

// byListener are those that the listeners themselves refuse.
func byListener(revoked []Revoked) []Revoked {
	return slices.DeleteFunc(slices.Clone(revoked), func(r Revoked) bool { return r.Live })
}

// removeRevoked returns the matchers without those of identities that were revoked: their handshakes fail. What a
// matcher of several identities accepts is refused by [builder.revokedFilter].
func removeRevoked(callers []*matcherv3.StringMatcher, revoked []Revoked) []*matcherv3.StringMatcher {
	return slices.DeleteFunc(slices.Clone(callers), func(m *matcherv3.StringMatcher) bool {
		return slices.ContainsFunc(revoked,
			func(r Revoked) bool { return r.Chain == "" && m.GetExact() == r.Identity.String() })
	})
}

// revokedFilter closes connections with certificates that were revoked: new ones, and those that are open where the
// runtime tells of the revocation.
func (b *builder) revokedFilter(name string, revoked []Revoked) []*listenerv3.Filter {
	out := b.liveFilter()
	if revoked = byListener(revoked); len(revoked) > 0 {
		out = append(out, b.networkFilter(networkRevokedFilter, &networkrbacv3.RBAC{
			StatPrefix: name + ".revoked",
			Rules:      deny(nil, revoked),
		}))
	}
	return out
}

// deny adds to rules of deny, nil for none, what was revoked.
func deny(rules *rbacconfigv3.RBAC, revoked []Revoked) *rbacconfigv3.RBAC {
	if len(revoked) == 0 {
		return rules
	}
	if rules == nil {
		rules = &rbacconfigv3.RBAC{Action: rbacconfigv3.RBAC_DENY, Policies: map[string]*rbacconfigv3.Policy{}}
	}
	var all []*rbacconfigv3.Principal
	for _, r := range revoked {
		if r.Chain == "" {
			all = append(all, authenticated(exactly(r.Identity)))
			continue
		}
		rules.Policies[revokedPolicy+" "+r.Chain] = &rbacconfigv3.Policy{
			Permissions: anything(), Principals: []*rbacconfigv3.Principal{authenticated(exactly(r.Identity))},
			Condition: ofChain(r.Chain),
		}
	}
	if len(all) > 0 {
		rules.Policies[revokedPolicy] = &rbacconfigv3.Policy{Permissions: anything(), Principals: all}
	}
	return rules
}

func anything() []*rbacconfigv3.Permission {
	return []*rbacconfigv3.Permission{{Rule: &rbacconfigv3.Permission_Any{Any: true}}}
}

// ofChain is connection.subject_peer_certificate == "CN=CHAIN".
func ofChain(chain string) *exprv1alpha1.Expr {
	return &exprv1alpha1.Expr{Id: 1, ExprKind: &exprv1alpha1.Expr_CallExpr{CallExpr: &exprv1alpha1.Expr_Call{
		Function: "_==_",
		Args: []*exprv1alpha1.Expr{
			{Id: 2, ExprKind: &exprv1alpha1.Expr_SelectExpr{SelectExpr: &exprv1alpha1.Expr_Select{
				Operand: &exprv1alpha1.Expr{
					Id:       3,
					ExprKind: &exprv1alpha1.Expr_IdentExpr{IdentExpr: &exprv1alpha1.Expr_Ident{Name: "connection"}},
				},
				Field: "subject_peer_certificate",
			}}},
			{Id: 4, ExprKind: &exprv1alpha1.Expr_ConstExpr{
				ConstExpr: &exprv1alpha1.Constant{ConstantKind: &exprv1alpha1.Constant_StringValue{
					StringValue: commonName(chain),
				}},
			}},
		},
	}}}
}

// revokedOn are the revocations that matter on a port.
func (b *builder) revokedOn(port *ir.Port) []Revoked { return b.revoked(b.callers(port)) }

// callee accepts that identity, and nobody once it was revoked: no name of a certificate is that of the policy. What
// was revoked of it by chain it accepts, for Envoy judges whom it calls by name alone.
func (b *builder) callee(id spiffeid.ID) *matcherv3.StringMatcher {
	if slices.ContainsFunc(b.options.Revoked, func(r Revoked) bool { return r.Identity == id && r.Chain == "" }) {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: revokedPolicy}}
	}
	return exactly(id)
}
