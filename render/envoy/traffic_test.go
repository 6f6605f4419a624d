package envoy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

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
	s := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/test.Slow/") {
			p.deadlines <- r.Header.Get("grpc-timeout")
			<-r.Context().Done()
			return
		}
		rpc.ServeHTTP(w, r)
	})}
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
}

// newPair starts everything. The callee "server" lets "client" in on all ports,
// on http only to /open/*. What answers for "impostor" has the certificate of
// "stranger", and for "genuine" its own.
func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{authority: newAuthority(t), bind: map[string]string{}, inbound: map[string]string{}, deadlines: make(chan string, 1)}
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
		s := &ir.Service{Upstream: ir.Upstream{Name: name, Namespace: "shop", Identity: identity(name), Explicit: true}, Proxy: proxy(ir.InterceptExplicit)}
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
			Name: "a", Address: "127.0.0.1", Weight: 1, Ports: map[string]uint16{"http": p.serverWith(t, identity(holder).String())},
		}}
		callees = append(callees, s)
	}
	p.mesh = &ir.Mesh{Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic}, Services: []*ir.Service{client}}
	for _, callee := range callees {
		use := ir.Use{To: callee.Name, Binds: map[string]string{}, Traffic: ir.Traffic{Timeout: seconds(0.5)}}
		for _, port := range callee.Ports {
			bind := fmt.Sprintf("127.0.0.1:%d", next())
			use.Ports = append(use.Ports, port.Name)
			use.Binds[port.Name], p.bind[callee.Name+" "+port.Name] = bind, bind
		}
		client.Uses = append(client.Uses, use)
		p.mesh.Services = append(p.mesh.Services, callee)
	}
	for name, holder := range map[string]string{"api": "api.example", "wildcard": "*.example", "wrong": "elsewhere.example"} {
		e := &ir.External{
			Name: name, Hosts: []string{"api.example", "other.example"}, Roots: filepath.Join(client.Proxy.CertificateDirectory, trustFile),
			Ports:     []ir.Port{{Name: "https", Number: 443, Target: 443, Protocol: ir.HTTPS}},
			Endpoints: []ir.Endpoint{{Name: "a", Address: "127.0.0.1", Weight: 1, Ports: map[string]uint16{"https": p.externalWith(t, holder)}}},
		}
		bind := fmt.Sprintf("127.0.0.1:%d", next())
		p.bind[name] = bind
		client.Uses = append(client.Uses, ir.Use{To: name, External: true, Ports: []string{"https"}, Binds: map[string]string{"https": bind}})
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
	s.TLS = &tls.Config{Certificates: []tls.Certificate{p.authority.leaf(t, identity)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.authority.pool()}
	s.StartTLS()
	t.Cleanup(s.Close)
	return portOf(s.Listener)
}

// externalWith is an HTTPS server outside the mesh with a certificate for that
// host. It says which host it was asked for, and by which SNI.
func (p *pair) externalWith(t *testing.T, host string) uint16 {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

func TestTrafficBetweenRealEnvoys(t *testing.T) {
	p := newPair(t)
	through := "http://" + p.bind["server http"]
	eventually(t, "the callee answers", func() error {
		code, body := get(t, through+"/open/a")
		if code != http.StatusOK {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})

	t.Run("the caller's identity is seen", func(t *testing.T) {
		code, body := get(t, through+"/open/a")
		if code != http.StatusOK || !strings.Contains(body, "URI="+identity("client").String()) {
			t.Errorf("got %d %q", code, body)
		}
	})
	t.Run("an identity cannot be claimed by a header", func(t *testing.T) {
		r, _ := http.NewRequest(http.MethodGet, through+"/open/a", nil)
		r.Header.Set("x-forwarded-client-cert", "URI="+identity("stranger").String())
		if code, body := do(t, http.DefaultClient, r); code != http.StatusOK || strings.Contains(body, "stranger") {
			t.Errorf("got %d %q", code, body)
		}
	})
	for path, want := range map[string]int{
		"/other": 403, "/open": 403, "/openx": 403, "/OPEN/a": 403, "/open/../other": 403, "/open/%2e%2e/other": 403,
		"/open/%2e%2e%2e/b": 200, "/open/..%2fother": 400, "/open/%5c..%5cother": 400, "/open/b": 200, "/open///b": 200, "/%6fpen/b": 200,
	} {
		t.Run(fmt.Sprintf("%s is %d", path, want), func(t *testing.T) {
			r, _ := http.NewRequest(http.MethodGet, through, nil)
			r.URL.Opaque = path
			if code, body := do(t, http.DefaultClient, r); code != want {
				t.Errorf("got %d %q", code, body)
			}
		})
	}
	t.Run("a method that is not allowed is 403", func(t *testing.T) {
		r, _ := http.NewRequest(http.MethodDelete, through+"/open/a", nil)
		if code, _ := do(t, http.DefaultClient, r); code != http.StatusForbidden {
			t.Errorf("got %d", code)
		}
	})
	t.Run("plaintext is refused", func(t *testing.T) {
		if answer, err := (&http.Client{Transport: &http.Transport{}}).Get("http://" + p.inbound["http"] + "/open/a"); err == nil {
			answer.Body.Close()
			t.Errorf("got %s", answer.Status)
		}
	})
	t.Run("a callee with another identity is refused", func(t *testing.T) {
		if code, body := get(t, "http://"+p.bind["genuine http"]+"/open/a"); code != http.StatusOK {
			t.Errorf("the genuine one: got %d %q", code, body)
		}
		if code, body := get(t, "http://"+p.bind["impostor http"]+"/open/a"); code != http.StatusServiceUnavailable {
			t.Errorf("the impostor: got %d %q", code, body)
		}
	})
	t.Run("statistics have one name and the callee as a label", func(t *testing.T) {
		_, stats := get(t, fmt.Sprintf("http://127.0.0.1:%d/stats/prometheus", p.mesh.Service("client").Proxy.AdminPort))
		for _, want := range []string{
			`envoy_cluster_upstream_rq_total{envoy_cluster_name="server_shop|http"} `,
			`envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="outbound|server_shop|http"} `,
		} {
			if !strings.Contains(stats, want) {
				t.Errorf("there is no %s", want)
			}
		}
	})
	for name, want := range map[string]int{"api": 200, "wildcard": 200, "wrong": 503} {
		t.Run("an external: "+name, func(t *testing.T) {
			code, body := get(t, "http://"+p.bind[name]+"/")
			if code != want || want == 200 && body != "api.example api.example" {
				t.Errorf("got %d %q", code, body)
			}
		})
	}
	t.Run("callers", func(t *testing.T) { p.testCallers(t) })
	t.Run("bytes", func(t *testing.T) { p.testBytes(t) })
	t.Run("timeouts", func(t *testing.T) { p.testTimeouts(t) })
}

// testCallers calls the callee's proxy by hand.
func (p *pair) testCallers(t *testing.T) {
	client, stranger := p.authority.leaf(t, identity("client").String()), p.authority.leaf(t, identity("stranger").String())
	foreign, other := p.authority.leaf(t, "spiffe://elsewhere.example/ns/shop/sa/client"), newAuthority(t).leaf(t, identity("client").String())
	dns := p.authority.leaf(t, "", "client.shop")
	for name, c := range map[string]struct {
		leaf *tls.Certificate
		want int // 0: no TLS
	}{
		"the caller": {&client, 200}, "another member": {&stranger, 403}, "nobody": {nil, 0},
		"another trust domain": {&foreign, 0}, "another authority": {&other, 0}, "no SPIFFE identity": {&dns, 0},
	} {
		for _, alpn := range []string{"http/1.1", "h2"} {
			t.Run(name+" with "+alpn, func(t *testing.T) {
				transport := &http.Transport{TLSClientConfig: p.as(c.leaf), ForceAttemptHTTP2: alpn == "h2"}
				defer transport.CloseIdleConnections()
				r, _ := http.NewRequest(http.MethodGet, "https://"+p.inbound["http"]+"/open/a", nil)
				answer, err := transport.RoundTrip(r)
				if err != nil {
					if c.want != 0 {
						t.Error(err)
					}
					return
				}
				answer.Body.Close()
				if answer.StatusCode != c.want {
					t.Errorf("got %s", answer.Status)
				}
			})
		}
	}
	t.Run("TLS 1.2", func(t *testing.T) {
		config := p.as(&client)
		config.MaxVersion = tls.VersionTLS12
		if conn, err := tls.Dial("tcp", p.inbound["http"], config); err == nil {
			conn.Close()
			t.Error("it is taken")
		}
	})
}

// testBytes reads from applications that speak first.
func (p *pair) testBytes(t *testing.T) {
	if got := firstBytes(t, "tcp", p.bind["server tcp"], nil); got != greeting {
		t.Errorf("the caller: got %q", got)
	}
	client, stranger := p.authority.leaf(t, identity("client").String()), p.authority.leaf(t, identity("stranger").String())
	for name, c := range map[string]struct {
		leaf *tls.Certificate
		port string
	}{"another member": {&stranger, "tcp"}, "nobody": {nil, "tcp"}, "a port that no rule opens": {&client, "closed"}} {
		if got := firstBytes(t, "tcp", p.inbound[c.port], p.as(c.leaf)); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// testTimeouts has half a second for each call.
func (p *pair) testTimeouts(t *testing.T) {
	const bound = 500 * time.Millisecond
	within := func(t *testing.T, begin time.Time, bound time.Duration) {
		t.Helper()
		if d := time.Since(begin); d < bound-100*time.Millisecond || d > bound+2500*time.Millisecond {
			t.Errorf("after %s", d)
		}
	}
	t.Run("an answer that does not come", func(t *testing.T) {
		begin := time.Now()
		if code, _ := get(t, "http://"+p.bind["server http"]+"/open/slow"); code != http.StatusGatewayTimeout {
			t.Errorf("got %d", code)
		}
		within(t, begin, bound)
	})
	t.Run("a request that does not end", func(t *testing.T) {
		conn, err := net.Dial("tcp", p.bind["server http"])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := time.Now()
		if err := conn.SetDeadline(begin.Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "POST /open/a HTTP/1.1\r\nHost: server\r\nContent-Length: 10\r\n\r\nx")
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusRequestTimeout {
			t.Errorf("got %s", answer.Status)
		}
		within(t, begin, bound)
	})
	conn, err := grpc.NewClient("passthrough:///"+p.bind["server grpc"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Run("gRPC works", func(t *testing.T) {
		if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		deadline time.Duration
		told     time.Duration // to the callee by grpc-timeout, at most
	}{
		"a long deadline":  {20 * time.Second, bound},
		"a short deadline": {bound / 2, bound / 2},
		"no deadline":      {0, bound},
	} {
		t.Run("gRPC that does not answer, with "+name, func(t *testing.T) {
			ctx := t.Context()
			if c.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.deadline)
				defer cancel()
			}
			begin := time.Now()
			err := conn.Invoke(ctx, "/test.Slow/Call", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
			if status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("got %v", err)
			}
			within(t, begin, c.told)
			if told := grpcTimeout(t, <-p.deadlines); told > c.told || told < c.told/2 {
				t.Errorf("the callee was told %v, not up to %v", told, c.told)
			}
		})
	}
}

// grpcTimeout reads the header grpc-timeout, whose units are those of
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
func grpcTimeout(t *testing.T, value string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(strings.NewReplacer("m", "ms", "u", "us", "n", "ns").Replace(value))
	if err != nil {
		t.Fatalf("grpc-timeout: %q: %v", value, err)
	}
	return d
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
