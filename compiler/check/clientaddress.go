package check

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// addressesBelowHTTP finds rules that ask for the address of a client where only a gateway's is to be had: connections
// below HTTP say nothing of whom the gateway has them from.
func addressesBelowHTTP(m *subject) (found diag.List) {
	rules(m.Mesh, func(s *guarded, list, path string, r *ir.Rule) {
		if len(r.IPRanges) == 0 || s.Kind != ir.KindService {
			return
		}
		for _, g := range m.Gateways {
			peer := g.Peer()
			for i := range g.Listeners {
				l := &g.Listeners[i]
				if l.To == nil || l.To.Service != s.Name || !r.Covers(l.To.Port) || !r.Names(&peer) {
					continue
				}
				found.Add(diag.New(diag.NoEffect, path+".from.ipRanges",
					fmt.Sprintf(
						"ipRanges cannot take effect for clients of the gateway %s on port %s: connections of %s that it sends on have its own address", g.Name, l.To.Port, l.Protocol), r.Pos, l.Pos).
					WithHint("limit this rule to other ports or callers, and write one for the port %s without ipRanges", l.To.Port))
				return
			}
		}
	})
	return found
}
