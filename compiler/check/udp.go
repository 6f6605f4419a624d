package check

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
)

// udpPorts finds ports of services where allow asks for an address, and for no identity.
func udpPorts(m *subject) (found diag.List) {
	for _, s := range m.Services {
		for i := range s.UDP {
			p := &s.UDP[i]
			found.Add(diag.New(diag.UDPPort, fmt.Sprintf("services.%s.ports.%s", s.Name, p.Name), fmt.Sprintf(
				"port %s of %s is of UDP: whoever sends from an address of an allowed caller is let in, without an identity and without TLS",
				p.Name, s.Name), p.Pos).
				WithHint("have the application itself ask who sends, or use a protocol over TCP; if addresses are enough, silence it with the reason"))
		}
	}
	return found
}
