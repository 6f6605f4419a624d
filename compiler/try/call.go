package try

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// fromService follows a call of a service, which its own proxy takes.
func (r *run) fromService(s *ir.Service) error {
	at := ir.ServiceRef(s.Name).String()
	r.onlyPort(s)
	number := r.request.port()
	scope := r.mesh.ServiceScope(s)
	var calls []called
	for i := range s.Uses {
		use := &s.Uses[i]
		for _, name := range use.Ports {
			if use.Binds[name] == net.JoinHostPort(strings.Trim(r.request.Host, "[]"), strconv.Itoa(int(number))) {
				r.call(at, s, use, name) // whatever host the request names
				return nil
			}
			if r.numberOf(use, name) == number {
				calls = append(calls, called{use, name, r.protocolOf(use, name)})
			}
		}
	}
	if r.request.Scheme == tcp && len(calls) > 0 && !slices.ContainsFunc(calls, func(c called) bool {
		return !c.protocol.IsHTTP()
	}) {
		return r.noCallee(at, s, &scope, calls[0])
	}
	if r.byAddress(at, s, &scope, calls) {
		return nil
	}
	if c := r.mostSpecific(calls); c != nil {
		r.call(at, s, c.use, c.port)
		return nil
	}
	if r.toInstance(at, s, &scope) {
		return nil
	}
	r.Write = "services." + s.Name + ".uses: the callee, by its name"
	if callee := r.named(); callee != "" && r.mesh.Service(callee) == nil {
		r.Write = fmt.Sprintf("services.%s.uses: %q: {}", s.Name, callee)
	} else if callee != "" {
		r.Write = fmt.Sprintf("services.%s.uses: %q: {}, and {from: services: [%q]} in services.%s.allow", s.Name,
			callee, s.Name, callee)
	}
	for _, c := range calls { // beside HTTP
		if c.redirected() && scope.Crowded(c.use, c.port) && r.takesAddress(&scope, c) {
			r.call(at, s, c.use, c.port)
			return nil
		}
	}
	for _, c := range calls {
		if c.protocol.IsHTTP() {
			return r.noCallee(at, s, &scope, c)
		}
	}
	r.anyAddress(at, s, &scope, calls)
	return nil
}

// onlyPort gives a request that names no port the one by which the service calls the callee, where that is
// plain: it has no other.
func (r *run) onlyPort(s *ir.Service) {
	for i := range s.Uses {
		if use := &s.Uses[i]; r.request.Port == 0 && r.request.Scheme != "https" && r.names(use) && len(use.Ports) == 1 {
			r.request.named(r.numberOf(use, use.Ports[0]))
			return
		}
	}
}

// numberOf and protocolOf are those of a port that a use calls.
func (r *run) numberOf(use *ir.Use, port string) uint16 {
	if use.External {
		return r.mesh.External(use.To).Port(port).Number
	}
	return r.mesh.Service(use.To).Port(port).Number
}

func (r *run) protocolOf(use *ir.Use, port string) ir.Protocol {
	if use.External {
		return r.mesh.External(use.To).Port(port).Protocol
	}
	return r.mesh.Service(use.To).Port(port).Protocol
}

// names reports whether the request's host is one of the callee's.
func (r *run) names(use *ir.Use) bool {
	host := strings.TrimSuffix(strings.ToLower(r.request.Host), ".")
	if use.External {
		return r.mesh.External(use.To).Named(host) >= 0
	}
	callee := r.mesh.Service(use.To)
	return slices.Contains(r.mesh.Hosts(&callee.Upstream, r.me.Namespace), host) ||
		callee.Workload.DNS != "" && strings.EqualFold(callee.Workload.DNS, host)
}

// mostSpecific is the call whose callee the request's host names: the host that is written, before a wildcard for it.
func (r *run) mostSpecific(calls []called) *called {
	host := strings.TrimSuffix(strings.ToLower(r.request.Host), ".")
	var best *called
	rank := -1
	for i := range calls {
		c := &calls[i]
		if !r.names(c.use) {
			continue
		}
		n := ir.Specific(host)
		if c.use.External {
			n = r.mesh.External(c.use.To).Named(host)
		}
		if n > rank {
			best, rank = c, n
		}
	}
	return best
}

// named is the service or external whose host the request names; "" for none.
func (r *run) named() string {
	for _, s := range r.mesh.Services {
		if r.names(&ir.Use{To: s.Name}) {
			return s.Name
		}
	}
	for _, e := range r.mesh.Externals {
		if r.names(&ir.Use{To: e.Name, External: true}) {
			return e.Name
		}
	}
	return ""
}

// call follows a request for a callee.
func (r *run) call(at string, s *ir.Service, use *ir.Use, portName string) {
	r.step(at, use.Pos, "matches the callee %s", use.To)
	if use.External {
		r.toExternal(at, s, use, portName)
		return
	}
	callee := r.mesh.Service(use.To)
	port := callee.Port(portName)
	if !port.Protocol.IsHTTP() {
		p := r.mesh.Policy(use, &callee.Traffic)
		r.Policy = &ir.Policy{Bounds: p.Bounds}
		r.connect(callee, port)
		return
	}
	scope := r.mesh.ServiceScope(s)
	q, good := r.read(at, scope.FormsOn(use, portName, port.Number))
	if !good {
		return
	}
	q.offers(scope.UpgradesOn(use, portName, port.Number))
	for i := range callee.Routes {
		route := &callee.Routes[i]
		if r.takes(&route.Match, q, q.path) {
			r.step(at, route.Pos, "matches the route %q of %s", route.Name, callee.Name)
			r.goes(at, s.Uses, use, callee, port, q, route)
			return
		}
	}
	if len(callee.Routes) > 0 && r.at == "" {
		r.step(at, callee.Pos, "matches no route of %s, so it goes to any instance", callee.Name)
	}
	r.goes(at, s.Uses, use, callee, port, q, rest(callee))
}

// rest is the route of what no written one takes.
func rest(callee *ir.Service) *ir.Route {
	return &ir.Route{To: []ir.Destination{{Service: callee.Name, Weight: 1}}, Pos: callee.Pos}
}

// connect follows a connection below HTTP.
func (r *run) connect(callee *ir.Service, port *ir.Port) {
	if !r.letsConnect(doorOf(callee), port) {
		r.answer(ir.ServiceRef(callee.Name).String(), 0)
		return
	}
	r.Reaches = []Reach{{Service: callee.Name, Port: port.Name, Percent: 100, Address: r.at}}
}
