package local

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
	"github.com/meshc/meshc/identity/svid"
)

// Example is a request through the mesh that runs, and what became of it when it was tried.
type Example struct {
	// From is the gateway by which somebody outside sends it, or the service that does.
	From   ir.Ref
	Method string
	// URL is as the sender writes it.
	URL string
	// Header is what the request carries besides.
	Header http.Header
	// Host is what it names instead of the URL's; empty for that.
	Host string
	// Status of the answer.
	Status int
	// Hops are the services that the request went through, with the version where
	// there are some: "checkout v1".
	Hops []string

	way  Way
	path string // with its query
	// flags are those of curl by which it comes to a listener with TLS.
	flags string
}

// Command is the request as a line of shell, where meshc is how meshc is started for the spec.
func (e *Example) Command(meshc string) string {
	line := "curl" + e.flags
	if e.From.Kind == ir.KindService {
		line = meshc + " curl --from " + e.From.Name
	}
	if e.Method != http.MethodGet {
		line += " -X " + e.Method
	}
	if e.Host != "" {
		line += " -H " + Quote("Host: "+e.Host)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Header)) {
		line += " -H " + Quote(strings.ToLower(name)+": "+e.Header.Get(name))
	}
	return line + " " + Quote(e.URL)
}

// Quote is a word of the shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Examples are requests by a gateway, or of a mesh without one.
type Examples struct {
	// Gateway is its name; empty in a mesh without one.
	Gateway string
	// Works is a request that works, through as many hops as can be, and Denied one that the service which it is for
	// denies. Both were tried; nil when there is none.
	Works, Denied *Example
}

// Examples are those of each gateway, or in a mesh without one of the services that call others.
func (m *Mesh) Examples(ctx context.Context) (list []Examples) {
	r, roots := m.Running(), m.placement.stubRoots
	for i, g := range r.Placed.Gateways {
		linked := r.Mesh.Gateways[i]
		list = append(list, Examples{
			g.Name, r.first(ctx, working(r.Placed, linked, g, roots), http.StatusOK),
			r.first(ctx, refused(r.Placed, linked, g, roots), http.StatusForbidden),
		})
	}
	if list == nil {
		list = append(list, Examples{
			"", r.first(ctx, allowedCalls(r.Mesh), http.StatusOK),
			r.first(ctx, deniedCalls(r.Mesh), http.StatusForbidden),
		})
	}
	return list
}

// first is the first example that is answered with the status.
func (r *Running) first(ctx context.Context, list []*Example, status int) *Example {
	for _, e := range list {
		if r.try(ctx, e) == status {
			return e
		}
	}
	return nil
}

// working are requests that should be let in: those of many hops first, and of
// these the plainest.
func working(m *ir.Mesh, linked, g *ir.Gateway, roots string) []*Example {
	var out []*Example
	hops := map[*Example]int{}
	eachRoute(m, g, func(l int, match *ir.Match, callee *ir.Service) {
		chain := longestChain(m, callee, nil)
		method := cmp.Or(match.Method, http.MethodGet)
		for _, via := range []string{strings.Join(chain, ","), ""} {
			e := exampleOf(match, linked, g, l, method, via, roots)
			if out = append(out, e); via != "" {
				hops[e] = len(chain)
			}
		}
	})
	slices.SortStableFunc(out, func(a, b *Example) int {
		return cmp.Or(cmp.Compare(hops[b], hops[a]), cmp.Compare(a.extras(), b.extras()))
	})
	return out
}

// writing are the methods of requests that a service might deny, those that change something first.
var writing = []string{http.MethodDelete, http.MethodPut, http.MethodPost, http.MethodGet}

// refused are requests that a gateway would route and a service might deny.
func refused(m *ir.Mesh, linked, g *ir.Gateway, roots string) []*Example {
	var out []*Example
	eachRoute(m, g, func(l int, match *ir.Match, _ *ir.Service) {
		methods := writing
		if match.Method != "" {
			methods = []string{match.Method}
		}
		for _, method := range methods {
			out = append(out, exampleOf(match, linked, g, l, method, "", roots))
		}
	})
	slices.SortStableFunc(out, func(a, b *Example) int { return cmp.Compare(a.extras(), b.extras()) })
	return out
}

