package try

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/meshc/meshc/compiler/ir"
)

// passOn follows a request or a connection that the proxy of its sender lets go undeclared to the address that it was
// made to. Who takes it there sees somebody without an identity.
func (r *run) passOn(at string, s *ir.Service) {
	host, number := r.request.Host, r.request.port()
	r.step(at, s.Pos, "has no callee %s on port %d, and lets what is undeclared pass without an identity", host, number)
	callee := r.mesh.Service(r.named())
	ip, err := netip.ParseAddr(host)
	if err == nil {
		if why := ir.ForbiddenAddress(ip, false); why != "" {
			r.step(at, s.Pos, "closes it: %s %s", host, why)
			r.answer(at, 0)
			return
		}
		callee = r.serviceAt(ip.Unmap(), number)
	} else if callee == nil {
		r.undecided("what %s resolves to in DNS: proxies send nothing to %s", host, forbidden(false))
	}
	r.me = ir.Peer{Kind: Outside}
	if callee != nil {
		if err := r.directTo(callee); err == nil {
			return
		}
	}
	r.Reaches = []Reach{{Address: net.JoinHostPort(host, strconv.Itoa(int(number))), Percent: 100}}
	r.undecided("whether %s answers", host)
}

// serviceAt is the service of which the spec has an instance at that address and port; nil for none.
func (r *run) serviceAt(ip netip.Addr, number uint16) *ir.Service {
	for _, s := range r.mesh.Services {
		for i := range s.Workload.Endpoints {
			e := &s.Workload.Endpoints[i]
			at, err := netip.ParseAddr(e.Address)
			if err != nil || at.Unmap() != ip {
				continue
			}
			for _, port := range e.Ports {
				if port == number {
					return s
				}
			}
		}
	}
	return nil
}

// noCallee ends a request for a host that the service does not use on a port where its proxy reads requests.
func (r *run) noCallee(at string, s *ir.Service, scope *ir.Scope, c called) error {
	number := r.request.port()
	passes := s.PassesUndeclared() && c.redirected()
	if r.request.Scheme == tcp {
		if passes {
			r.passOn(at, s)
			return nil
		}
		return fmt.Errorf("the proxy of %s reads requests on port %d: write http://%s:%d", s.Name, number,
			r.request.Host, number)
	}
	if passes && r.request.Scheme == "https" {
		r.passOn(at, s)
		return nil
	}
	if !passes {
		r.step(at, s.Pos, "has no callee %s on port %d", r.request.Host, number)
	}
	q, good := r.read(at, scope.FormsOn(c.use, c.port, number))
	if !good {
		return nil
	}
	if passes {
		r.passOn(at, s)
		return nil
	}
	if q.offers(scope.UpgradesOn(c.use, c.port, number)); !r.notUpgraded(at, q, s.Pos, nil) {
		r.answer(at, http.StatusBadGateway)
	}
	return nil
}
