package envoy

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

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
}

const greeting = "secret of the first bytes\n"

// answers is the callee's application: it says who called, and waits on /slow.
func answers(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/open/slow") {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	}
	_, _ = io.Copy(io.Discard, r.Body)
	fmt.Fprintf(w, "%s %s", r.URL.Path, r.Header.Get("x-forwarded-client-cert"))
}

// serveRPC is the callee's application for gRPC. It answers health checks, and a
// call to test.Slow never, whatever its deadline.
func (p *pair) serveRPC(t *testing.T, l net.Listener) {
	t.Helper()
	rpc := grpc.NewServer()
	healthpb.RegisterHealthServer(rpc, health.NewServer())
	s := &http.Server{
		Protocols: new(http.Protocols),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/test.Slow/") {
				p.deadlines <- r.Header.Get("grpc-timeout")
				<-r.Context().Done()
				return
			}
			rpc.ServeHTTP(w, r)
		}),
	}
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
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
	application := httptest.NewServer(http.HandlerFunc(answers))
	t.Cleanup(application.Close)
	rpcListener := listen(t)
	p.serveRPC(t, rpcListener)
	targets := map[string]uint16{
		"http": portOf(application.Listener), "grpc": portOf(rpcListener),
		"tcp": portOf(greeter(t)), "closed": portOf(greeter(t)),
	}
	free := freePorts(t, 20)
	next := func() uint16 { port := free[0]; free = free[1:]; return port }
	service := func(name string) *ir.Service {
		s := &ir.Service{
			Upstream: ir.Upstream{Name: name, Namespace: "shop", Identity: identity(name), Explicit: true},
			Proxy:    proxy(ir.InterceptExplicit),
		}
		s.Proxy.AdminPort = next()
		s.Proxy.CertificateDirectory = p.authority.directory(t, s.Identity.String())
		return s
	}
	endpoint := ir.Endpoint{Name: "a", Address: "127.0.0.1", Ports: map[string]uint16{}, Targets: targets, Weight: 1}
	server := service("server")
	for _, port := range []ir.Port{
		{Name: "closed", Protocol: ir.TCP},
		{Name: "grpc", Protocol: ir.GRPC},
		{Name: "http", Protocol: ir.HTTP},
		{Name: "tcp", Protocol: ir.TCP},
	} {
		port.Number, port.Target = 1, 1
		endpoint.Ports[port.Name] = next()
		p.inbound[port.Name] = fmt.Sprintf("127.0.0.1:%d", endpoint.Ports[port.Name])
		server.Ports = append(server.Ports, port)
	}
	server.Workload.Endpoints = []ir.Endpoint{endpoint}
	server.Allow = []ir.Rule{
		{From: peers("client"), Ports: []string{"http"}, Methods: []string{"GET", "POST"}, Paths: []string{"/open/*"}},
		{From: peers("client"), Ports: []string{"grpc", "tcp"}},
	}
	client := service("client")
	client.Workload.Endpoints = []ir.Endpoint{{Name: "a", Address: "127.0.0.1"}}
	callees := []*ir.Service{server}
	for _, name := range []string{"genuine", "impostor"} {
		holder := name
		if name == "impostor" {
			holder = "stranger"
		}
		s := service(name)
		s.Ports = []ir.Port{{Name: "http", Number: 1, Target: 1, Protocol: ir.HTTP}}
		s.Workload.Endpoints = []ir.Endpoint{{
			Name: "a", Address: "127.0.0.1", Weight: 1,
			Ports: map[string]uint16{"http": p.serverWith(t, identity(holder).String())},
		}}
		callees = append(callees, s)
	}
	p.mesh = &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic},
		Services: []*ir.Service{client},
	}
	for _, callee := range callees {
		use := ir.Use{To: callee.Name, Binds: map[string]string{}, Traffic: ir.Traffic{
			Timeout:     seconds(0.5),
			IdleTimeout: seconds(2),
		}}
		for _, port := range callee.Ports {
			bind := fmt.Sprintf("127.0.0.1:%d", next())
			use.Ports = append(use.Ports, port.Name)
			use.Binds[port.Name], p.bind[callee.Name+" "+port.Name] = bind, bind
		}
		client.Uses = append(client.Uses, use)
		p.mesh.Services = append(p.mesh.Services, callee)
	}
	for name, holder := range map[string]string{
		"api": "api.example", "wildcard": "*.example",
		"wrong": "elsewhere.example",
	} {
		e := &ir.External{
			Name: name, Hosts: []string{"api.example", "other.example"},
			Roots: filepath.Join(client.Proxy.CertificateDirectory, trustFile),
			Ports: []ir.Port{{Name: "https", Number: 443, Target: 443, Protocol: ir.HTTPS}},
			Endpoints: []ir.Endpoint{{
				Name: "a", Address: "127.0.0.1", Weight: 1,
				Ports: map[string]uint16{"https": p.externalWith(t, holder)},
			}},
		}
		bind := fmt.Sprintf("127.0.0.1:%d", next())
		p.bind[name] = bind
		client.Uses = append(client.Uses, ir.Use{
			To: name, External: true, Ports: []string{"https"},
			Binds: map[string]string{"https": bind},
		})
		p.mesh.Externals = append(p.mesh.Externals, e)
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

// serverWith is a server with mutual TLS and HTTP/2 that shows the certificate of
// that identity.
func (p *pair) serverWith(t *testing.T, identity string) uint16 {
	s := httptest.NewUnstartedServer(http.HandlerFunc(answers))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the point
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{p.authority.leaf(t, identity)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: p.authority.pool(),
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return portOf(s.Listener)
}

// externalWith is an HTTPS server outside the mesh with a certificate for that
// host. It says which host it was asked for, and by which SNI; at /headers, which headers came.
func (p *pair) externalWith(t *testing.T, host string) uint16 {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/headers" {
			fmt.Fprint(w, strings.Join(slices.Sorted(maps.Keys(r.Header)), " "))
			return
		}
		fmt.Fprintf(w, "%s %s", r.Host, r.TLS.ServerName)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the point
	s.TLS = &tls.Config{Certificates: []tls.Certificate{p.authority.leaf(t, "", host)}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return portOf(s.Listener)
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

// greeter is an application that speaks first.
func greeter(t *testing.T) net.Listener {
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, greeting)
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func portOf(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }
