// Package review answers questions about a compiled mesh.
package review

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Description is what is in force for a service, a gateway or an external.
type Description struct {
	Kind      string          `json:"kind"`
	Name      string          `json:"name"`
	Namespace string          `json:"namespace,omitempty"`
	Pos       source.Position `json:"source,omitzero"`
	Identity  string          `json:"identity,omitempty"`
	// Sharing are the other services with that identity.
	Sharing []string `json:"sharing,omitempty"`
	// Instances say where it runs, in words.
	Instances string   `json:"instances,omitempty"`
	Hosts     []string `json:"hosts,omitempty"`
	Ports     []string `json:"ports,omitempty"`
	Routes    []Route  `json:"routes,omitempty"`
	// Callers are who may call, and Denied what of it is taken back; Calls are whom
	// it calls.
	Callers []Caller `json:"callers,omitempty"`
	Denied  []Caller `json:"denied,omitempty"`
	// Authorizer is asked about each request.
	Authorizer string `json:"externalAuthorization,omitempty"`
	// Settings are what else is in force for it.
	Settings []Setting `json:"settings,omitempty"`
	Calls    []Call    `json:"calls,omitempty"`
	// Worst is how many attempts one request can cause here.
	Worst *Worst `json:"worst,omitempty"`
}

// Route is one of its routes.
type Route struct {
	Name string          `json:"name"`
	Does string          `json:"does"`
	Pos  source.Position `json:"source,omitzero"`
	// Settings are what else is written in it.
	Settings []Setting `json:"settings,omitempty"`
}

// Worst is the chain of calls that causes the most attempts.
type Worst struct {
	Attempts uint64 `json:"attempts"`
	Chain    string `json:"chain"`
	Limit    uint32 `json:"limit,omitempty"`
}

// Describe describes the service, gateway or external of that name. An empty kind
// means whichever there is.
func Describe(m *ir.Mesh, kind, name string) (*Description, error) {
	if s := m.Service(name); s != nil && (kind == "" || kind == "service") {
		return describeService(m, s), nil
	}
	if g := m.Gateway(name); g != nil && (kind == "" || kind == "gateway") {
		return describeGateway(m, g), nil
	}
	if e := m.External(name); e != nil && (kind == "" || kind == "external") {
		return describeExternal(m, e), nil
	}
	what := kind
	if what == "" {
		what = "service, gateway or external"
	}
	return nil, m.Missing(what, name)
}

func describeService(m *ir.Mesh, s *ir.Service) *Description {
	d := &Description{
		Kind: "service", Name: s.Name, Namespace: s.Namespace, Pos: s.Pos, Identity: s.Identity.String(),
		Instances: instances(&s.Upstream), Hosts: m.Hosts(&s.Upstream, s.Namespace), Routes: routes(s.Routes),
		Calls: callsOf(m.ServiceScope(s)), Worst: worst(m, s.Name),
	}
	for _, p := range slices.Concat(s.Ports, s.UDP) {
		d.Ports = append(d.Ports, portText(&p))
	}
	d.Callers, d.Denied = callers(m, s.Allow), callers(m, s.Deny)
	p := s.Peer()
	d.Sharing = sharing(m, &p)
	d.Authorizer = s.Authorizer
	d.Settings = slices.Concat(settingsOf(m, s), exposedBy(m, s), udpOf(m, s))
	return d
}

// exposedBy are the routes that a service has at gateways.
func exposedBy(m *ir.Mesh, s *ir.Service) []Setting {
	var out []Setting
	for _, g := range m.Gateways {
		for i := range g.Routes {
			if r := &g.Routes[i]; r.ExposedBy == s.Name {
				out = append(out, Setting{"exposed", r.Name + " at gateway " + g.Name, r.Pos.String()})
			}
		}
	}
	return out
}

