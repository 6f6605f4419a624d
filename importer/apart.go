package importer

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/spec"
)

// toldApart leaves out of the calls of a service those that its proxy cannot tell from others: on one port number
// either what begins with a handshake of TLS is expected, or something else. Those with TLS stay, and the others are
// told.
func (m *Mesh) toldApart(caller *Service) {
	type call struct{ callee, port string }
	secure, plain := map[int]string{}, map[int][]call{}
	for _, name := range slices.Sorted(maps.Keys(caller.Spec.Uses)) {
		for port, p := range m.portsOf(name) {
			if p.Protocol.Value == "tls" {
				secure[p.Port.Value] = name
			} else {
				plain[p.Port.Value] = append(plain[p.Port.Value], call{name, port})
			}
		}
	}
	for _, number := range slices.Sorted(maps.Keys(secure)) {
		for _, c := range plain[number] {
			use := caller.Spec.Uses[c.callee]
			if use.Ports == nil {
				use.Ports = spec.WrittenAll(slices.Sorted(maps.Keys(m.portsOf(c.callee)))...)
			}
			use.Ports = slices.DeleteFunc(use.Ports, func(f spec.Field[string]) bool { return f.Value == c.port })
			if len(use.Ports) == 0 {
				delete(caller.Spec.Uses, c.callee)
			}
			m.Add(caller.Object, diag.NotCarried, fmt.Sprintf("its proxy cannot tell calls to port %d of %s, without TLS, "+
				"from those to %s, which is: it refuses those to %s. --calls says which it makes", number, c.callee,
				secure[number], c.callee))
		}
	}
}

// portsOf are the ports of a service or an external.
func (m *Mesh) portsOf(name string) map[string]*spec.Port {
	if s := m.Repository.Services[name]; s != nil {
		return s.Ports
	}
	if e := m.Repository.External[name]; e != nil {
		return e.Ports
	}
	return nil
}
