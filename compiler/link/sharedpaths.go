package link

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// sharedPaths finds redirected calls to externals on port numbers that calls to services have too. A proxy reads all
// requests of a port number in one way ([ir.Scope.ExternalsAlone]): rules judge those for the services, so the paths of
// all are made normal, and those with escaped slashes are refused.
type sharedPaths struct {
	l     *linker
	here  place
	left  *freePorts
	calls []struct {
		use  *ir.Use
		port ir.Port
	}
}

// claim takes a call that has no address of its own.
func (s *sharedPaths) claim(use *ir.Use, port ir.Port) {
	if port.Protocol.IsHTTP() {
		s.calls = append(s.calls, struct {
			use  *ir.Use
			port ir.Port
		}{use, port})
	}
}

// told adds a finding for each port of an external that a service shares.
func (s *sharedPaths) told() {
	for _, external := range s.calls {
		if !external.use.External {
			continue
		}
		for _, service := range s.calls {
			if service.use.External || service.port.Number != external.port.Number {
				continue
			}
			s.l.add(diag.PathsMadeNormal, s.here.field("uses."+external.use.To),
				fmt.Sprintf("the calls to %s and to the service %s go to the same port %d, so paths of requests to %s are normalized as those to %s are, and paths with escaped slashes are refused",
					external.use.To, service.use.To, external.port.Number, external.use.To, service.use.To),
				external.use.Pos, service.use.Pos).
				hint("for paths to arrive as they are written, give the external a separate address: %s",
					s.left.uses(external.use, external.port.Name))
			break
		}
	}
}
