package envoy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// pair is a caller and a callee, each with a real Envoy that runs from a file,
// and what stands around them.
type pair struct {
	authority *authority
	mesh      *ir.Mesh
	// bind is where the caller's application calls, by "CALLEE PORT".
	bind map[string]string
	// inbound is where the callee's proxy listens, by port.
	inbound map[string]string
	// deadlines are what the callee reads in grpc-timeout.
	deadlines chan string
	// free are ports that nobody has yet.
	free []uint16
}

// newPair starts everything. The callee "server" lets "client" in on all ports,
// on http only to /open/*. What answers for "impostor" has the certificate of
// "stranger", and for "genuine" its own.
func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{
		authority: newAuthority(t), bind: map[string]string{}, inbound: map[string]string{},
		deadlines: make(chan string, 1),
	}
	targets := p.applications(t)
	p.free = freePorts(t, 20)
	server, client := p.server(t, targets), p.service(t, "client")
	client.Workload.Endpoints = []ir.Endpoint{{Name: "a", Address: "127.0.0.1"}}
	p.mesh = &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic},
		Services: []*ir.Service{
			client, server, p.answeredBy(t, "genuine", "genuine"), p.answeredBy(t, "impostor", "stranger"),
		},
	}
	for _, callee := range p.mesh.Services[1:] {
		client.Uses = append(client.Uses, p.use(callee))
	}
	roots := filepath.Join(client.Proxy.CertificateDirectory, trustFile)
	for name, holder := range map[string]string{
		"api": "api.example", "wildcard": "*.example",
		"wrong": "elsewhere.example",
	} {
		p.mesh.Externals = append(p.mesh.Externals, p.external(t, name, holder, roots))
		client.Uses = append(client.Uses, p.useOfExternal(name))
	}
	sortByName(p.mesh.Externals, func(e *ir.External) string { return e.Name })
	slices.SortFunc(client.Uses, func(a, b ir.Use) int { return strings.Compare(a.To, b.To) })
	sortByName(p.mesh.Services, func(s *ir.Service) string { return s.Name })
	for _, name := range []string{"client", "server"} {
		boot, err := Bootstrap(p.mesh.ServiceScope(p.mesh.Service(name)), Options{Instance: "a"})
		if err != nil {
			t.Fatal(err)
		}
		start(t, boot)
	}
	return p
}

// next is a port that nobody has.
func (p *pair) next() uint16 {
	port := p.free[0]
	p.free = p.free[1:]
	return port
}

// service is one with explicit listeners and a certificate of its own.
func (p *pair) service(t *testing.T, name string) *ir.Service {
	t.Helper()
	s := &ir.Service{
		Upstream: ir.Upstream{Name: name, Namespace: "shop", Identity: identity(name), Explicit: true},
		Proxy:    proxy(ir.InterceptExplicit),
	}
	s.Proxy.AdminPort = p.next()
	s.Proxy.CertificateDirectory = p.authority.directory(t, s.Identity.String())
	return s
}

// server is the callee whose applications listen at those targets.
func (p *pair) server(t *testing.T, targets map[string]uint16) *ir.Service {
	t.Helper()
	endpoint := ir.Endpoint{Name: "a", Address: "127.0.0.1", Ports: map[string]uint16{}, Targets: targets, Weight: 1}
	server := p.service(t, "server")
	for _, port := range []ir.Port{
		{Name: "closed", Protocol: ir.TCP},
		{Name: "grpc", Protocol: ir.GRPC},
		{Name: "http", Protocol: ir.HTTP},
		{Name: "tcp", Protocol: ir.TCP},
	} {
		port.Number, port.Target = 1, 1
		endpoint.Ports[port.Name] = p.next()
		p.inbound[port.Name] = fmt.Sprintf("127.0.0.1:%d", endpoint.Ports[port.Name])
		server.Ports = append(server.Ports, port)
	}
	server.Workload.Endpoints = []ir.Endpoint{endpoint}
	server.Allow = []ir.Rule{
		{From: peers("client"), Ports: []string{"http"}, Methods: []string{"GET", "POST"}, Paths: []string{"/open/*"}},
		{From: peers("client"), Ports: []string{"grpc", "tcp"}},
	}
	return server
}

// answeredBy is a service whose instance has the certificate of the holder.
func (p *pair) answeredBy(t *testing.T, name, holder string) *ir.Service {
	t.Helper()
	s := p.service(t, name)
	s.Ports = []ir.Port{{Name: "http", Number: 1, Target: 1, Protocol: ir.HTTP}}
	s.Workload.Endpoints = []ir.Endpoint{{
		Name: "a", Address: "127.0.0.1", Weight: 1,
		Ports: map[string]uint16{"http": p.serverWith(t, identity(holder).String())},
	}}
	return s
}

// use is the client's of all ports of a service, each at an address of its own.
func (p *pair) use(callee *ir.Service) ir.Use {
	use := ir.Use{To: callee.Name, Binds: map[string]string{}, Traffic: ir.Traffic{
		Timeout:     seconds(0.5),
		IdleTimeout: seconds(2),
	}}
	for _, port := range callee.Ports {
		bind := fmt.Sprintf("127.0.0.1:%d", p.next())
		use.Ports = append(use.Ports, port.Name)
		use.Binds[port.Name], p.bind[callee.Name+" "+port.Name] = bind, bind
	}
	return use
}

// external is a host outside the mesh that answers with a certificate for the holder.
func (p *pair) external(t *testing.T, name, holder, roots string) *ir.External {
	t.Helper()
	return &ir.External{
		Name: name, Hosts: []string{"api.example", "other.example"},
		Roots: roots,
		Ports: []ir.Port{{Name: "https", Number: 443, Target: 443, Protocol: ir.HTTPS}},
		Endpoints: []ir.Endpoint{{
			Name: "a", Address: "127.0.0.1", Weight: 1,
			Ports: map[string]uint16{"https": p.externalWith(t, holder)},
		}},
	}
}

// useOfExternal is the client's, at an address of its own.
func (p *pair) useOfExternal(name string) ir.Use {
	bind := fmt.Sprintf("127.0.0.1:%d", p.next())
	p.bind[name] = bind
	return ir.Use{
		To: name, External: true, Ports: []string{"https"},
		Binds: map[string]string{"https": bind},
	}
}

// as is TLS by hand, with any certificate.
func (p *pair) as(leaf *tls.Certificate, alpn ...string) *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, NextProtos: alpn} // the server's side is under test
	if leaf != nil {
		c.Certificates = []tls.Certificate{*leaf}
	}
	return c
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, http.DefaultClient, r)
}

func do(t *testing.T, c *http.Client, r *http.Request) (int, string) {
	t.Helper()
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// firstBytes are what the other side says before it was asked, until it ends or
// has been silent for a while.
func firstBytes(t *testing.T, network, addr string, config *tls.Config) string {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		return ""
	}
	defer conn.Close()
	if config != nil {
		conn = tls.Client(conn, config)
	}
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(greeting))
	n, _ := io.ReadFull(conn, b) // refused is one of the answers
	return string(b[:n])
}
