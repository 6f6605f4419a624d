package replay

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/logs"
)

// entry is where a request came into the mesh: at a listener of a gateway, or, as its zero value, at a member's proxy.
type entry struct {
	name string
	port uint16
	tls  bool
}

// entriesOf are the listeners of a gateway at which the request of a line may have come, by its host; for a request of
// others the zero value alone.
func entriesOf(m *ir.Mesh, line *logs.Line) []entry {
	if m == nil || line.Kind != series.ClientHTTP {
		return []entry{{}}
	}
	from, known := logs.Sender(m, line.Caller, line.Callee)
	if !known || from.Kind != ir.KindGateway {
		return []entry{{}}
	}
	var serving, redirecting, others []entry
	named := try.Request{}
	if named.ParseURL("http://"+line.Host) != nil {
		return []entry{{}}
	}
	host := strings.ToLower(named.Host)
	for i := range m.Gateway(from.Name).Listeners {
		l := &m.Gateway(from.Name).Listeners[i]
		if l.To != nil {
			continue
		}
		e := entry{l.Name, l.Port, l.TLS != nil}
		serves := slices.ContainsFunc(l.Hosts, func(h string) bool { return ir.HostCovers(h, host) })
		switch {
		case !serves:
			others = append(others, e)
		case l.RedirectTo != "":
			redirecting = append(redirecting, e)
		default:
			serving = append(serving, e)
		}
	}
	for _, list := range [][]entry{serving, redirecting, others} {
		if len(list) > 0 {
			return list
		}
	}
	return nil
}

// requestOf is the request that a line is of; false when the mesh has no such caller or callee.
func requestOf(m *ir.Mesh, line *logs.Line, at entry) (q try.Request, known bool) {
	q = try.Request{Method: line.Method, Partial: true}
	q.IP, _ = netip.ParseAddr(line.Client) // or none
	port, err := strconv.ParseUint(line.Port, 10, 16)
	if err != nil && line.Port != "" {
		return q, false
	}
	path := line.Path
	if line.Query != "" {
		path += "?" + line.Query
	}
	switch line.Kind {
	case series.ClientTCP:
		q.From, known = logs.Sender(m, line.Caller, line.Callee)
		q.Method, q.Scheme, q.Host, q.Port, q.Path = "CONNECT", "tcp", line.Callee, uint16(port), "/"
		return q, known
	case series.ClientHTTP:
		if q.From, known = logs.Sender(m, line.Caller, line.Callee); !known || q.ParseURL("http://"+line.Host+path) != nil {
			return q, false
		}
		if q.From.Kind == ir.KindGateway {
			if q.Authority, q.Port = line.Host, at.port; at.tls {
				q.Scheme = "https"
			}
			return q, true
		}
		if bound(m.Service(q.From.Name), line.Callee) { // whatever host it names
			q.Authority, q.Host, q.Port = q.HostHeader(), line.Callee, uint16(port)
		} else if q.Port == 0 {
			q.Authority, q.Port = q.Host, uint16(port)
		}
		return q, true
	case series.ServerHTTP, series.ServerTCP:
		q.From = try.Sender{Kind: try.Outside}
		if line.Caller != "" {
			q.From = try.Sender{Kind: ir.KindIdentity, Name: line.Caller}
		}
		q.Scheme, q.Host, q.Port, q.Authority, q.Path = "http", line.Callee, uint16(port), line.Host, path
		if line.Kind == series.ServerTCP {
			q.Method, q.Scheme, q.Authority, q.Path = "CONNECT", "tcp", "", "/"
		}
		return q, true
	}
	return q, false
}

// Requests are those of which a line may be in a mesh: one, or at a gateway one for each listener at which it may have
// come; none when the mesh has no such caller or callee.
func Requests(m *ir.Mesh, line *logs.Line) (out []try.Request) {
	for _, e := range entriesOf(m, line) {
		if q, known := requestOf(m, line, e); known {
			out = append(out, q)
		}
	}
	return out
}

// bound reports whether a service calls that callee at an address of its own.
func bound(s *ir.Service, callee string) bool {
	plain, _, _ := strings.Cut(callee, ".")
	return s != nil && slices.ContainsFunc(s.Uses, func(u ir.Use) bool {
		return (u.To == callee || u.To == plain) && len(u.Binds) > 0
	})
}

// followed reports whether the mesh has the caller and the callee of a line.
func (r *Replay) followed(line *logs.Line) bool {
	m := r.then
	if m == nil {
		m = r.now
	}
	return slices.ContainsFunc(entriesOf(m, line), func(e entry) bool {
		_, known := requestOf(m, line, e)
		return known
	})
}
