package try

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// fromService follows a call of a service, which its own proxy takes.
func (r *run) fromService(s *ir.Service) {
	at := "service " + s.Name
	r.onlyPort(s)
	number := r.request.port()
	var onPort []*ir.Use
	for i := range s.Uses {
		use := &s.Uses[i]
		for _, name := range use.Ports {
			if r.numberOf(use, name) == number {
				onPort = append(onPort, use)
				if r.names(use) {
					r.call(at, s, use, name)
					return
				}
			}
		}
	}
	r.Write = "services." + s.Name + ".uses: the callee, by its name"
	if callee := r.named(); callee != "" {
		r.Write = fmt.Sprintf("services.%s.uses: %q: {}, and {from: services: [%q]} in services.%s.allow", s.Name, callee, s.Name, callee)
	}
	for _, use := range onPort {
		for _, name := range use.Ports {
			if r.numberOf(use, name) == number && r.protocolOf(use, name).IsHTTP() {
				r.step(at, s.Pos, "uses nothing that is named %s on port %d", r.request.Host, number)
				if _, good := r.read(at); good {
					r.answer(at, 404)
				}
				return
			}
		}
	}
	if len(onPort) > 0 { // bytes, whose host nobody knows
		for _, name := range onPort[0].Ports {
			if r.numberOf(onPort[0], name) == number {
				r.call(at, s, onPort[0], name)
				return
			}
		}
	}
	r.step(at, s.Pos, "uses nothing on port %d, and closes the connection", number)
	r.answer(at, 0)
}

