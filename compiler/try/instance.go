package try

import (
	"net/http"
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

// last is the route that says where a request goes: of one for an instance, nowhere else.
func (r *run) last(by []*ir.Route, callee *ir.Service) *ir.Route {
	if r.at != "" {
		return by[len(by)-1].AtOne(callee.Name)
	}
	return by[len(by)-1]
}

// isAt reports whether the callee is at the address of the instance that is asked for; else the request ends.
func (r *run) isAt(at string, callee *ir.Service) bool {
	if r.passes(OnDestination, "it is", "it is not", "whether %s, with its certificate, is at %s", callee.Name, r.at) {
		return true
	}
	r.answer(at, http.StatusServiceUnavailable)
	return false
}
