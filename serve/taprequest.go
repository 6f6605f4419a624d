package serve

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/heard"
)

// TapRequest is which requests an operator looks at: those that are all that is written.
type TapRequest struct {
	// From is who sends them, a service or a gateway; To is where they go, a service or an external. One of the two may
	// be empty. "service NAME" and the like tell members of one name apart.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// At is whose proxy shows them: "caller", which knows the route, or "callee", which knows the rule. By default the
	// caller's where it is named, or where the callee has no proxy.
	At string `json:"at,omitempty"`
	// Port is the number or the name of a port of the callee; empty for all.
	Port string `json:"port,omitempty"`
	// Path begins the path, Method and Route are equal; empty for any.
	Path   string `json:"path,omitempty"`
	Method string `json:"method,omitempty"`
	Route  string `json:"route,omitempty"`
	// Status is one ("503"), a class ("5xx") or a range ("500-504"). A request without an answer has 0.
	Status string `json:"status,omitempty"`
	// Headers and Query ask for the headers of requests that a tap can show, and for their query strings.
	Headers bool `json:"headers,omitempty"`
	Query   bool `json:"query,omitempty"`
}

// TapEvent is a line that a tap shows, or news of the tap.
type TapEvent struct {
	// Proxy is the node that shows it, Time when the request began, and Fields are those of a line of the access log.
	Proxy  string            `json:"proxy,omitempty"`
	Time   time.Time         `json:"time,omitzero"`
	Fields map[string]string `json:"fields,omitempty"`
	// Tapped is set once all proxies know of the tap: how many connected ones there are.
	Tapped *int `json:"tapped,omitempty"`
	// Omitted is how many lines were left out since the last time.
	Omitted uint64 `json:"omitted,omitempty"`
	// Error is why the tap ends, where the protocol has no place for it.
	Error string `json:"error,omitempty"`
}

// tapped is a request whose names were found in the mesh. Zero values are any.
type tapped struct {
	TapRequest
	atCaller bool
	from     spiffeid.ID
	to       string // as metrics name the callee
	service  spiffeid.ID
	ports    []string // numbers
	status   statusRange
}

type statusRange struct{ from, to int }

// The ends of an edge, as TapRequest.At names them.
const (
	atCaller = "caller"
	atCallee = "callee"
)

// resolve finds what is named.
func (r *TapRequest) resolve(m *ir.Mesh) (*tapped, error) {
	out := &tapped{TapRequest: *r}
	if r.From == "" && r.To == "" {
		return nil, errors.New("name who sends the requests, where they go, or both")
	}
	if r.From != "" {
		if err := out.sender(m, r.From); err != nil {
			return nil, err
		}
	}
	if r.To != "" {
		if err := out.receiver(m, r.To, r.Port); err != nil {
			return nil, err
		}
	} else if r.Port != "" {
		return nil, errors.New("a port is that of a callee: name where the requests go")
	}
	switch r.At {
	case "":
		out.atCaller = r.From != "" || out.service.IsZero()
	case atCaller, atCallee:
		out.atCaller = r.At == atCaller
	default:
		return nil, fmt.Errorf("%q is not %s or %s", heard.Line(r.At, 20), atCaller, atCallee)
	}
	if !out.atCaller && out.service.IsZero() {
		return nil, errors.New("only a service has a proxy that lets requests in: name it as where they go")
	}
	var err error
	out.status, err = statusOf(r.Status)
	return out, err
}

// named is a name with the kind that it is written with, if any.
func named(text string) (kind ir.MemberKind, name string) {
	if before, after, both := strings.Cut(text, " "); both {
		return ir.MemberKind(before), after
	}
	return "", text
}

func (t *tapped) sender(m *ir.Mesh, text string) error {
	kind, name := named(text)
	if s := m.Service(name); s != nil && kind != ir.KindGateway {
		t.from = s.Identity
	} else if g := m.Gateway(name); g != nil && kind != ir.KindService {
		t.from = g.Identity
	} else {
		return fmt.Errorf("the mesh has no service or gateway %q", heard.Line(text, 100))
	}
	return nil
}

func (t *tapped) receiver(m *ir.Mesh, text, port string) error {
	kind, name := named(text)
	var ports []ir.Port
	if s := m.Service(name); s != nil && kind != ir.KindExternal {
		t.to, t.service, ports = envoy.CalleeLabel(&s.Upstream), s.Identity, s.Ports
	} else if e := m.External(name); e != nil && kind != ir.KindService {
		t.to, ports = e.Name, e.Ports
	} else {
		return fmt.Errorf("the mesh has no service or external %q", heard.Line(text, 100))
	}
	for _, p := range ports {
		number := strconv.Itoa(int(p.Number))
		if port == "" || port == p.Name || port == number {
			t.ports = append(t.ports, number)
		}
	}
	if t.ports == nil {
		return fmt.Errorf("%s has no port %q", text, heard.Line(port, 50))
	}
	return nil
}

