package check

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
)

// undeclaredTaken finds calls whose port number undeclared connections of the same service have in vain: the proxy
// handles them as the call.
func undeclaredTaken(m *subject) (found diag.List) {
	for _, s := range m.Services {
		if !s.PassesUndeclared() {
			continue
		}
		scope := m.ServiceScope(s)
		for i := range s.Uses {
			use := &s.Uses[i]
			for _, name := range use.Ports {
				if !scope.TakesOthers(use, name) {
					continue
				}
				found.Add(diag.New(diag.UndeclaredTaken, fmt.Sprintf("services.%s.uses.%s", s.Name, use.To),
					fmt.Sprintf("undeclared calls of %s to the port number of %s do not pass: they go to %s, as the addresses of port %s are not known",
						s.Name, use.To, use.To, name), use.Pos).
					WithHint("give the call a separate address: uses: %q: bind, or the callee its addresses", use.To))
			}
		}
	}
	return found
}
