package try

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Trial is what happens to a request.
type Trial struct {
	From    Sender `json:"from"`
	Request string `json:"request"`
	// Steps are in their order, each with what decided it.
	Steps []Step `json:"steps"`
	// Answer is what a proxy answers by itself; nil when the request reaches an application, or
	// more than one outcome is possible.
	Answer *Answer `json:"answer,omitempty"`
	// Reaches are where its copies of chance go: one, or by weights several.
	Reaches []Reach `json:"reaches,omitempty"`
	// Undecided are what the answer depends on besides, and cannot be told from the mesh. The way that is told is the
	// one on which they let the request in; Outcomes, where they were asked for, are the ends of all.
	Undecided []string  `json:"undecided,omitempty"`
	Outcomes  []Outcome `json:"outcomes,omitempty"`
	// Write is what would have to be written for the request to be let in; "" when it is.
	Write string `json:"write,omitempty"`
	// Routes are those by which it goes: none, one, or a gateway's and then the service's own. Policy is the
	// time and the tries that it is given; nil when nobody waits for it.
	Routes []*ir.Route `json:"-"`
	Policy *ir.Policy  `json:"-"`
	// Rules are those that let it in or denied it.
	Rules []*ir.Rule `json:"-"`
}

// Step is something that happens to the request.
type Step struct {
	// At is whose proxy does it: "service frontend".
	At   string          `json:"at"`
	Does string          `json:"does"`
	Pos  source.Position `json:"source,omitzero"`
	// Timing is set for how long is waited and how often is tried.
	Timing bool `json:"-"`
}

// Answer of a proxy. Status 0 is a connection that is closed without one, or a datagram that is dropped.
type Answer struct {
	By string `json:"by"`
	// Dropped is set where no proxy answers, but By, or the network in front of it, drops a datagram.
	Dropped bool `json:"dropped,omitempty"`
	Status  int  `json:"status,omitempty"`
	// GRPCStatus is that of an answer of gRPC, whose Status is 200; 0 for none, or a good one.
	GRPCStatus int    `json:"grpcStatus,omitempty"`
	Location   string `json:"location,omitempty"`
	Body       string `json:"body,omitempty"`
	// Transient is set when it refuses for load or by chance a request that is let in otherwise.
	Transient bool `json:"transient,omitempty"`
}

// allows reports whether it is an answer to a request that is let in.
func (a *Answer) allows() bool { return a.Status != 0 && a.Status < 400 && a.GRPCStatus == 0 }

// Reach is a place where the request may go.
type Reach struct {
	Service  string `json:"service,omitempty"`
	External string `json:"external,omitempty"`
	Version  string `json:"version,omitempty"`
	Port     string `json:"port"`
	// Percent of such requests.
	Percent float64 `json:"percent"`
	Host    string  `json:"host,omitempty"`
	Path    string  `json:"path,omitempty"` // with its query
	// Address is where a connection below HTTP goes that was made to an address, IP:PORT; "" where it was made by a
	// name. Of a request for one instance it is the host that names it. Of what passes undeclared it is the address
	// that was asked for, HOST:PORT, and neither Service nor External is set.
	Address string `json:"address,omitempty"`
	// Refused is the status with which its proxy answers instead; 0 when it lets the request in.
	Refused int `json:"refused,omitempty"`
	// Transient is set when that is for load alone.
	Transient bool `json:"transient,omitempty"`
}

// Allowed reports whether the request is let in wherever it may go.
func (t *Trial) Allowed() bool {
	if t.Answer != nil && !t.Answer.allows() {
		return false
	}
	for _, r := range t.Reaches {
		if r.Refused != 0 {
			return false
		}
	}
	return true
}

// run is a trial that is going on.
type run struct {
	*Trial
	mesh    *ir.Mesh
	request *Request
	// me is who sends it, by the identity that the callee's proxy sees: nobody, when its kind is [Outside].
	me ir.Peer
	// client is where the client of a gateway is, as its listener sees it; the zero value when that is not known.
	client netip.Addr
	// mayShow is set where a listener asks for a certificate.
	mayShow bool
	// mayBeClient is set for a request with a key or a password, of which nobody here knows whose it is.
	mayBeClient bool
	// settled are headers of which it is known what proxies write there: what the message says.
	settled []string
	// at is the address that a connection below HTTP leads to, IP:PORT; "" for one made by a name. Of a request by HTTP
	// for one instance it is the host that names it.
	at string
	// branch is the way that is followed through what the mesh does not decide; nil for the one that lets the request
	// in.
	branch *branch
}

// step tells what happens.
func (r *run) step(at string, pos source.Position, format string, args ...any) {
	r.Steps = append(r.Steps, Step{At: at, Does: fmt.Sprintf(format, args...), Pos: pos})
}

// The beginnings of what outcomes depend on that somebody asks for who guards something.
const (
	guardService     = "the answer of the authorization service "
	guardCertificate = "whether the client shows a certificate"
	guardToken       = "whether the token in its header authorization is valid"
	guardClient      = "whose the key or the password of the client is"
)

