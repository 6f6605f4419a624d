package envoy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
)

// TestForbiddenAddresses: the expression matches exactly the addresses of the networks, in
// the text that Envoy makes of an address and a port.
func TestForbiddenAddresses(t *testing.T) {
	near := func(network netip.Prefix) netip.Addr {
		bytes := network.Addr().AsSlice()
		for i := network.Bits() - 1 + rand.IntN(2); i < len(bytes)*8; i++ { // in it, or just beside it
			if i >= 0 && rand.IntN(2) == 0 {
				bytes[i/8] ^= 0x80 >> (i % 8)
			}
		}
		ip, _ := netip.AddrFromSlice(bytes)
		return ip
	}
	for _, local := range []bool{false, true} {
		var expressions []*regexp.Regexp
		for _, e := range forbiddenAddresses(local) {
			expressions = append(expressions, regexp.MustCompile(e))
		}
		seen := map[bool]int{}
		for range 2000 {
			for _, f := range ir.ForbiddenNetworks(false) {
				ip := near(f.Prefix)
				if ip.Is4() && rand.IntN(4) == 0 {
					ip = netip.AddrFrom16(ip.As16()) // IPv4 in IPv6
				}
				text := netip.AddrPortFrom(ip, 15000).String()
				want := ir.ForbiddenAddress(ip, local) != ""
				seen[want]++
				if got := slices.ContainsFunc(expressions, func(e *regexp.Regexp) bool { return e.MatchString(text) }); got != want {
					t.Fatalf("local %t: %s: %t", local, text, got)
				}
			}
		}
		if seen[true] == 0 || seen[false] == 0 {
			t.Errorf("only one sort was tried: %v", seen)
		}
	}
}

// nameServer answers for names as a test says, over UDP.
type nameServer struct {
	conn    net.PacketConn
	mu      sync.Mutex
	answers map[string]netip.Addr
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	n := &nameServer{conn: conn, answers: map[string]netip.Addr{}}
	go n.serve()
	return n
}

// say has a name lead to an address from now on.
func (n *nameServer) say(name, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[name+"."] = netip.MustParseAddr(address)
}

func (n *nameServer) serve() {
	buffer := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		n.mu.Lock()
		ip, known := n.answers[strings.ToLower(q.Name.String())]
		n.mu.Unlock()
		if known && q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: ip.As4()},
			}}
		}
		if data, err := m.Pack(); err == nil {
			_, _ = n.conn.WriteTo(data, from) // who asks asks again
		}
	}
}

// asks has a proxy look names up there, and often.
func (n *nameServer) asks(t *testing.T, boot *bootstrapv3.Bootstrap) {
	t.Helper()
	at := n.conn.LocalAddr().(*net.UDPAddr)
	to := address("127.0.0.1", uint16(at.Port))
	to.GetSocketAddress().Protocol = corev3.SocketAddress_UDP
	config, err := anypb.New(&caresv3.CaresDnsResolverConfig{Resolvers: []*corev3.Address{to}})
	if err != nil {
		t.Fatal(err)
	}
	boot.TypedDnsResolverConfig = &corev3.TypedExtensionConfig{Name: "envoy.network.dns_resolver.cares", TypedConfig: config}
	for _, c := range boot.StaticResources.Clusters {
		//lint:ignore SA1019 the clusters are of the type that has it
		c.DnsRefreshRate = durationpb.New(20 * time.Millisecond)
	}
}

