package link

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
)

// sharedPaths finds redirected calls to externals on port numbers that calls to services have too. A proxy reads all
// requests of a port number in one way ([ir.Scope.ExternalsAlone]): rules judge those for the services, so the paths of
// all are made normal, and those with escaped slashes are refused. The calls are those of one port number.
func (l *linker) sharedPaths(here place, calls []claim, left *freePorts) {
	first := slices.IndexFunc(calls, func(c claim) bool { return !c.use.External && c.port.Protocol.IsHTTP() })
	if first < 0 {
		return
	}
	service := calls[first]
	for _, external := range calls {
		if !external.use.External || !external.port.Protocol.IsHTTP() {
			continue
		}
		l.add(diag.PathsMadeNormal, here.field("uses."+external.use.To),
			fmt.Sprintf("the calls to %s and to the service %s go to the same port %d, so paths of requests to %s are normalized as those to %s are, and paths with escaped slashes are refused",
				external.use.To, service.use.To, external.port.Number, external.use.To, service.use.To),
			external.use.Pos, service.use.Pos).
			hint("for paths to arrive as they are written, give the external a separate address: %s",
				left.uses(external.use, external.port.Name))
	}
}