// IsGuard reports whether something in [Trial.Undecided] is asked for before a request is let in.
func IsGuard(undecided string) bool {
	return strings.HasPrefix(undecided, guardService) || strings.HasPrefix(undecided, guardCertificate) ||
		strings.HasPrefix(undecided, guardToken) || strings.HasPrefix(undecided, guardClient)
}

// undecided tells what the outcome depends on, once.
func (r *run) undecided(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(r.Undecided, text) {
		r.Undecided = append(r.Undecided, text)
	}
}

// answer is what a proxy answers.
func (r *run) answer(by string, status int) { r.Answer = &Answer{By: by, Status: status} }

// Try follows a request through a mesh. An error says that there is no such request or sender.
func Try(m *ir.Mesh, request Request) (*Trial, error) { return follow(m, request, nil) }

// follow is Try in one branch.
func follow(m *ir.Mesh, request Request, b *branch) (*Trial, error) {
	if err := request.check(); err != nil {
		return nil, err
	}
	r := &run{Trial: &Trial{From: request.From}, mesh: m, request: &request, branch: b}
	host := bracketed(request.Host)
	if request.Port != 0 {
		host = fmt.Sprintf("%s:%d", host, request.Port)
	}
	r.Request = fmt.Sprintf("%s %s://%s%s", request.Method, request.Scheme, host, request.Path)
	if request.Scheme == tcp || request.Scheme == udp {
		r.Request = request.Scheme + "://" + net.JoinHostPort(request.Host, strconv.Itoa(int(request.Port)))
	}
	switch request.From.Kind {
	case ir.KindService:
		s := m.Service(request.From.Name)
		if s == nil {
			return nil, m.Missing("service", request.From.Name)
		}
		r.me = s.Peer()
		if request.Scheme == udp {
			return r.Trial, r.sends(s)
		}
		if err := r.fromService(s); err != nil {
			return nil, err
		}
	case ir.KindGateway:
		g := m.Gateway(request.From.Name)
		if g == nil {
			return nil, m.Missing("gateway", request.From.Name)
		}
		if request.Scheme == udp {
			return nil, errors.New("a gateway neither takes nor sends datagrams, but for HTTP/3: write https://")
		}
		if request.Scheme == tcp {
			return nil, errors.New("a connection to a gateway is tried with the host of its listener: write http:// or https://")
		}
		r.me = g.Peer()
		r.fromGateway(g)
	case ir.KindIdentity:
		r.me = peerOf(m, request.From.Name)
		if err := r.direct(); err != nil {
			return nil, err
		}
	default:
		r.me = ir.Peer{Kind: Outside}
		if err := r.direct(); err != nil {
			return nil, err
		}
	}
	return r.Trial, nil
}

// read is the request as a proxy reads it that takes those forms; false when it refuses it for its form.
func (r *run) read(at string, forms ir.Forms) (*message, bool) { return r.readAs(at, forms, false) }

// readAs is read by a proxy that leaves paths, methods and names of headers as they are written, or makes them normal.
func (r *run) readAs(at string, forms ir.Forms, written bool) (*message, bool) {
	path, query, why, unsure := normalized(r.request.Path, forms.EncodedSlashes)
	if written {
		path, query, why, unsure = asWritten(r.request.Path)
		forms = forms.ToExternals()
	}
	if why != "" {
		r.step(at, source.Position{}, "refuses %s", why)
		r.answer(at, 400)
		return nil, false
	}
	if unsure != "" {
		r.undecided("%s, which clients and proxies treat differently", unsure)
		if r.branch != nil {
			r.branch.open = true
		}
	}
	if !written && strings.ToUpper(r.request.Method) != r.request.Method {
		r.step(at, source.Position{}, "refuses the method %s: some applications read small letters as capitals",
			r.request.Method)
		r.answer(at, 400)
		return nil, false
	}
	headers, refused := withUnderscores(r.request.Headers, forms.Underscores)
	if refused != "" {
		r.step(at, source.Position{}, "refuses the header %s: some applications read an underscore as a dash", refused)
		r.answer(at, 400)
		return nil, false
	}
	if path != strings.SplitN(r.request.Path, "?", 2)[0] {
		r.step(at, source.Position{}, "reads the path as %s", path)
	}
	return &message{
		method: r.request.Method, host: strings.TrimSuffix(r.request.Host, "."),
		authority: withoutDot(r.request.HostHeader()), path: path, query: query,
		headers: headers,
	}, true
}

// withUnderscores are the headers that a proxy takes; refused is one with an underscore in its name for which it
// refuses all.
func withUnderscores(headers []ir.Header, underscores ir.Underscores) (out []ir.Header, refused string) {
	if underscores == ir.UnderscoresAllow {
		return headers, ""
	}
	for _, h := range headers {
		switch {
		case !strings.Contains(h.Name, "_"):
			out = append(out, h)
		case underscores == "":
			return nil, h.Name
		}
	}
	return out, ""
}

// withQuery is a path with its query.
func (m *message) withQuery(path string) string { return path + m.query }