// outside is a mesh of a client that calls externals by names, each of a protocol, straight or
// through the gateway "exit", local or not: "http-straight-local". All of them listen on loopback.
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
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "web") }))
	web.Listener = reads{web.Listener, o.reached}
	web.Start()
	t.Cleanup(web.Close)
	port := portOf(web.Listener.(reads).Listener)
	free := freePorts(t, 20)
	next := func() uint16 { p := free[0]; free = free[1:]; return p }
	client := &ir.Service{
		Upstream: ir.Upstream{
			Name: "client", Namespace: "shop", Identity: identity("client"), Explicit: true,
			Workload: ir.Workload{Endpoints: []ir.Endpoint{{Name: "a", Address: "127.0.0.1"}}},
		},
		Proxy: proxy(ir.InterceptExplicit),
	}
	o.gateway = &ir.Gateway{Name: "exit", Namespace: "shop", Identity: identity("exit"), Address: "127.0.0.1", Proxy: proxy(ir.InterceptExplicit)}
	o.gateway.Egress = &ir.Egress{Host: "127.0.0.1", Port: next()}
	for _, p := range []*ir.Proxy{&client.Proxy, &o.gateway.Proxy} {
		p.AdminPort = next()
	}
	client.Proxy.CertificateDirectory = o.authority.directory(t, client.Identity.String())
	o.gateway.Proxy.CertificateDirectory = o.authority.directory(t, o.gateway.Identity.String())
	m := &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic},
		Services: []*ir.Service{client}, Gateways: []*ir.Gateway{o.gateway},
	}
	add := func(e *ir.External) {
		o.names.say(e.Hosts[0], "127.0.0.1")
		at := fmt.Sprintf("127.0.0.1:%d", next())
		o.bind[e.Name] = at
		client.Uses = append(client.Uses, ir.Use{To: e.Name, External: true, Ports: []string{"p"}, Binds: map[string]string{"p": at}})
		if e.Via != nil {
			o.gateway.Uses = append(o.gateway.Uses, ir.Use{To: e.Name, External: true, Ports: []string{"p"}})
			o.gateway.Egress.Externals = append(o.gateway.Egress.Externals, ir.EgressExternal{Name: e.Name, Callers: []ir.Peer{client.Peer()}})
		}
		m.Externals = append(m.Externals, e)
	}
	via := &ir.Via{Gateway: "exit", Namespace: "shop", Identity: o.gateway.Identity, Host: "127.0.0.1", Port: o.gateway.Egress.Port}
	for _, protocol := range []ir.Protocol{ir.HTTP, ir.TCP, ir.TLS} {
		for way, through := range map[string]*ir.Via{"straight": nil, "via": via} {
			for where, local := range map[string]bool{"local": true, "remote": false} {
				name := fmt.Sprintf("%s-%s-%s", protocol, way, where)
				add(&ir.External{
					Name: name, Hosts: []string{name + ".example"}, Local: local, Via: through,
					Ports: []ir.Port{{Name: "p", Number: port, Target: port, Protocol: protocol}},
				})
			}
		}
	}
	admin := o.gateway.Proxy.AdminPort
	add(&ir.External{Name: "admin", Hosts: []string{"admin.example"}, Via: via, Ports: []ir.Port{{Name: "p", Number: admin, Target: admin, Protocol: ir.HTTP}}})
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
		o.names.asks(t, boot)
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
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s.example\r\nConnection: close\r\n\r\n", name); err != nil {
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

// TestNamesLeadNowhereForbidden: whatever a name server answers, and whenever, nothing that is sent gets to an address that no
// proxy may be led to: by HTTP, as bytes, straight and through an egress gateway. Loopback is reached where that is meant.
func TestNamesLeadNowhereForbidden(t *testing.T) {
	o := newOutside(t)
	for name := range o.bind {
		if strings.HasSuffix(name, "-local") {
			eventually(t, name+" is reached", func() error {
				if said, err := o.get(name); !strings.HasSuffix(said, "web") {
					return fmt.Errorf("%q, %v", said, err)
				}
				return nil
			})
			continue
		}
		before := o.reached.get()
		eventually(t, name+" is looked up and refused", func() error {
			return refused(name, o.get)
		})
		if o.reached.get() > before {
			t.Errorf("%s: something was reached on loopback", name)
		}
	}
	o.firstFlight(t, "tcp-via-remote", false)
	o.firstFlight(t, "tcp-via-local", true)

	// 0.0.0.0 leads to loopback too, and is meant nowhere.
	for name := range o.bind {
		o.names.say(name+".example", "0.0.0.0")
	}
	for name := range o.bind {
		eventually(t, name+" is refused after its answer changed", func() error {
			return refused(name, o.get)
		})
		before := o.reached.get()
		for range 2 {
			if err := refused(name, o.get); err != nil {
				t.Errorf("%s: refused, and then not: %v", name, err)
			}
		}
		if o.reached.get() > before {
			t.Errorf("%s: something was reached at 0.0.0.0", name)
		}
	}
	o.firstFlight(t, "tcp-via-local", false)
}

// refused wants an answer to be that of a proxy that refuses, and not one of there being no address.
func refused(name string, get func(string) (string, error)) error {
	said, err := get(name)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(name, "tcp") || strings.HasPrefix(name, "tls"):
		if said != "" {
			return fmt.Errorf("%q", said)
		}
	case said != "403 RBAC: access denied":
		return fmt.Errorf("%q", said)
	}
	return nil
}

// firstFlight sends bytes to the gateway together with the end of the handshake, so that they are there before the gateway has
// connected to anything.
func (o *outside) firstFlight(t *testing.T, name string, reaches bool) {
	t.Helper()
	raw, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", o.gateway.Egress.Port))
	if err != nil {
		t.Fatal(err)
	}
	held := &heldConn{Conn: raw}
	conn := tls.Client(held, &tls.Config{
		Certificates: []tls.Certificate{o.authority.leaf(t, identity("client").String())}, ServerName: "p." + name + ".egress", InsecureSkipVerify: true,
	})
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	before := o.reached.get()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := held.flush(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if got := strings.HasPrefix(line, "HTTP/1.1 200"); got != reaches || got != (o.reached.get() > before) {
		t.Errorf("%s, in the first flight: %q, %v, and %d reached", name, line, err, o.reached.get()-before)
	}
}

// heldConn keeps what is written after the first record, until it is flushed.
type heldConn struct {
	net.Conn
	first   bool
	flushed bool
	held    []byte
}

func (c *heldConn) Write(p []byte) (int, error) {
	if !c.first || c.flushed {
		c.first = true
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

func (c *heldConn) flush() error {
	c.flushed = true
	n, err := c.Conn.Write(c.held)
	if err == nil && n < len(c.held) {
		err = errors.New("not all was written")
	}
	return err
}