// extras is how much there is to write besides method and URL.
func (e *Example) extras() int {
	n := len(e.Header)
	if e.Host != "" {
		n++
	}
	if e.flags != "" {
		n++
	}
	return n
}

// eachRoute calls yield with the routes to services, and each of the listeners at which they are, by its index.
func eachRoute(m *ir.Mesh, g *ir.Gateway, yield func(listener int, match *ir.Match, callee *ir.Service)) {
	for l := range g.Listeners {
		if listener := &g.Listeners[l]; listener.To != nil || listener.RedirectTo != "" {
			continue
		}
		for i := range g.Routes {
			if r := &g.Routes[i]; !r.Answers() && r.Match.At(g.Listeners[l].Name) {
				yield(l, &r.Match, m.Service(r.To[0].Service))
			}
		}
	}
}

// exampleOf is a request that the route takes at a listener.
func exampleOf(match *ir.Match, linked, g *ir.Gateway, listener int, method, via, roots string) *Example {
	l := &g.Listeners[listener]
	host := match.Host
	if host == "" && len(l.Hosts) > 0 && !slices.Contains(l.Hosts, "*") {
		host = l.Hosts[0]
	}
	host = strings.Replace(host, "*", "www", 1)
	e := &Example{
		From: ir.GatewayRef(g.Name), Method: method, Host: host, Header: http.Header{},
		way: Way{From: ir.GatewayRef(g.Name), Scheme: "http", Host: host, Port: linked.Listeners[listener].Port},
	}
	var query []string
	for _, q := range match.Query {
		if q.Kind == ir.MatchExact || q.Kind == ir.MatchPrefix || q.Kind == ir.MatchPresent {
			query = append(query, url.QueryEscape(q.Name)+"="+url.QueryEscape(q.Value))
		}
	}
	if via != "" {
		query = append(query, "via="+via) // nothing in it that a query could not hold
	}
	for _, h := range match.Headers {
		if h.Kind == ir.MatchExact || h.Kind == ir.MatchPrefix || h.Kind == ir.MatchPresent {
			e.Header.Set(h.Name, h.Value)
		}
	}
	if e.path = match.Path.Value; match.Path.Kind == "" || match.Path.Kind == ir.MatchRegex {
		e.path = "/"
	}
	if len(query) > 0 {
		e.path += "?" + strings.Join(query, "&")
	}
	at := join(g.Address, l.Port)
	if l.TLS == nil {
		e.way.Host = cmp.Or(host, g.Address)
		e.URL = "http://" + at + e.path
		return e
	}
	e.Host, e.way.Scheme, e.way.Host = "", "https", cmp.Or(host, "localhost") // as its certificate says
	e.URL = "https://" + authority(&e.way) + e.path
	e.flags = " --cacert " + Quote(roots) + " --connect-to " + Quote("::"+at)
	if l.TLS.ClientRoots != "" { // who signed the listener's own signed for clients, too
		own := filepath.Join(g.Proxy.SecretDirectory, l.TLS.Secret)
		e.flags += " --cert " + Quote(filepath.Join(own, svid.CertificateFile)) + " --key " +
			Quote(filepath.Join(own, svid.KeyFile))
	}
	return e
}

// authority is the host of a URL that goes that way, and its port where that is not the scheme's own.
func authority(w *Way) string {
	own := Way{Scheme: w.Scheme}
	if w.port() == own.port() {
		return w.Host
	}
	return join(w.Host, w.port())
}

// allowedCalls are requests that services let in from those that use them: those of many hops first.
func allowedCalls(m *ir.Mesh) []*Example {
	var out []*Example
	hops := map[*Example]int{}
	eachUse(m, func(s, callee *ir.Service, port *ir.Port) {
		method, path, ok := letIn(callee, s.Name)
		if !ok {
			return
		}
		chain := longestChain(m, callee, []string{s.Name})
		e := callOf(s, callee, port, method, path+"?via="+strings.Join(chain, ","))
		hops[e] = len(chain)
		out = append(out, e, callOf(s, callee, port, method, path))
	})
	slices.SortStableFunc(out, func(a, b *Example) int { return cmp.Compare(hops[b], hops[a]) })
	return out
}

