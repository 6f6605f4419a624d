package verify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/diff"
)

// edge is a way by which requests of a member reach others, and a request that takes it.
type edge struct {
	test  *ir.Test
	trial *try.Trial
	// ends are the services where it arrives, or the external.
	ends     []ir.Ref
	protocol ir.Protocol
}

// edgesOf are the ways of a mesh: of each caller one for each route that its requests go by, and each callee.
// Whole is false when there may be more.
func edgesOf(m *ir.Mesh) (list []*edge, whole bool) {
	requests, whole := diff.Sorts(m)
	slices.SortStableFunc(requests, func(a, b try.Request) int {
		return cmp.Or(cmp.Compare(a.From.String(), b.From.String()), cmp.Compare(a.Port, b.Port),
			cmp.Compare(len(a.Headers), len(b.Headers)), cmp.Compare(len(a.Path), len(b.Path)),
			cmp.Compare(a.Host, b.Host))
	})
	known := map[string]bool{}
	for i := range requests {
		e := edgeOf(m, &requests[i])
		if e != nil && !known[e.way()] {
			known[e.way()] = true
			list = append(list, e)
		}
	}
	return list, whole
}

// edgeOf is the way of a request that is let in; nil for others.
func edgeOf(m *ir.Mesh, r *try.Request) *edge {
	trial, err := try.Try(m, *r)
	if err != nil || !trial.Allowed() || trial.Answer != nil || len(trial.Reaches) == 0 || trial.Policy == nil {
		return nil
	}
	if r.From.Kind == ir.KindService && m.Service(r.Host) == nil && trial.Reaches[0].External == "" {
		return nil // a further name of a service
	}
	e := &edge{trial: trial, test: &ir.Test{
		FromKind: r.From.Kind, From: r.From.Name, Scheme: r.Scheme, Host: r.Host, Port: r.Port, Method: r.Method,
		Path: r.Path, Headers: r.Headers,
	}}
	if r.Token != nil {
		e.test.Issuer, e.test.Claims = r.Token.Issuer, r.Token.Claims
	}
	for i := range trial.Reaches {
		reach := &trial.Reaches[i]
		end, port := ir.ServiceRef(reach.Service), (*ir.Port)(nil)
		if s := m.Service(reach.Service); s != nil {
			port = s.Port(reach.Port)
		} else if external := m.External(reach.External); external != nil {
			end, port = ir.ExternalRef(reach.External), external.Port(reach.Port)
		}
		if port == nil {
			return nil
		}
		e.protocol = port.Protocol
		if !slices.Contains(e.ends, end) {
			e.ends = append(e.ends, end)
		}
	}
	return e
}

// caller is who sends the request.
func (e *edge) caller() ir.Ref { return ir.Ref{Kind: e.test.FromKind, Name: e.test.From} }

// routes are the names of those that the request goes by.
func (e *edge) routes() (names []string) {
	for _, r := range e.trial.Routes {
		if r.Name != "" {
			names = append(names, r.Name)
		}
	}
	return names
}

// way names the edge: "frontend → checkout, route canary".
func (e *edge) way() string {
	var ends []string
	for _, end := range e.ends {
		ends = append(ends, end.Name)
	}
	text := e.test.From + " → " + strings.Join(ends, ", ")
	if routes := e.routes(); len(routes) > 0 {
		text += ", route " + strings.Join(routes, ", ")
	}
	return text
}
