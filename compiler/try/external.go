package try

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// forbidden are the addresses that a name may not lead to, in words.
func forbidden(local bool) string {
	if local {
		return "link-local addresses or a cloud's metadata"
	}
	return "loopback, link-local addresses or a cloud's metadata"
}

// toExternal follows a call of an external.
func (r *run) toExternal(at string, s *ir.Service, use *ir.Use, portName string) {
	e := r.mesh.External(use.To)
	port := e.Port(portName)
	reach := Reach{External: e.Name, Port: port.Name, Percent: 100, Address: r.at}
	p := r.mesh.Policy(use, &e.Traffic)
	if port.Protocol.IsHTTP() {
		scope := r.mesh.ServiceScope(s)
		q, good := r.readAs(at, scope.FormsOn(use, portName, port.Number), use.Binds[portName] != "" ||
			scope.ExternalsAlone(port.Number))
		if !good {
			return
		}
		q.offers(scope.UpgradesOn(use, portName, port.Number))
		if r.notUpgraded(at, q, use.Pos, port.Upgrades) {
			return
		}
		if q.upgrade != "" {
			r.step(at, port.Pos, "offers the upgrade to %s", q.upgrade)
			p = unbounded(p)
		}
		reach.Host, reach.Path = e.Hosts[0], q.withQuery(q.path)
		named := e.Named(strings.TrimSuffix(strings.ToLower(q.host), ".")) >= 0
		switch {
		case e.ByHost() && !(named && anAuthority.MatchString(q.authority)):
			r.step(at, e.Pos, "has no host of %s: %s", e.Name, strings.Join(e.Hosts, ", "))
			r.answer(at, http.StatusNotFound)
			return
		case named:
			reach.Host = q.authority
		}
	}
	r.Policy = &p
	r.policy(at, port.Protocol, &p)
	if e.Via != nil {
		r.step(at, e.Pos, "leaves the mesh through the gateway %s", e.Via.Gateway)
	}
	if port.Target != port.Number {
		r.step(at, port.Pos, "connects to port %d", port.Target)
	}
	r.Reaches = []Reach{reach}
	answers := e.Hosts[0]
	if e.HasRange() || e.ByHost() {
		answers = r.request.Host
	}
	if _, err := netip.ParseAddr(answers); err != nil && len(e.Endpoints) == 0 {
		r.undecided("what %s resolves to in DNS: proxies send nothing to %s", answers, forbidden(e.Local))
	}
	r.undecided("whether %s answers", answers)
}
