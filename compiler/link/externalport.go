package link

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// externalPorts are the ports of an external.
func (l *linker) externalPorts(here place, s *spec.External) []ir.Port {
	out := l.ports(here, s.Ports, true)
	for i := range out {
		p := &out[i]
		at, written := here.field("ports."+p.Name), s.Ports[p.Name]
		if written.Target.IsSet() && !p.Protocol.IsHTTP() {
			l.add(diag.NoEffect, at.field("target"), fmt.Sprintf(
				"target cannot take effect: connections of %s go to the port that they were made to", p.Protocol),
				here.pos(written.Target.Pos)).
				hint("write port: %d, which callers then name", p.Target)
			p.Target = p.Number
		}
		if len(p.Upgrades) > 0 && s.Via.IsSet() {
			l.add(diag.NoEffect, at.field("upgrades"), fmt.Sprintf(
				"upgrades cannot take effect through the egress gateway %s: callers speak HTTP/2 to it, where an answer of "+
					"200 to an offer cannot be told from one of 101", s.Via.Value),
				here.pos(written.Upgrades[0].Pos), here.pos(s.Via.Pos)).
				hint("remove them")
			p.Upgrades = nil
		}
	}
	return out
}

// readsSecrets reports whether the proxies of a member that report this and call those read secrets: for headers of
// reports, or for the certificate that they show an external. The gateway is the member's name if it is one, to which
// callers leave the handshake.
func (l *linker) readsSecrets(t *ir.Telemetry, uses map[string]*spec.Use, gateway string) bool {
	for name := range uses {
		e, external := l.externals[name]
		if external && e.spec.TLS != nil && e.spec.TLS.Secret.IsSet() && e.spec.Via.Value == gateway {
			return true
		}
	}
	return l.showsHeaders(t)
}
