package try

import (
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// toInstance follows a request that names one instance of a callee by HTTP; false when it names none.
func (r *run) toInstance(at string, s *ir.Service, scope *ir.Scope) bool {
	if r.request.Scheme != "http" {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(r.request.Host), ".")
	for _, n := range scope.Instances(r.request.port()) {
		if !n.Has(host) {
			continue
		}
		r.at = host
		r.step(at, n.Use.Pos, "goes to the address that was connected to, as %s is one instance", host)
		r.call(at, s, n.Use, n.Port.Name)
		return true
	}
	return false
}
