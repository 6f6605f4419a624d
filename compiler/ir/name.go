package ir

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/similar"
)

// A member's name in the mesh is NAME, and NAME.NAMESPACE where several namespaces have a member of that name. So it
// names one member alone, and a spec, a command and a request's host can all be written with it.

// PlainName is NAME of a member's name in the mesh: what it is called in its namespace.
func PlainName(name string) string { return membername.Plain(name) }

// QualifiedName is NAME.NAMESPACE, whichever of the two a member's name in the mesh is.
func QualifiedName(name, namespace string) string {
	return membername.Qualified(name, namespace)
}

// Missing says that the mesh has nothing of a name, and which members of that plain name it has, or of a similar one.
func (m *Mesh) Missing(what, name string) error {
	var several []string
	members := m.memberNames()
	for _, member := range members {
		if member != name && PlainName(member) == name {
			several = append(several, member)
		}
	}
	if several != nil {
		return fmt.Errorf("the mesh %s has several members %q: write %s", m.Name, name, strings.Join(several, " or "))
	}
	for _, e := range m.Externals {
		members = append(members, e.Name)
	}
	if near := similar.Name(name, members); near != "" && near != name {
		return fmt.Errorf("the mesh %s has no %s %q; did you mean %s?", m.Name, what, name, near)
	}
	return fmt.Errorf("the mesh %s has no %s %q", m.Name, what, name)
}

// ServiceOf is the service of that name and identity; nil when there is none. Of several services with a plain name, it
// is the one that has the identity.
func (m *Mesh) ServiceOf(name string, identity spiffeid.ID) *Service {
	return withIdentity(m.Service(name), m.Services, func(s *Service) bool {
		return s.Identity == identity && s.PlainName() == name
	})
}

// GatewayOf is the gateway of that name and identity, as [Mesh.ServiceOf].
func (m *Mesh) GatewayOf(name string, identity spiffeid.ID) *Gateway {
	return withIdentity(m.Gateway(name), m.Gateways, func(g *Gateway) bool {
		return g.Identity == identity && g.PlainName() == name
	})
}

func withIdentity[T any](named *T, list []*T, is func(*T) bool) *T {
	if named != nil {
		return named
	}
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}

// PlainName is what the service is called in its namespace.
func (u *Upstream) PlainName() string { return PlainName(u.Name) }

// QualifiedName is the service's name with its namespace.
func (u *Upstream) QualifiedName() string { return QualifiedName(u.Name, u.Namespace) }

// PlainName is what the gateway is called in its namespace.
func (g *Gateway) PlainName() string { return PlainName(g.Name) }

// PlainName is what the member is called in its namespace.
func (p *Peer) PlainName() string { return PlainName(p.Name) }

// QualifiedName is the member's name with its namespace.
func (p *Peer) QualifiedName() string { return QualifiedName(p.Name, p.Namespace) }
