package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
)

// clusterParts are the callee and the version of a cluster's name: "cart.shop|http|v1".
func clusterParts(name string) (callee, version string) {
	parts := strings.Split(name, "|")
	if len(parts) == 3 && parts[0] != "external" {
		version = parts[2]
	}
	if parts[0] == "external" && len(parts) > 1 {
		return parts[1], ""
	}
	return parts[0], version
}

// endpointFiles finds endpoints-file-blank and endpoints-file-oversized by what the server says of the files.
func endpointFiles(p *patient) (out []candidate) {
	if p.Server == nil || p.Server.Status == nil || p.Server.Status.Endpoints == "" || p.Mesh == nil {
		return nil
	}
	text := p.Server.Status.Endpoints
	for _, s := range p.Mesh.Services {
		if s.Workload.File == "" || !strings.Contains(text, s.Workload.File+":") {
			continue
		}
		c := candidate{sure: byState, next: "meshc status", Verdict: Verdict{
			Cause: EndpointsFileBlank, Subject: ir.ServiceRef(s.Name).String(), Position: lineOf(s.Workload.Pos),
			Party: ByOutside,
			Text: fmt.Sprintf("the file of endpoints %s is wrong; its last good content holds, and new instances of %s get no "+
				"requests", s.Workload.File, s.Name),
		}}
		if strings.Contains(text, "it has more than") {
			c.Cause = EndpointsFileOversized
		}
		for _, list := range p.byCallee(unconnected, noInstance) {
			if list[0].edge.callee == ir.ServiceRef(s.Name) {
				c.explains = append(c.explains, list...)
			}
		}
		c.evidence = append(c.evidence, Evidence{text, "meshc status"})
		out = append(out, c)
	}
	return out
}

// What of a service's instances is too much of a change.
const (
	// flapping is how many instances come and go within a minute, at least, and flaps how often each of them does.
	flapping, flaps = 300, 30
	// rejoined is within which time instances that left came back.
	rejoined = 15 * time.Second
)

// instanceLists finds no-instances, instances-rejoined, endpoints-flapping and stale-endpoints by the list that the
// server has from its source, and by what callers' proxies have.
func instanceLists(p *patient) (out []candidate) {
	if p.Server == nil || p.Server.Recent == nil || p.Mesh == nil {
		return nil
	}
	for _, s := range p.Mesh.Services {
		ref := ir.ServiceRef(s.Name)
		moves := p.Server.Recent.Moves[s.Name]
		list := p.byCallee(noInstance, unconnected)[ref]
		verdict := func(cause Cause, party Party, text string) candidate {
			return candidate{explains: list, sure: byState, next: "meshc describe service " + s.Name, Verdict: Verdict{
				Cause: cause, Subject: ref.String(), Position: lineOf(cmp.Or(s.Workload.Pos, s.Pos)),
				Party: party, Text: text,
			}}
		}
		left, back := leaving(moves)
		switch {
		case p.instancesOf(s.Name) == 0 && len(list) > 0:
			out = append(out, verdict(NoInstances, ByOutside,
				fmt.Sprintf("the source of the instances of %s has none that takes requests", s.Name)))
		case !left.IsZero() && p.Now.Sub(back) < time.Minute && p.failedSince(ref, left):
			c := verdict(InstancesRejoined, ByOutside, fmt.Sprintf("all instances of %s left at %s, and came back after %s",
				s.Name, left.Format(time.TimeOnly), back.Sub(left).Round(100*time.Millisecond)))
			c.since = left
			c.evidence = append(c.evidence, Evidence{
				fmt.Sprintf("it had no instance at %s", left.UTC().Format(time.TimeOnly)), c.next,
			})
			out = append(out, c)
		}
		if n, most := movedWithin(moves, p.Now.Add(-time.Minute)); n > max(flapping, flaps*most) {
			c := verdict(EndpointsFlapping, ByOutside,
				fmt.Sprintf("instances of %s come and go without end: %d within a minute", s.Name, n))
			c.sure, c.since = byElimination, moves[0].At
			c.evidence = append(c.evidence, Evidence{
				fmt.Sprintf("%d changes of its list of instances since %s", len(moves), c.since.UTC().Format(time.TimeOnly)),
				c.next,
			})
			out = append(out, c)
		}
		switch address, proxy := p.stale(s); {
		case address != "":
			c := verdict(StaleEndpoints, ByMesh, fmt.Sprintf(
				"proxies have the address %s for %s, and its source has it no longer", address, s.Name))
			c.evidence = append(c.evidence, Evidence{
				fmt.Sprintf("%s has %s among the instances of %s", proxy, address, s.Name), "meshc config " + s.Name,
			})
			out = append(out, c)
		case p.leadsNowhere(ref):
			c := verdict(StaleEndpoints, ByMesh, fmt.Sprintf(
				"no caller can connect to the addresses of %s, although its own proxies are connected to meshc serve", s.Name))
			c.sure = byElimination
			out = append(out, c)
		}
	}
	return out
}

