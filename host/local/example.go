package local

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
)

// Example is a request to a gateway, and what became of it when it was tried.
type Example struct {
	Method, URL string
	// Header is what the request carries besides.
	Header http.Header
	// Host is what it names instead of the URL's; empty for that.
	Host string
	// Status of the answer.
	Status int
	// Hops are the services that the request went through, with the version where
	// there are some: "checkout v1".
	Hops []string
}

// Curl is the request as a line of shell.
func (e *Example) Curl() string {
	line := "curl"
	if e.Method != http.MethodGet {
		line += " -X " + e.Method
	}
	if e.Host != "" {
		line += " -H " + quote("Host: "+e.Host)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Header)) {
		line += " -H " + quote(strings.ToLower(name)+": "+e.Header.Get(name))
	}
	return line + " " + quote(e.URL)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Examples are a request that works, through as many hops as can be, and one
// that the service which it is for denies. Each was tried; nil when the mesh
// has none.
func (m *Mesh) Examples(ctx context.Context) (works, denied *Example) {
	placed := m.Placed()
	return m.first(ctx, working(placed), http.StatusOK), m.first(ctx, refused(placed), http.StatusForbidden)
}

// first is the first example that is answered with the status.
func (m *Mesh) first(ctx context.Context, list []*Example, status int) *Example {
	for _, e := range list {
		if m.try(ctx, e) == status {
			return e
		}
	}
	return nil
}

// working are requests that should be let in: those of many hops first, and of
// these the plainest.
func working(m *ir.Mesh) []*Example {
	var out []*Example
	hops := map[*Example]int{}
	eachRoute(m, func(base string, match *ir.Match, callee *ir.Service) {
		chain := longestChain(m, callee, nil)
		method := cmp.Or(match.Method, http.MethodGet)
		through, plain := exampleOf(match, base, method, strings.Join(chain, ",")), exampleOf(match, base, method, "")
		hops[through] = len(chain)
		out = append(out, through, plain)
	})
	slices.SortStableFunc(out, func(a, b *Example) int {
		return cmp.Or(cmp.Compare(hops[b], hops[a]), cmp.Compare(a.extras(), b.extras()))
	})
	return out
}

// refused are requests that a gateway would route and a service might deny.
func refused(m *ir.Mesh) []*Example {
	var out []*Example
	eachRoute(m, func(base string, match *ir.Match, _ *ir.Service) {
		methods := []string{http.MethodDelete, http.MethodPut, http.MethodPost, http.MethodGet}
		if match.Method != "" {
			methods = []string{match.Method}
		}
		for _, method := range methods {
			out = append(out, exampleOf(match, base, method, ""))
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
	return n
}

func eachRoute(m *ir.Mesh, yield func(base string, match *ir.Match, callee *ir.Service)) {
	for _, g := range m.Gateways {
		plain := slices.IndexFunc(g.Listeners, func(l ir.Listener) bool {
			return l.To == nil && l.TLS == nil && l.RedirectTo == ""
		})
		if plain < 0 {
			continue
		}
		for i := range g.Routes {
			if r := &g.Routes[i]; !r.Answers() && r.Match.At(g.Listeners[plain].Name) {
				yield("http://"+join(g.Address, g.Listeners[plain].Port), &r.Match, m.Service(r.To[0].Service))
			}
		}
	}
}

// exampleOf is a request that the route takes.
func exampleOf(match *ir.Match, base, method, via string) *Example {
	e := &Example{Method: method, Host: strings.Replace(match.Host, "*", "www", 1), Header: http.Header{}}
	path := match.Path.Value
	if match.Path.Kind == "" || match.Path.Kind == ir.MatchRegex {
		path = "/"
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
	e.URL = base + path
	if len(query) > 0 {
		e.URL += "?" + strings.Join(query, "&")
	}
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

// stepTo is a request that the callee lets in from the caller.
func stepTo(callee *ir.Service, caller string) (string, bool) {
	for i := range callee.Allow {
		rule := &callee.Allow[i]
		if !slices.ContainsFunc(rule.From,
			func(p ir.Peer) bool { return p.Kind == ir.KindService && p.Name == caller }) ||
			!slices.ContainsFunc(callee.Ports,
				func(p ir.Port) bool { return p.Protocol.IsHTTP() && rule.Covers(p.Name) }) {
			continue
		}
		step := callee.Name
		if len(rule.Methods) > 0 && rule.Methods[0] != http.MethodGet {
			step += ":" + rule.Methods[0]
		}
		if len(rule.Paths) > 0 {
			step += ":" + strings.Replace(rule.Paths[0], "*", "example", 1)
		}
		return step, true
	}
	return "", false
}

// try sends the request and notes what came of it.
func (m *Mesh) try(ctx context.Context, e *Example) int {
	r, err := http.NewRequestWithContext(ctx, e.Method, e.URL, nil)
	if err != nil {
		return 0
	}
	r.Host, r.Header = e.Host, e.Header.Clone()
	answer, err := m.http.Do(r)
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
