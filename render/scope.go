package render

import (
	"crypto/sha256"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/program"
)

// scopeHashes are, for each member in the order of the scopes, the hash of all that its files depend on: its Scope, and
// this build of meshc.
func scopeHashes(scopes []ir.Scope) [][sha256.Size]byte {
	build := program.Build()
	h := ir.Hasher{Part: ir.DeploymentPart, Places: true}
	out := make([][sha256.Size]byte, len(scopes))
	for i := range scopes {
		sum := h.Hash(&scopes[i])
		out[i] = sha256.Sum256(append(sum[:], build...))
	}
	return out
}
