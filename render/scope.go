package render

import (
	"crypto/sha256"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/program"
)

// scopeHashes are, for each member in the order of [ir.Mesh.Scopes], the hash of
// all that its files depend on: its Scope, and this build of meshc. Whole members
// stand in for the callers' view of them, which is a part.
func scopeHashes(m *ir.Mesh, e *ir.Encoding) [][sha256.Size]byte {
	sums := make(map[ir.Ref][sha256.Size]byte, len(e.Services)+len(e.Externals))
	for i, s := range m.Services {
		sums[ir.ServiceRef(s.Name)] = sha256.Sum256(e.Services[i])
	}
	for i, x := range m.Externals {
		sums[ir.ExternalRef(x.Name)] = sha256.Sum256(e.Externals[i])
	}
	base := sha256.New()
	base.Write(e.Settings)
	base.Write([]byte(program.Build()))
	head := base.Sum(nil)
	hash := func(own [sha256.Size]byte, uses []ir.Use) (sum [sha256.Size]byte) {
		h := sha256.New()
		h.Write(head)
		h.Write(own[:])
		for i := range uses {
			callee := sums[uses[i].Callee()]
			h.Write(callee[:])
		}
		h.Sum(sum[:0])
		return sum
	}
	out := make([][sha256.Size]byte, 0, len(m.Services)+len(m.Gateways))
	for _, s := range m.Services {
		out = append(out, hash(sums[ir.ServiceRef(s.Name)], s.Uses))
	}
	for i, g := range m.Gateways {
		out = append(out, hash(sha256.Sum256(e.Gateways[i]), g.Uses))
	}
	return out
}