// onlyPort gives a request that names no port the one by which the service calls the callee, where that is
// plain: it has no other.
func (r *run) onlyPort(s *ir.Service) {
	for i := range s.Uses {
		if use := &s.Uses[i]; r.request.Port == 0 && r.request.Scheme == "http" && r.names(use) && len(use.Ports) == 1 {
			r.request.Port = r.numberOf(use, use.Ports[0])
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
		return slices.ContainsFunc(r.mesh.External(use.To).Hosts, func(h string) bool { return strings.EqualFold(h, host) })
	}
	callee := r.mesh.Service(use.To)
	return slices.Contains(callee.Hosts(), host) || callee.Workload.DNS != "" && strings.EqualFold(callee.Workload.DNS, host)
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
	r.step(at, use.Pos, "takes it for %s, which it uses", use.To)
	if use.External {
		r.toExternal(at, use, portName)
		return
	}
	callee := r.mesh.Service(use.To)
	port := callee.Port(portName)
	if !port.Protocol.IsHTTP() {
		r.connect(callee, port)
		return
	}
	q, good := r.read(at)
	if !good {
		return
	}
	for i := range callee.Routes {
		route := &callee.Routes[i]
		if takes(&route.Match, q, q.path) {
			r.step(at, route.Pos, "goes by the route %q of %s", route.Name, callee.Name)
			r.goes(at, s.Uses, use.Traffic, callee, port, q, route)
			return
		}
	}
	if len(callee.Routes) > 0 {
		r.step(at, callee.Pos, "goes by no route of %s, and so to any instance", callee.Name)
	}
	r.goes(at, s.Uses, use.Traffic, callee, port, q, rest(callee))
}

// rest is the route of what no written one takes.
func rest(callee *ir.Service) *ir.Route {
	return &ir.Route{To: []ir.Destination{{Service: callee.Name, Weight: 1}}, Pos: callee.Pos}
}

// connect follows a connection below HTTP.
func (r *run) connect(callee *ir.Service, port *ir.Port) {
	if !r.letsConnect(callee, port) {
		r.answer("service "+callee.Name, 0)
		r.Write = fmt.Sprintf("add {from: %s, ports: [%q]} to services.%s.allow", r.peers(), port.Name, callee.Name)
		return
	}
	r.Reaches = []Reach{{Service: callee.Name, Port: port.Name, Percent: 100}}
}

func (r *run) toExternal(at string, use *ir.Use, portName string) {
	e := r.mesh.External(use.To)
	port := e.Port(portName)
	reach := Reach{External: e.Name, Port: port.Name, Percent: 100}
	if port.Protocol.IsHTTP() {
		q, good := r.read(at)
		if !good {
			return
		}
		reach.Host, reach.Path = e.Hosts[0], q.withQuery(q.path)
	}
	p := ir.Nearest(use.Traffic, e.Traffic, r.mesh.Defaults)
	r.policy(at, port.Protocol, &p)
	if e.Via != nil {
		r.step(at, e.Pos, "leaves the mesh by the gateway %s", e.Via.Gateway)
	}
	r.Reaches = []Reach{reach}
	r.undecided("whether %s answers", e.Hosts[0])
}

// policy tells the time and the tries of a call.
func (r *run) policy(at string, protocol ir.Protocol, p *ir.Policy) {
	if !protocol.IsHTTP() {
		return
	}
	r.step(at, p.Timeout.Pos, "waits %s at most%s", p.Timeout.Value, default_(p.Timeout.Pos))
	if p.Attempts.Value > 0 {
		text := fmt.Sprintf("sends it again %d times at most, when there is %s", p.Attempts.Value, join(p.RetryOn.Value))
		if t := p.PerTryTimeout.Value; t > 0 {
			text += fmt.Sprintf(", or a try takes %s", t)
		}
		r.step(at, p.Attempts.Pos, "%s", text)
	}
}

func default_(pos source.Position) string {
	if pos.IsValid() {
		return ""
	}
	return ", the default"
}

func join(list []ir.RetryCondition) string {
	var out []string
	for _, c := range list {
		out = append(out, string(c))
	}
	return strings.Join(out, ", ")
}

// goes follows a request by its routes: one, or a gateway's and then the service's own. The last says where it goes.
func (r *run) goes(at string, uses []ir.Use, use ir.Traffic, callee *ir.Service, came *ir.Port, q *message, by ...*ir.Route) {
	last := by[len(by)-1]
	fault := &ir.Fault{}
	for _, route := range by {
		if route.Fault != nil {
			fault = route.Fault
		}
		if route.RateLimit != nil {
			r.undecided("how many requests go by the route %q at the time: it bounds them", route.Name)
		}
		if route.MaxRequestBytes > 0 {
			r.undecided("whether its body has at most %d bytes", route.MaxRequestBytes)
		}
	}
	if r.fault(at, last, fault) {
		return
	}
	if last.Redirect != nil {
		r.redirect(at, last, q)
		return
	}
	if d := last.DirectResponse; d != nil {
		r.step(at, last.Pos, "answers %d by itself", d.Status)
		r.Answer = &Answer{By: at, Status: int(d.Status), Body: d.Body}
		return
	}
	sent := *q
	for _, route := range by {
		sent.headers = edited(sent.headers, route.Headers.Request)
		if route.Rewrite != nil && route.Rewrite.Host != "" {
			sent.host = route.Rewrite.Host
			r.step(at, route.Pos, "rewrites the host to %s", sent.host)
		}
		if route.Mirror != nil {
			r.step(at, route.Mirror.Pos, "sends a copy of %g%% to %s", route.Mirror.Percent, named(&route.Mirror.Destination))
		}
	}
	if pattern, substitution, ok := ir.RewrittenPath(by); ok {
		if path, good := substituted(pattern, substitution, q.path); good && path != q.path {
			sent.path = path
			r.step(at, last.Pos, "rewrites the path to %s", path)
		}
	}
	places := []ir.Traffic{use}
	for _, route := range by {
		places = append(places, route.Traffic)
	}
	p := ir.Nearest(append(places, callee.Traffic, r.mesh.Defaults)...)
	r.policy(at, came.Protocol, &p)
	r.destinations(last, came, &sent)
}

// fault tells of faults; true when all requests are aborted.
func (r *run) fault(at string, route *ir.Route, f *ir.Fault) bool {
	if f.Delay > 0 {
		r.step(at, route.Pos, "holds %g%% back for %s", f.DelayPercent, f.Delay)
	}
	switch {
	case f.AbortPercent == 100:
		r.step(at, route.Pos, "aborts it")
		status := int(f.Status)
		if f.GRPCStatus > 0 {
			status = 200
		}
		r.answer(at, status)
		return true
	case f.AbortPercent > 0:
		r.undecided("chance: %g%% are aborted by the route %q", f.AbortPercent, route.Name)
	}
	return false
}

// redirect is the answer of a route that names another address.
func (r *run) redirect(at string, route *ir.Route, q *message) {
	d := route.Redirect
	scheme, host, path := cmp.Or(d.Scheme, r.request.Scheme), cmp.Or(d.Host, q.host), q.withQuery(q.path)
	switch {
	case d.Path != "":
		path = q.withQuery(d.Path)
		if strings.Contains(d.Path, "?") {
			path = d.Path
		}
	case d.Prefix != "":
		pattern, substitution := (&ir.PathRewrite{Prefix: d.Prefix}).Regex(route.Match.Path)
		if rewritten, ok := substituted(pattern, substitution, q.path); ok {
			path = q.withQuery(rewritten)
		}
	}
	if d.Port != 0 {
		host = fmt.Sprintf("%s:%d", host, d.Port)
	}
	r.Answer = &Answer{By: at, Status: int(d.Status), Location: scheme + "://" + host + path}
	r.step(at, route.Pos, "redirects to %s", r.Answer.Location)
}

func named(d *ir.Destination) string { return strings.TrimSpace(d.Service + " " + d.Version) }

// destinations are where a route's requests go, and who lets them in there.
func (r *run) destinations(route *ir.Route, came *ir.Port, q *message) {
	var sum uint32
	for _, d := range route.To {
		sum += d.Weight
	}
	verdicts := map[string]int{}
	arrived := *q // as the other proxy reads it
	path, _, why, _ := normalized(q.path)
	arrived.path = path
	for i := range route.To {
		d := &route.To[i]
		if d.Weight == 0 || sum == 0 {
			continue
		}
		callee := r.mesh.Service(d.Service)
		port := callee.Port(cmp.Or(d.Port, came.Name))
		key := callee.Name + "|" + port.Name
		refused, known := verdicts[key]
		if !known {
			if refused = 400; why == "" {
				refused = r.letIn(callee, port, &arrived)
			} else {
				r.step("service "+callee.Name, source.Position{}, "refuses %s", why)
			}
			verdicts[key] = refused
		}
		r.Reaches = append(r.Reaches, Reach{
			Service: callee.Name, Version: d.Version, Port: port.Name, Percent: 100 * float64(d.Weight) / float64(sum),
			Host: q.host, Path: q.withQuery(arrived.path), Refused: refused,
		})
	}
	if same := sameRefusal(r.Reaches); same != 0 {
		r.answer("service "+r.Reaches[0].Service, same)
		r.Reaches = nil
	}
}

// sameRefusal is the status with which all refuse; 0 when some do not, or each in its own way.
func sameRefusal(list []Reach) int {
	for _, reach := range list {
		if reach.Refused == 0 || reach.Refused != list[0].Refused {
			return 0
		}
	}
	if len(list) == 0 {
		return 0
	}
	return list[0].Refused
}
