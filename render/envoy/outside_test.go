package envoy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// outside is a mesh of a client that calls externals by names, each of a protocol, straight or
// through the gateway "exit", local or not: "http-straight-local". All of them listen on loopback, those of HTTP at
// another port than callers name.
type outside struct {
	names *nameServer
	bind  map[string]string
	// reached counts what came in at the externals.
	reached   *counter
	authority *authority
	gateway   *ir.Gateway
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add() int { c.mu.Lock(); defer c.mu.Unlock(); c.n++; return c.n }

func (c *counter) get() int { c.mu.Lock(); defer c.mu.Unlock(); return c.n }

// reads counts connections by their first byte.
type reads struct {
	net.Listener
	reached *counter
}

func (l reads) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &readConn{Conn: conn, reached: l.reached}, nil
}

type readConn struct {
	net.Conn
	once    sync.Once
	reached *counter
}

func (c *readConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.once.Do(func() { c.reached.add() })
	}
	return n, err
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{names: newNameServer(t), bind: map[string]string{}, reached: &counter{}, authority: newAuthority(t)}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "web")
	}))
	web.Listener = reads{web.Listener, o.reached}
	web.Start()
	t.Cleanup(web.Close)
	port := portOf(web.Listener.(reads).Listener)
	free := freePorts(t, 20)
	next := func() uint16 { p := free[0]; free = free[1:]; return p }
	client := caller(t, o.authority, next())
	o.gateway = &ir.Gateway{
		Name: "exit", Namespace: "shop", Identity: identity("exit"), Address: "127.0.0.1",
		Proxy: proxy(ir.InterceptExplicit),
	}
	o.gateway.Egress = &ir.Egress{Host: "127.0.0.1", Port: next()}
	o.gateway.Proxy.AdminPort = next()
	o.gateway.Proxy.CertificateDirectory = o.authority.directory(t, o.gateway.Identity.String())
	m := &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic},
		Services: []*ir.Service{client}, Gateways: []*ir.Gateway{o.gateway},
	}
	add := func(e *ir.External) {
		o.names.say(e.Hosts[0], "127.0.0.1")
		at := fmt.Sprintf("127.0.0.1:%d", next())
		o.bind[e.Name] = at
		client.Uses = append(client.Uses, ir.Use{
			To: e.Name, External: true, Ports: []string{"p"},
			Binds: map[string]string{"p": at},
		})
		if e.Via != nil {
			o.gateway.Uses = append(o.gateway.Uses, ir.Use{To: e.Name, External: true, Ports: []string{"p"}})
			o.gateway.Egress.Externals = append(o.gateway.Egress.Externals,
				ir.EgressExternal{Name: e.Name, Callers: []ir.Peer{client.Peer()}})
		}
		m.Externals = append(m.Externals, e)
	}
	via := &ir.Via{
		Gateway: "exit", Namespace: "shop", Identity: o.gateway.Identity, Host: "127.0.0.1",
		Port: o.gateway.Egress.Port,
	}
	for _, protocol := range []ir.Protocol{ir.HTTP, ir.TCP, ir.TLS} {
		for way, through := range map[string]*ir.Via{"straight": nil, "via": via} {
			for where, local := range map[string]bool{"local": true, "remote": false} {
				name, number := fmt.Sprintf("%s-%s-%s", protocol, way, where), port
				if protocol == ir.HTTP {
					number = 80 // which only the callers name
				}
				add(&ir.External{
					Name: name, Hosts: []string{name + ".example"}, Local: local, Via: through,
					Ports: []ir.Port{{Name: "p", Number: number, Target: port, Protocol: protocol}},
				})
			}
		}
	}
	admin := o.gateway.Proxy.AdminPort
	add(&ir.External{
		Name: "admin", Hosts: []string{"admin.example"}, Via: via,
		Ports: []ir.Port{{Name: "p", Number: admin, Target: admin, Protocol: ir.HTTP}},
	})
	sortByName(m.Externals, func(e *ir.External) string { return e.Name })
	byTo := func(a, b ir.Use) int { return strings.Compare(a.To, b.To) }
	slices.SortFunc(client.Uses, byTo)
	slices.SortFunc(o.gateway.Uses, byTo)
	for _, scope := range []ir.Scope{m.GatewayScope(o.gateway), m.ServiceScope(client)} {
		instance := ""
		if scope.Service != nil {
			instance = "a"
		}
		boot, err := Bootstrap(scope, Options{Instance: instance})
		if err != nil {
			t.Fatal(err)
		}
		o.names.asksOften(t, boot)
		start(t, boot)
	}
	return o
}

// get is what the caller hears of an external to which it sends a request: a status and a body, or bytes.
func (o *outside) get(name string) (string, error) {
	conn, err := net.Dial("tcp", o.bind[name])
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s.example\r\nConnection: close\r\n\r\n",
		name); err != nil {
		return "", err
	}
	if name == "admin" || strings.HasPrefix(name, "http") {
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		return fmt.Sprintf("%d %s", answer.StatusCode, data), err
	}
	data, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", fmt.Errorf("%q and no end: %w", data, err)
	}
	return string(data), nil // a reset is an end too
}

// caller is a service with one instance, which calls others by binds, as its proxy does not intercept.
func caller(t *testing.T, a *authority, adminPort uint16) *ir.Service {
	t.Helper()
	s := &ir.Service{
		Upstream: ir.Upstream{
			Name: "client", Namespace: "shop", Identity: identity("client"), Explicit: true,
			Workload: ir.Workload{Endpoints: []ir.Endpoint{{Name: "a", Address: "127.0.0.1"}}},
		},
		Proxy: proxy(ir.InterceptExplicit),
	}
	s.Proxy.AdminPort = adminPort
	s.Proxy.CertificateDirectory = a.directory(t, s.Identity.String())
	return s
}
