package ir

import "github.com/meshc/meshc/compiler/source"

// TrustDomain is one besides the mesh's own.
type TrustDomain struct {
	Name string `json:"name"`
	// Bundle are its roots in PEM, believed for its own identities alone.
	Bundle string          `json:"bundle"`
	Pos    source.Position `json:"pos,omitzero"`
}