func describeGateway(m *ir.Mesh, g *ir.Gateway) *Description {
	d := &Description{
		Kind: "gateway", Name: g.Name, Namespace: g.Namespace, Pos: g.Pos, Identity: g.Identity.String(),
		Routes: routes(g.Routes), Calls: callsOf(m.GatewayScope(g)), Authorizer: g.Authorizer,
	}
	for _, l := range g.Listeners {
		text := fmt.Sprintf("%s %d (%s)", l.Name, l.Port, l.Protocol)
		if l.TLS != nil {
			text = fmt.Sprintf("%s %d (%s in TLS)", l.Name, l.Port, l.Protocol)
		}
		d.Ports = append(d.Ports, text)
		d.Hosts = append(d.Hosts, l.Hosts...)
	}
	slices.Sort(d.Hosts)
	d.Hosts = slices.Compact(d.Hosts)
	d.Callers, d.Denied = callers(m, g.Allow), callers(m, g.Deny)
	d.Settings = writtenOf(g, "name", "namespace", "account", "identity", "externalAuthorization", "listeners",
		"allow", "deny", "closed", "routes", "uses", "proxy")
	for i := range g.Listeners {
		l := &g.Listeners[i]
		for _, s := range writtenOf(l, "name", "port", "protocol", "hosts") {
			d.Settings = append(d.Settings, Setting{"listeners." + l.Name + "." + s.Name, s.Value, s.From})
		}
	}
	for _, a := range m.AllowedRoutes[ir.GatewayRef(g.Name)] {
		d.Settings = append(d.Settings, Setting{"allowedRoutes", a.Text(), a.Pos.String()})
	}
	d.Settings = append(d.Settings, proxyOf(m, &g.Proxy, g.Pos)...)
	d.Settings = append(d.Settings, metricsOf(m, &g.Proxy)...)
	return d
}

func describeExternal(m *ir.Mesh, e *ir.External) *Description {
	d := &Description{Kind: "external", Name: e.Name, Pos: e.Pos, Hosts: e.Hosts, Worst: worst(m, e.Name)}
	d.Settings = writtenOf(e, "name", "hosts", "ports", "udp", "traffic")
	for _, p := range slices.Concat(e.Ports, e.UDP) {
		d.Ports = append(d.Ports, portText(&p))
	}
	return d
}

// portText is a port in words.
func portText(p *ir.Port) string {
	text := fmt.Sprintf("%s %d (%s)", p.Name, p.Number, p.Protocol)
	if p.Target != p.Number {
		text = fmt.Sprintf("%s %d → %d (%s)", p.Name, p.Number, p.Target, p.Protocol)
	}
	if p.Open {
		text += ", open to anyone"
	}
	if len(p.Upgrades) > 0 {
		text += ", upgrades to " + strings.Join(p.Upgrades, " and ")
	}
	return text
}

func instances(u *ir.Upstream) string {
	switch w := &u.Workload; {
	case w.InCluster():
		return fmt.Sprintf("the pods of %s %s", w.Pods.Kind, strings.Join(u.PodsNames(), ", "))
	case w.DNS != "":
		return "the addresses of " + w.DNS
	case w.File != "":
		return "those in the endpoints file " + w.File
	}
	var addresses []string
	for _, e := range u.Workload.Endpoints {
		addresses = append(addresses, e.Address)
	}
	return strings.Join(addresses, ", ")
}

func routes(list []ir.Route) []Route {
	var out []Route
	for i := range list {
		out = append(out, Route{list[i].Name, does(&list[i]), list[i].Pos, writtenOf(&list[i], "name", "traffic",
			"to")})
	}
	return out
}

// does is what a route does with its requests, in words.
func does(r *ir.Route) string {
	switch {
	case r.Redirect != nil:
		return fmt.Sprintf("redirects with %d", r.Redirect.Status)
	case r.DirectResponse != nil:
		return fmt.Sprintf("answers with %d", r.DirectResponse.Status)
	}
	var sum uint32
	for _, d := range r.To {
		sum += d.Weight
	}
	var to []string
	for _, d := range r.To {
		text := d.Service
		if d.Version != "" {
			text += " " + d.Version
		}
		if d.Port != "" {
			text += " on " + d.Port
		}
		if len(r.To) > 1 && sum > 0 {
			text = fmt.Sprintf("%.4g%% %s", 100*float64(d.Weight)/float64(sum), text)
		}
		to = append(to, text)
	}
	return "to " + strings.Join(to, ", ")
}

func worst(m *ir.Mesh, name string) *Worst {
	chain, called := check.WorstChains(m)[name]
	if !called {
		return nil
	}
	w := &Worst{Attempts: chain.Attempts, Chain: chain.String()}
	if m.MaxAttempts != nil {
		w.Limit = m.MaxAttempts.Value
	}
	return w
}
