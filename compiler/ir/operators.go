package ir

import (
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/source"
)

// Operators are who may look into the running mesh or act on it (mesh.operators), each list sorted. What a proxy's
// configuration depends on is whether there are any.
type Operators struct {
	// Identities are proven by certificates of the mesh.
	Identities []spiffeid.ID `json:"identities,omitempty" scope:"-"`
	// Users and Groups are proven by a token that Kubernetes confirms.
	Users  []string        `json:"users,omitempty" scope:"-"`
	Groups []string        `json:"groups,omitempty" scope:"-"`
	Pos    source.Position `json:"pos,omitzero"`
}

// AllowIdentity reports whether who has that identity is an operator; nobody is of a mesh without operators.
func (o *Operators) AllowIdentity(id spiffeid.ID) bool {
	return o != nil && slices.Contains(o.Identities, id)
}

// AllowUser reports whether a user of Kubernetes with these groups is an operator.
func (o *Operators) AllowUser(user string, groups []string) bool {
	return o != nil && (slices.Contains(o.Users, user) ||
		slices.ContainsFunc(o.Groups, func(g string) bool { return slices.Contains(groups, g) }))
}