// deniedCalls are requests that services might deny: to those that their sender uses, and then to others.
func deniedCalls(m *ir.Mesh) []*Example {
	var out []*Example
	eachUse(m, func(s, callee *ir.Service, port *ir.Port) {
		for _, method := range writing {
			out = append(out, callOf(s, callee, port, method, "/"))
		}
	})
	for _, s := range m.Services {
		for _, callee := range m.Services {
			used := slices.ContainsFunc(s.Uses, func(u ir.Use) bool { return !u.External && u.To == callee.Name })
			i := slices.IndexFunc(callee.Ports, func(p ir.Port) bool { return p.Protocol.IsHTTP() })
			if i >= 0 && !used && s != callee {
				out = append(out, callOf(s, callee, &callee.Ports[i], http.MethodGet, "/"))
			}
		}
	}
	return out
}

// eachUse calls yield with the services that use others, and the ports of HTTP that they call.
func eachUse(m *ir.Mesh, yield func(s, callee *ir.Service, port *ir.Port)) {
	for _, s := range m.Services {
		for i := range s.Uses {
			for _, name := range s.Uses[i].Ports {
				if s.Uses[i].External {
					continue
				}
				if to := m.Service(s.Uses[i].To); to.Port(name).Protocol.IsHTTP() {
					yield(s, to, to.Port(name))
				}
			}
		}
	}
}

// callOf is a request of a service to another one.
func callOf(s, callee *ir.Service, port *ir.Port, method, path string) *Example {
	e := &Example{
		From: ir.ServiceRef(s.Name), Method: method, path: strings.TrimSuffix(path, "?via="),
		way: Way{From: ir.ServiceRef(s.Name), Scheme: "http", Host: callee.Name, Port: port.Number},
	}
	e.URL = "http://" + authority(&e.way) + e.path
	return e
}

// longestChain are the steps of the longest chain of requests that starts at
// the service, without going through one twice.
func longestChain(m *ir.Mesh, from *ir.Service, through []string) []string {
	through = append(slices.Clone(through), from.Name)
	var longest []string
	for i := range from.Uses {
		use := &from.Uses[i]
		if use.External || slices.Contains(through, use.To) {
			continue
		}
		callee := m.Service(use.To)
		step, ok := stepTo(callee, from.Name)
		if !ok {
			continue
		}
		if chain := append([]string{step}, longestChain(m, callee, through)...); len(chain) > len(longest) {
			longest = chain
		}
	}
	return longest
}

// stepTo is a request that the callee lets in from the caller, as a step of a chain.
func stepTo(callee *ir.Service, caller string) (string, bool) {
	method, path, ok := letIn(callee, caller)
	step := callee.Name
	if method != http.MethodGet {
		step += ":" + method
	}
	if path != "/" {
		step += ":" + path
	}
	return step, ok
}

// letIn is the method and path of a request that the callee lets in from the caller.
func letIn(callee *ir.Service, caller string) (method, path string, ok bool) {
	for i := range callee.Allow {
		rule := &callee.Allow[i]
		if !slices.ContainsFunc(rule.From,
			func(p ir.Peer) bool { return p.Kind == ir.KindService && p.Name == caller }) ||
			!slices.ContainsFunc(callee.Ports,
				func(p ir.Port) bool { return p.Protocol.IsHTTP() && rule.Covers(p.Name) }) {
			continue
		}
		method, path = http.MethodGet, "/"
		if len(rule.Methods) > 0 {
			method = rule.Methods[0]
		}
		if len(rule.Paths) > 0 {
			path = strings.Replace(rule.Paths[0], "*", "example", 1)
		}
		return method, path, true
	}
	return "", "", false
}

// try sends the request and notes what came of it.
func (r *Running) try(ctx context.Context, e *Example) int {
	client, base, err := r.Client(e.way)
	if err != nil {
		return 0
	}
	defer client.CloseIdleConnections()
	sent, err := http.NewRequestWithContext(ctx, e.Method, base+e.path, nil)
	if err != nil {
		return 0
	}
	sent.Host, sent.Header = authority(&e.way), e.Header.Clone()
	answer, err := client.Do(sent)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0
	}
	e.Status, e.Hops = answer.StatusCode, nil
	var report app.Report
	if json.Unmarshal(body, &report) == nil && report.Service != "" {
		for _, hop := range report.Hops() {
			e.Hops = append(e.Hops, strings.TrimSuffix(hop.Service+" "+hop.Version, " "+onlyInstance))
		}
	}
	return e.Status
}