// statusOf reads a status, a class or a range.
func statusOf(text string) (statusRange, error) {
	every := statusRange{0, envoy.TapMaxStatus}
	if text == "" {
		return every, nil
	}
	if class, ok := strings.CutSuffix(text, "xx"); ok {
		if n, err := strconv.Atoi(class); err == nil && n >= 1 && n <= 5 {
			return statusRange{n * 100, n*100 + 99}, nil
		}
	}
	first, last, two := strings.Cut(text, "-")
	if !two {
		last = first
	}
	from, err := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err != nil || err2 != nil || from < 0 || from > to || to > envoy.TapMaxStatus {
		return every, fmt.Errorf("%q is not a status (503), a class (5xx) or a range (500-504)", heard.Line(text, 20))
	}
	return statusRange{from, to}, nil
}

// http reports whether only requests of HTTP are looked at.
func (t *tapped) http() bool {
	return cmp.Or(t.Path, t.Method, t.Route, t.Status) != ""
}

// keys are the keys of the runtime by which a proxy shows what is looked at; none of a proxy that does not.
func (t *tapped) keys(m *ir.Mesh, p *layered) (out []string) {
	if m == nil || !t.concerns(m, p) {
		return nil
	}
	http, tcp := envoy.OperatorClientHTTP, envoy.OperatorClientTCP
	if !t.atCaller {
		http, tcp = envoy.TapServerHTTP, envoy.TapServerTCP
	}
	kinds := []string{http, tcp}
	if t.http() {
		kinds = kinds[:1]
	}
	for i, kind := range kinds {
		if i == 0 && t.detailed() {
			out = append(out, envoy.TapDetailsKey(kind))
		} else {
			out = append(out, envoy.TapKey(kind))
		}
		if t.to == "" {
			out = append(out, envoy.TapEdge(kind, "", ""))
		}
		for _, port := range t.ports {
			out = append(out, envoy.TapEdge(kind, t.to, port))
		}
	}
	return out
}

// concerns reports whether a proxy is at the end that is looked at. Where no caller is named these are all that use
// the callee.
func (t *tapped) concerns(m *ir.Mesh, p *layered) bool {
	switch {
	case !t.atCaller:
		return p.identity == t.service
	case !t.from.IsZero():
		return p.identity == t.from
	}
	uses := func(list []ir.Use) bool {
		return slices.ContainsFunc(list, func(u ir.Use) bool {
			if u.External {
				return u.To == t.to
			}
			s := m.Service(u.To)
			return s != nil && envoy.CalleeLabel(&s.Upstream) == t.to
		})
	}
	if p.kind == ir.KindGateway {
		g := m.GatewayOf(p.name, p.identity)
		return g != nil && uses(g.Uses)
	}
	s := m.ServiceOf(p.name, p.identity)
	return s != nil && uses(s.Uses)
}

// shows reports whether a line is one of those.
func (t *tapped) shows(fields map[string]string) bool {
	kind := fields["kind"]
	client := kind == envoy.OperatorClientHTTP || kind == envoy.OperatorClientTCP
	if client != t.atCaller || !t.from.IsZero() && fields["caller"] != t.from.String() ||
		t.to != "" && (fields["callee"] != t.to || !slices.Contains(t.ports, fields["server.port"])) {
		return false
	}
	if kind == envoy.OperatorClientTCP || kind == envoy.TapServerTCP {
		return !t.http()
	}
	code, err := strconv.Atoi(fields["http.response.status_code"])
	return err == nil && t.detailed() == (fields[envoy.TapDetails] != "") && code >= t.status.from && code <= t.status.to &&
		strings.HasPrefix(fields["url.path"], t.Path) &&
		(t.Method == "" || strings.EqualFold(t.Method, fields["http.request.method"])) &&
		(t.Route == "" || t.Route == fields["http.route"])
}

// String says what is looked at, for the log.
func (r *TapRequest) String() string {
	var out []string
	for _, f := range [][2]string{
		{"from", r.From},
		{"to", r.To},
		{"at", r.At},
		{"port", r.Port},
		{"method", r.Method},
		{"path", r.Path},
		{"route", r.Route},
		{"status", r.Status},
	} {
		if f[1] != "" {
			out = append(out, f[0]+" "+heard.Line(f[1], 100))
		}
	}
	if r.Headers {
		out = append(out, "with headers")
	}
	if r.Query {
		out = append(out, "with query strings")
	}
	return strings.Join(out, ", ")
}
