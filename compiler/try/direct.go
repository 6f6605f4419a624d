package try

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
)

// peerOf is who has that identity, as rules know callers: a member of the mesh, or somebody else. Services that share a
// service account are told apart by no rule.
func peerOf(m *ir.Mesh, identity string) ir.Peer {
	id, _ := spiffeid.FromString(identity) // what is not an ID is nobody's
	if members := m.Members(id); len(members) == 1 {
		return members[0]
	}
	return ir.Peer{Kind: ir.KindIdentity, Identity: id}
}

// direct follows a request of somebody who comes to the proxy of a service past every other: without an identity, or
// with one.
func (r *run) direct() error {
	if r.request.Scheme == udp {
		return r.reachesUDP()
	}
	s := r.mesh.Service(r.named())
	if s == nil {
		return fmt.Errorf("the mesh %s has no service %s; to try a request to a gateway, use --from gateway:NAME",
			r.mesh.Name, r.request.Host)
	}
	return r.directTo(s)
}

// directTo is direct to that service.
func (r *run) directTo(s *ir.Service) error {
	at := ir.ServiceRef(s.Name).String()
	if s.Proxy.MetricsPort != 0 && r.request.Port == s.Proxy.MetricsPort {
		return r.metrics(at, s)
	}
	if len(s.Ports) == 1 && r.request.Port == 0 && r.me.Kind != Outside {
		r.request.named(s.Ports[0].Number)
	}
	var port *ir.Port
	for i := range s.Ports {
		if s.Ports[i].Number == r.request.port() {
			port = &s.Ports[i]
		}
	}
	if port == nil {
		r.step(at, s.Pos, "has no port %d", r.request.port())
		r.answer(at, 0)
		return nil
	}
	if port.Open {
		r.step(at, port.Pos, "allows everything on port %s, which has mtls \"off\"", port.Name)
		r.Reaches = []Reach{{
			Service: s.Name, Port: port.Name, Percent: 100, Host: r.request.HostHeader(),
			Path: r.request.Path,
		}}
		return nil
	}
	if r.me.Kind == Outside {
		return r.outside(at, s, port)
	}
	if !strings.HasPrefix(r.me.Identity.String(), r.mesh.Domain()) &&
		!slices.ContainsFunc(s.Allow, func(rule ir.Rule) bool { return rule.Holds(port) && r.isFrom(&rule, false) }) {
		r.step(at, s.Pos, "cannot authenticate the caller: no rule names it, and it is of another trust domain")
		r.answer(at, 0)
		return nil
	}
	if !port.Protocol.IsHTTP() {
		r.connect(s, port)
		return nil
	}
	if q, good := r.read(at, s.Proxy.Requests.Inside()); good {
		r.enters(at, s, port, q)
	}
	return nil
}

// enters ends at the rules of the service.
func (r *run) enters(at string, s *ir.Service, port *ir.Port, q *message) {
	if refused := r.letIn(s, port, q); refused.status != 0 {
		r.Answer = &Answer{By: at, Status: refused.status, Transient: refused.transient}
		return
	}
	r.arrives(s, port, q)
}

func (r *run) arrives(s *ir.Service, port *ir.Port, q *message) {
	r.Reaches = []Reach{{Service: s.Name, Port: port.Name, Percent: 100, Host: q.authority, Path: q.withQuery(q.path)}}
}

// outside follows a request without an identity.
func (r *run) outside(at string, s *ir.Service, port *ir.Port) error {
	probes := s.ProbesOf(s.InstancePort(port))
	switch {
	case !port.Protocol.IsHTTP() && s.TakesPlaintext(port):
		r.step(at, s.Pos, "takes connections without an identity on port %s", port.Name)
		r.connect(s, port)
		return nil
	case !s.Plaintext && len(probes) == 0 || !port.Protocol.IsHTTP() || r.request.Scheme == "https":
		r.step(at, s.Pos, "requires mutual TLS, with a certificate of the mesh")
		r.answer(at, 0)
		r.Write = fmt.Sprintf(
			"services.%s: mtls: \"permissive\", and {from: plaintext: true} in allow; or a gateway in between", s.Name)
		return nil
	}
	q, good := r.read(at, s.Proxy.Requests)
	if !good {
		return nil
	}
	for i := range probes {
		p := &probes[i]
		path, _, _ := strings.Cut(p.Path, "?")
		http := p.Kind == ir.HealthHTTP && (q.method == "GET" || q.method == "HEAD") && q.path == path
		if http || p.Kind == ir.HealthGRPC && q.method == "POST" && q.path == ir.GRPCHealthPath {
			r.step(at, p.Pos, "allowed as a probe")
			r.arrives(s, port, q)
			return nil
		}
	}
	if !s.Plaintext {
		r.step(at, s.Pos, "allows only probes without mutual TLS")
		r.answer(at, 403)
		return nil
	}
	r.enters(at, s, port, q)
	return nil
}
