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
	if s.Pods != nil {
		here := place{u, "mesh.server.pods"}
		if l.mesh.Delivery == ir.DeliveryStatic {
			l.unread(here, s.Pods.Pos, `with delivery "static" there is no meshc serve`)
		} else if !l.inKubernetes() {
			l.unread(here, s.Pods.Pos, "no member is in Kubernetes, so meshc serve is not either")
		}
		out.Pods = l.podSettings(here, s.Pods)
	}
	l.mesh.Server = out
}

// inKubernetes reports whether a member is in Kubernetes: gateways are, and services with pods.
func (l *linker) inKubernetes() bool {
	return len(l.mesh.Gateways) > 0 || slices.ContainsFunc(l.mesh.Services,
		func(s *ir.Service) bool { return s.Workload.InCluster() })
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
