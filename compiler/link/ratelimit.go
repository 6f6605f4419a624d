package link

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// minFill is the shortest period in which Envoy gives tokens out.
const minFill = ir.Duration(50 * time.Millisecond)

// periods are those that the rate limit service counts in.
var periods = []ir.Duration{second, 60 * second, 3600 * second, 24 * 3600 * second}

// rateLimit is a bound on requests; nil when nothing is written.
func (l *linker) rateLimit(here place, owner string, r *spec.RateLimit, route bool) *ir.RateLimit {
	if r == nil {
		return nil
	}
	out := &ir.RateLimit{
		Owner: owner, Requests: uint32(r.Requests.Value), Per: second, Burst: uint32(r.Burst.Value),
		PerCaller: r.By.Value == "caller", Global: r.Global.Value, Pos: here.pos(r.Pos),
	}
	if r.Per.IsSet() {
		out.Per = l.duration(here.field("per"), r.Per)
		if out.Per > 0 && out.Per < minFill {
			l.add(diag.OutOfRange, here.field("per"), fmt.Sprintf("per is %s, and the shortest period is %s", out.Per,
				minFill), here.pos(r.Per.Pos)).
				hint("write the number of requests in a longer one")
		}
	}
	if out.PerCaller && route {
		l.add(diag.NoEffect, here.field("by"),
			"by cannot take effect: each calling proxy counts a route's limit by itself", here.pos(r.By.Pos)).
			hint("remove it, or write the limit for the service")
	}
	if !out.Global {
		return out
	}
	if l.mesh.RateLimit == nil && !l.rateLimitSaid {
		l.add(diag.MissingField, here.field("global"),
			"there is no rate limit service that could count for all proxies", here.pos(r.Global.Pos)).
			hint(`name a service with a port of protocol "grpc" that allows calls of those whose requests it counts: ` +
				`mesh: rateLimit: service: "NAME"`)
	}
	if !slices.Contains(periods, out.Per) && out.Per > 0 {
		l.add(diag.NotOneOf, here.field("per"),
			fmt.Sprintf("per is %s, and the rate limit service counts in 1s, 1m, 1h or 24h", out.Per),
			here.pos(r.Per.Pos), here.pos(r.Global.Pos))
	}
	if out.Burst > 0 {
		l.add(diag.NoEffect, here.field("burst"),
			"burst cannot take effect: the rate limit service counts requests in whole periods", here.pos(r.Burst.Pos),
			here.pos(r.Global.Pos)).
			hint("remove it")
	}
	return out
}

// rateLimitService settles which service counts, once the services are known.
func (l *linker) rateLimitService(u *spec.Unit, s *spec.RateLimitService) {
	if s == nil {
		return
	}
	here := place{u, "mesh.rateLimit"}
	out := &ir.RateLimitService{
		Service: s.Service.Value, Port: s.Port.Value, Timeout: ir.Duration(100 * time.Millisecond),
		FailClosed: s.FailClosed.Value, Pos: here.pos(s.Pos),
	}
	if s.Timeout.IsSet() {
		out.Timeout = l.duration(here.field("timeout"), s.Timeout)
	}
	l.mesh.RateLimit = out
	home, known := l.services[out.Service]
	if !known {
		l.rateLimitSaid = true
		l.unknown(diag.UnknownCallee, here.field("service"), "service", out.Service,
			slices.DeleteFunc(sortedKeys(l.services), func(name string) bool {
				return len(l.multiplexed(name)) == 0
			}), s.Service.Pos)
		l.mesh.RateLimit = nil
		return
	}
	grpc := l.multiplexed(out.Service)
	switch {
	case out.Port == "" && len(grpc) == 1:
		out.Port = grpc[0]
	case !slices.Contains(grpc, out.Port):
		l.add(diag.AmbiguousPort, here, fmt.Sprintf("%s has %d ports that speak gRPC: which answers for rate limits?",
			out.Service, len(grpc)), here.pos(s.Pos), home.pos).
			hint("write port: %q", append(grpc, "NAME")[0])
		l.mesh.RateLimit, l.rateLimitSaid = nil, true
	}
}

// multiplexed are the ports of a service that could speak gRPC, before it is linked.
func (l *linker) multiplexed(service string) (names []string) {
	ports := l.services[service].spec.Ports
	for _, name := range sortedKeys(ports) {
		if ir.Protocol(ports[name].Protocol.Value).Multiplexed() {
			names = append(names, name)
		}
	}
	return names
}

// counted adds the rate limit service to what a member reaches when a bound on its
// own requests, or on those of its calls, is counted there.
func (l *linker) counted(here place, caller *ir.Peer, own *ir.RateLimit, routes []ir.Route, uses []ir.Use) []ir.Use {
	s := l.mesh.RateLimit
	if s == nil {
		return uses
	}
	var by *ir.RateLimit
	if own != nil && own.Global {
		by = own
	}
	find := func(routes []ir.Route) {
		for i := range routes {
			if r := routes[i].RateLimit; r != nil && r.Global {
				by = r
			}
		}
	}
	find(routes)
	for _, use := range uses {
		if !use.External && len(use.Ports) > 0 {
			find(l.declaredServices[use.To].Routes)
		}
	}
	if by == nil {
		return uses
	}
	to := l.declaredServices[s.Service]
	if caller.Ref() == ir.ServiceRef(to.Name) {
		l.add(diag.CallsItself, here, fmt.Sprintf("the requests to %s are counted by %s itself", caller.Name,
			caller.Name), by.Pos, s.Pos).hint("remove global")
		return uses
	}
	if !l.admits(here, caller, to, s.Port,
		fmt.Sprintf("%s calls the rate limit service %s, which does not allow calls from it", caller.Name, to.Name),
		by.Pos, l.services[to.Name].pos, s.Pos) {
		return uses
	}
	return reach(uses, ir.Use{Pos: by.Pos}, to.Name, s.Port)
}

// callersAreNamed refuses a bound for each caller where rules let callers in that are
// not known one by one: nobody could count for each of them.
func (l *linker) callersAreNamed(here place, s *ir.Service, r *spec.RateLimit) {
	if s.RateLimit == nil || !s.RateLimit.PerCaller {
		return
	}
	for i := range s.Allow {
		for _, p := range s.Allow[i].From {
			if p.Name == "" && !s.Allow[i].Audit {
				l.add(diag.NoEffect, here.field("rateLimit.by"),
					fmt.Sprintf("by cannot take effect: %s allows %s, which cannot be counted one by one", s.Name,
						p.String()), here.pos(r.By.Pos), s.Allow[i].Pos).
					hint("name the callers, or remove by")
				return
			}
		}
	}
}