// leaving is when all instances left last, and when some came back; zero where they did not within [rejoined].
func leaving(moves []serve.Move) (left, back time.Time) {
	for i := range moves {
		switch {
		case moves[i].Left == 0:
			left, back = moves[i].At, time.Time{}
		case !left.IsZero() && back.IsZero():
			back = moves[i].At
		}
	}
	if back.IsZero() || back.Sub(left) > rejoined {
		return time.Time{}, time.Time{}
	}
	return left, back
}

// movedWithin is how many instances have come and gone since then, and how many there were at most.
func movedWithin(moves []serve.Move, then time.Time) (n, most int) {
	for _, m := range moves {
		if m.At.After(then) {
			n += m.Came + m.Went
			most = max(most, m.Left)
		}
	}
	return n, most
}

// failedSince reports whether requests to a callee have failed since then.
func (p *patient) failedSince(callee ir.Ref, then time.Time) bool {
	return slices.ContainsFunc(p.edges, func(e *edge) bool {
		if e.callee != callee || e.Client == nil {
			return false
		}
		for _, s := range e.Client.Steps {
			if s.Errors > 0 && s.At.Add(15*time.Second).After(then) {
				return true
			}
		}
		return false
	})
}

// leadsNowhere reports whether callers cannot connect to a service of which proxies are connected to the server, and
// none is missing.
func (p *patient) leadsNowhere(service ir.Ref) bool {
	if len(p.byCallee(unconnected)[service]) == 0 {
		return false
	}
	connected := false
	for _, one := range p.Server.Status.Proxies {
		if member, _ := memberOf(one.Node); member == service {
			if !one.Connected {
				return false
			}
			connected = true
		}
	}
	return connected
}

// stale is an address that a caller's proxy has for a service, and that is not one of its source; "" for none.
func (p *patient) stale(s *ir.Service) (address, proxy string) {
	source := p.Server.Recent.Instances[s.Name]
	failing := p.byCallee(unconnected, noInstance, answered)[ir.ServiceRef(s.Name)]
	if len(source) == 0 || s.Workload.DNS != "" || len(failing) == 0 {
		return "", ""
	}
	for i := range p.Proxies {
		for _, c := range p.Proxies[i].Clusters {
			if callee, _ := clusterParts(c.Name); callee != s.QualifiedName() {
				continue
			}
			for _, h := range c.Hosts {
				if !slices.ContainsFunc(source, func(i serve.Instance) bool { return i.Address == h.Address }) {
					return h.Address, p.Proxies[i].Node
				}
			}
		}
	}
	return "", ""
}

// names finds dns-failed: no instance of a callee that is found by its name.
func names(p *patient) (out []candidate) {
	all := p.byCallee(noInstance)
	for _, callee := range callees(all) {
		pos, host := p.place(callee), ""
		switch callee.Kind {
		case ir.KindExternal:
			e := p.Mesh.External(callee.Name)
			if e == nil || len(e.Hosts) == 0 {
				continue
			}
			if _, address := ir.ParseHost(e.Hosts[0]); !address {
				host = e.Hosts[0]
			}
		default:
			if s := p.service(callee); s != nil && s.Workload.DNS != "" {
				host, pos = s.Workload.DNS, cmp.Or(s.Workload.Pos, s.Pos)
			}
		}
		if host == "" {
			continue
		}
		out = append(out, candidate{explains: all[callee], sure: byNumbers, Verdict: Verdict{
			Cause: DNSFailed, Subject: callee.String(), Position: lineOf(pos), Party: ByOutside,
			Text: fmt.Sprintf("the name %s of %s is not resolved", host, callee.Name),
		}, next: "meshc describe " + callee.String()})
	}
	return out
}
