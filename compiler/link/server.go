package link

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// server is how meshc serve treats the proxies, once the members are known.
func (l *linker) server(u *spec.Unit, s *spec.Server) {
	if s == nil {
		return
	}
	out := ir.Server{Pos: u.At(s.Pos)}
	if n := s.Limits; n != nil {
		out.Limits = ir.ServerLimits{
			Instances: uint32(n.Instances.Value), Connections: uint32(n.Connections.Value),
			LogLines: uint32(n.LogLines.Value), RefusalBytes: uint32(n.RefusalBytes.Value),
			ConnectionsPerAddress: uint32(n.ConnectionsPerAddress.Value),
			HandshakesPerAddress:  uint32(n.HandshakesPerAddress.Value),
			OpenConnections:       uint32(n.OpenConnections.Value),
			OpenHandshakes:        uint32(n.OpenHandshakes.Value),
		}
	}
	if s.Except != nil {
		out.Except = append(except(l, u, ir.KindGateway, s.Except.Gateways, sortedKeys(l.declaredGateways)),
			except(l, u, ir.KindService, s.Except.Services, sortedKeys(l.declaredServices))...)
	}
	l.mesh.Server = out
}

// except are the members of a kind whose proxies no change waits for.
func except(l *linker, u *spec.Unit, kind ir.MemberKind, reasons map[string]spec.Field[string],
	declared []string,
) (out []ir.Exception) {
	for _, name := range sortedKeys(reasons) {
		reason := reasons[name]
		if !slices.Contains(declared, name) {
			l.unknown(diag.UnknownCallee, place{u, "mesh.server.except." + string(kind) + "s." + name}, string(kind),
				name, declared, reason.Pos)
			continue
		}
		out = append(out, ir.Exception{Kind: kind, Name: name, Reason: reason.Value, Pos: u.At(reason.Pos)})
	}
	return out
}
