package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// everybody are the groups of Kubernetes that have all users, or all service accounts.
var everybody = []string{"system:authenticated", "system:unauthenticated", "system:serviceaccounts"}

// operators are who may look into the running mesh, once the members are known.
func (l *linker) operators(u *spec.Unit, s *spec.Operators) {
	if s == nil {
		return
	}
	here := place{u, "mesh.operators"}
	out := &ir.Operators{Pos: u.At(s.Pos)}
	l.mesh.Operators = out
	if l.mesh.Delivery == ir.DeliveryStatic {
		l.add(diag.NoEffect, here,
			`operators cannot take effect: with delivery "static" there is no meshc serve to ask`, out.Pos,
			u.At(u.Mesh.Delivery.Pos)).
			hint("remove operators, or delivery")
	}
	for _, f := range s.Identities {
		if id, ok := l.operator(here.field("identities"), f); ok {
			out.Identities = append(out.Identities, id)
		}
	}
	slices.SortFunc(out.Identities, func(a, b spiffeid.ID) int { return strings.Compare(a.String(), b.String()) })
	if k := s.Kubernetes; k != nil {
		l.kubernetesOperators(here.field("kubernetes"), k)
	}
	if len(s.Identities) == 0 && (s.Kubernetes == nil || len(s.Kubernetes.Users)+len(s.Kubernetes.Groups) == 0) {
		l.add(diag.EmptyList, here, "operators names nobody", out.Pos).
			hint("remove it, or name who may: operators: identities: [\"%s\"]", l.someMember())
	}
}

// operator is an identity that meshc serve can verify, and that somebody can have.
func (l *linker) operator(here place, f spec.Field[string]) (id spiffeid.ID, ok bool) {
	id, err := spiffeid.FromString(f.Value)
	switch {
	case err != nil:
		l.add(diag.BadFormat, here, fmt.Sprintf("%q is not a valid SPIFFE ID", f.Value), here.pos(f.Pos)).
			hint(`"spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT"`)
		return id, false
	case id.TrustDomain() != l.trustDomain:
		l.add(diag.StrangeOperator, here,
			fmt.Sprintf("%s is not of the trust domain %s, and meshc serve accepts no certificates of others", id,
				l.trustDomain.Name()), here.pos(f.Pos)).
			hint("operators: identities: [%q]", l.someMember())
		return id, false
	case l.mesh.Certificates.Issuer.Kind == ir.IssuerEmbedded && !l.hasMember(id):
		l.add(diag.StrangeOperator, here,
			fmt.Sprintf("no member has the identity %s, and the embedded authority signs certificates of members alone",
				id), here.pos(f.Pos)).
			hint("operators: identities: [%q]", l.someMember())
		return id, false
	}
	return id, true
}

func (l *linker) hasMember(id spiffeid.ID) bool {
	return slices.ContainsFunc(l.mesh.Services, func(s *ir.Service) bool { return s.Identity == id }) ||
		slices.ContainsFunc(l.mesh.Gateways, func(g *ir.Gateway) bool { return g.Identity == id })
}

// someMember is the identity of a member, for hints.
func (l *linker) someMember() string {
	if len(l.mesh.Services) > 0 {
		return l.mesh.Services[0].Identity.String()
	}
	return l.mesh.Domain() + "ns/NAMESPACE/sa/ACCOUNT"
}

// kubernetesOperators are confirmed by the server that signs certificates, which asks the API server about tokens.
func (l *linker) kubernetesOperators(here place, k *spec.KubernetesOperators) {
	if kind := l.mesh.Certificates.Issuer.Kind; kind != ir.IssuerEmbedded {
		l.add(diag.NoEffect, here,
			fmt.Sprintf(
				"kubernetes cannot take effect: meshc serve takes tokens with the issuer %q alone, and it is %q",
				ir.IssuerEmbedded, kind), here.pos(k.Pos), l.mesh.Certificates.Pos).
			hint("remove it, and name identities")
	}
	for _, f := range k.Users {
		l.mesh.Operators.Users = append(l.mesh.Operators.Users, f.Value)
	}
	for _, f := range k.Groups {
		if slices.Contains(everybody, f.Value) {
			l.add(diag.OpenOperators, here.field("groups"),
				fmt.Sprintf("everybody with an account in the cluster is in the group %s, and would be an operator",
					f.Value), here.pos(f.Pos)).
				hint("name a group of those who operate the mesh, or remove it")
			continue
		}
		l.mesh.Operators.Groups = append(l.mesh.Operators.Groups, f.Value)
	}
	slices.Sort(l.mesh.Operators.Users)
	slices.Sort(l.mesh.Operators.Groups)
}
