package check

import (
	"fmt"
	"net"
	"strconv"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// The ports of meshc serve besides that of [ir.Proxy.Server].
const (
	serverAdminPort  = 15011
	serverEnrollPort = 15012
)

// controlPorts finds externals that are where the mesh is ruled from: at a port of meshc serve or of a proxy's
// administration, on a host that is known by its number alone, which can be that of anything, or by the server's own
// name, or that callers choose below a wildcard.
func controlPorts(m *subject) diag.List {
	what := map[uint16]string{}
	servers := map[string]bool{}
	for _, scope := range m.Scopes() {
		proxy := scope.Member().Proxy
		what[proxy.AdminPort] = "Envoy's administration"
		if host, port, err := net.SplitHostPort(proxy.Server); err == nil {
			servers[host] = true
			if n, err := strconv.ParseUint(port, 10, 16); err == nil {
				what[uint16(n)] = "meshc serve"
			}
			what[serverAdminPort], what[serverEnrollPort] = "meshc serve", "meshc serve"
		}
	}
	var found diag.List
	for _, e := range m.Externals {
		if len(e.Hosts) == 0 {
			continue // which is told
		}
		host, hint := e.Hosts[0], "give what is meant another port, or call it by its name"
		network, known := ir.ParseHost(host)
		switch {
		case e.ByHost():
			host, hint = "a host of "+e.Name, "give what is meant another port"
		case !known && !servers[host]:
			continue
		case known && ir.ForbiddenAddress(network.Addr(), e.Local) != "": // which is told, at any port
			continue
		}
		for i := range e.Ports {
			p := &e.Ports[i]
			if of := what[p.Target]; of != "" {
				found.Add(diag.New(diag.ForbiddenAddress, fmt.Sprintf("external.%s.ports.%s", e.Name, p.Name),
					fmt.Sprintf("%s at port %d is where %s answers: a proxy would speak to it for its callers", host,
						p.Target, of), p.Pos).
					WithHint("%s", hint))
			}
		}
	}
	return found
}
