package serve

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/serve/telemetry"
)

// UndeclaredCall is a call that no use of its caller declares, and that the caller's proxy let pass.
type UndeclaredCall struct {
	// Caller is "service NAME", and CallerSource where it is written.
	Caller       string          `json:"caller"`
	CallerSource source.Position `json:"callerSource,omitzero"`
	// Address and Port are those that the application asked for.
	Address netip.Addr `json:"address"`
	Port    uint16     `json:"port"`
	// Name is what the application called it: the host of requests, or the name in the handshake of TLS; empty where it
	// gave none. Nobody has checked it.
	Name string `json:"name,omitempty"`
	// HTTP is set for requests, and Connections is then their number in the window.
	HTTP        bool      `json:"http,omitempty"`
	Connections uint64    `json:"connections"`
	Last        time.Time `json:"last"`
	// Callee is "service NAME" where the address, or the host of requests, is a service's of the mesh, or "external
	// NAME"; empty for others. PortName is the name of its port.
	Callee       string          `json:"callee,omitempty"`
	CalleeSource source.Position `json:"calleeSource,omitzero"`
	PortName     string          `json:"portName,omitempty"`
	// Uses is set where the caller uses the callee on other ports already, Listed where the callee has a list of rules
	// already, and Allowed where one of them lets the caller in.
	Uses    source.Position `json:"uses,omitzero"`
	Listed  bool            `json:"listed,omitempty"`
	Allowed bool            `json:"allowed,omitempty"`
}

// undeclared is the call of which a proxy tells; false for one that the mesh declares meanwhile.
func (j *joined) undeclared(end *telemetry.End, v *view) (UndeclaredCall, bool) {
	at, err := netip.ParseAddrPort(end.Port)
	callers := j.callers[end.Caller]
	if err != nil || len(callers) == 0 {
		return UndeclaredCall{}, false
	}
	caller := callers[0]
	for _, p := range callers {
		if p.Ref().String() == end.Member {
			caller = p
		}
	}
	from := j.mesh.Service(caller.Name)
	if from == nil {
		return UndeclaredCall{}, false
	}
	c := UndeclaredCall{
		Caller: caller.Ref().String(), CallerSource: from.Pos, Address: at.Addr().Unmap(), Port: at.Port(),
		HTTP: end.Kind == telemetry.UndeclaredHTTP, Connections: end.Requests, Last: end.Last,
	}
	if end.Callee != "-" {
		c.Name = end.Callee
	}
	declared := c.locate(j.mesh, from, v)
	return c, !declared && (c.Connections > 0 || c.Callee != "")
}

// locate says whom of the mesh the call is for, and whether its caller declares it meanwhile.
func (c *UndeclaredCall) locate(m *ir.Mesh, from *ir.Service, v *view) (declared bool) {
	if callee, port := c.service(m, from, v); callee != nil {
		c.Callee, c.CalleeSource, c.PortName = ir.ServiceRef(callee.Name).String(), callee.Pos, port.Name
		c.Listed = len(callee.Allow) > 0
		peer := from.Peer()
		for i := range callee.Allow {
			if r := &callee.Allow[i]; !r.Audit && r.Holds(port) && r.Names(&peer) {
				c.Allowed = true
			}
		}
		if use := ir.UseOf(from.Uses, callee.Name); use != nil && !use.External {
			c.Uses = use.Pos
			return slices.Contains(use.Ports, port.Name)
		}
		return false
	}
	for _, e := range m.Externals {
		for i := range e.Ports {
			if p := &e.Ports[i]; p.Number == c.Port && slices.ContainsFunc(e.Hosts, c.asksFor) {
				c.Callee, c.CalleeSource, c.PortName = ir.ExternalRef(e.Name).String(), e.Pos, p.Name
				use := ir.UseOf(from.Uses, e.Name)
				return use != nil && use.External && slices.Contains(use.Ports, p.Name)
			}
		}
	}
	return false
}

// asksFor reports whether a host of an external is what was asked for.
func (c *UndeclaredCall) asksFor(host string) bool {
	if network, err := netip.ParsePrefix(host); err == nil {
		return network.Contains(c.Address)
	}
	return host == c.Address.String() || ir.HostCovers(host, strings.ToLower(c.Host()))
}

// Host is the name without a port.
func (c *UndeclaredCall) Host() string {
	host, _, _ := strings.Cut(c.Name, ":")
	return strings.TrimSuffix(host, ".")
}

// service is the service of the mesh that is at the address, or that the host of requests names, with its port; nil for
// none.
func (c *UndeclaredCall) service(m *ir.Mesh, from *ir.Service, v *view) (*ir.Service, *ir.Port) {
	for _, s := range m.Services {
		named := c.HTTP && slices.Contains(m.Hosts(&s.Upstream, from.Namespace), strings.ToLower(c.Host()))
		cluster := slices.Contains(v.services[s.Namespace].get(s.PlainName()), c.Address.String())
		pod := slices.ContainsFunc(v.reachedAt(&s.Upstream), func(a string) bool { return a == c.Address.String() })
		for i := range s.Ports {
			p := &s.Ports[i]
			if (named || cluster) && p.Number == c.Port || pod && s.InstancePort(p) == c.Port {
				return s, p
			}
		}
	}
	return nil, nil
}

// reachedAt are the addresses of a service's instances, as they are at the moment or as the spec says them.
func (v *view) reachedAt(u *ir.Upstream) []string {
	if v.known(u) {
		return addressesOf(v.pods[u.Namespace].get(u.PlainName()))
	}
	var out []string
	for i := range u.Workload.Endpoints {
		out = append(out, u.Workload.Endpoints[i].Address)
	}
	return out
}

func compareUndeclared(a, b UndeclaredCall) int {
	return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Callee, b.Callee), a.Address.Compare(b.Address),
		cmp.Compare(a.Port, b.Port), cmp.Compare(a.Name, b.Name))
}

// addUndeclared has the report tell of those too.
func (r *EdgeReport) addUndeclared(others []UndeclaredCall) {
	for _, c := range others {
		i := slices.IndexFunc(r.Undeclared, func(had UndeclaredCall) bool { return compareUndeclared(had, c) == 0 })
		if i < 0 {
			r.Undeclared = append(r.Undeclared, c)
			continue
		}
		r.Undeclared[i].Connections += c.Connections
		if c.Last.After(r.Undeclared[i].Last) {
			r.Undeclared[i].Last = c.Last
		}
	}
	slices.SortFunc(r.Undeclared, compareUndeclared)
}
