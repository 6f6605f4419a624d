//go:build e2e && linux

package redirect_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/local"
	"github.com/meshc/meshc/host/redirect"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/render/envoy"
)

// proxyUser runs Envoy here.
const proxyUser = 1337

// host is a network namespace that plays a machine.
type host struct{ name string }

// newHosts joins two hosts, client and server, by a pair of veth interfaces.
func newHosts(t *testing.T) (client, server host) {
	t.Helper()
	client, server = host{fmt.Sprintf("meshc-c-%d", os.Getpid())}, host{fmt.Sprintf("meshc-s-%d", os.Getpid())}
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s(this test is root's: it makes network namespaces)", strings.Join(args, " "), err, out)
		}
	}
	for _, h := range []host{client, server} {
		ip("netns", "add", h.name)
		t.Cleanup(func() {
			ip("netns", "del", h.name)
			os.RemoveAll("/etc/netns/" + h.name)
		})
		ip("-n", h.name, "link", "set", "lo", "up")
	}
	ip("-n", client.name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", server.name)
	for h, addresses := range map[host][]string{
		client: {"10.99.0.1/24", "fd99::1/64", "10.98.0.1/24", "fd98::1/64"},
		server: {"10.99.0.2/24", "fd99::2/64", "10.98.0.2/24", "fd98::2/64"},
	} {
		for _, a := range addresses {
			args := []string{"-n", h.name, "address", "add", a, "dev", "eth0"}
			if strings.Contains(a, ":") {
				args = append(args, "nodad") // else it could not be bound for a second
			}
			ip(args...)
		}
		ip("-n", h.name, "link", "set", "eth0", "up")
	}
	for _, address := range []string{"10.99.0.2:1", "[fd99::2]:1", "10.98.0.2:1", "[fd98::2]:1"} {
		client.reaches(t, address)
	}
	if err := os.MkdirAll("/etc/netns/"+client.name, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/etc/netns/"+client.name+"/hosts", []byte("10.99.0.2 web.internal\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// reaches waits until the other host answers: a new interface takes a while.
func (h host) reaches(t *testing.T, address string) {
	t.Helper()
	h.do(t, 0, func() {
		var err error
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
			var conn net.Conn
			if conn, err = net.DialTimeout("tcp", address, 200*time.Millisecond); err == nil {
				conn.Close()
				return
			}
			if errors.Is(err, syscall.ECONNREFUSED) {
				return
			}
		}
		t.Errorf("%s: %v", address, err)
	})
}

// do runs a function on the host as that user. Sockets and processes that it
// makes stay there.
func (h host) do(t *testing.T, user int, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		err := h.enter(user)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func (h host) enter(user int) error {
	ns, err := os.Open("/run/netns/" + h.name)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	_, err = unix.SetfsuidRetUid(user)
	return err
}

// echo is an application that tells each connection its name, and sends back a
// line.
func (h host) echo(t *testing.T, address, name string) {
	t.Helper()
	h.do(t, 0, func() {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			return
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					fmt.Fprintf(conn, "%s\n", name)
				}()
			}
		}()
	})
}

// hears is what the first line is that comes over a new connection, or "" when it
// is closed before.
func (h host) hears(t *testing.T, user int, address string) (line string) {
	t.Helper()
	h.do(t, user, func() {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		line, _ = bufio.NewReader(conn).ReadString('\n')
		line = strings.TrimSpace(line)
	})
	return line
}

// web is an application that speaks HTTP on loopback and tells who called.
func (h host) web(t *testing.T, address string) {
	t.Helper()
	h.do(t, 0, func() {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			return
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Header.Get("x-forwarded-client-cert"))
		})}
		t.Cleanup(func() { s.Close() })
		go func() { _ = s.Serve(l) }()
	})
}

// get is the answer to a request for a host over a connection to an address.
func (h host) get(t *testing.T, user int, address, name string) (status int, body string) {
	t.Helper()
	h.do(t, user, func() {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name); err != nil {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return
		}
		defer response.Body.Close()
		data, _ := io.ReadAll(response.Body)
		status, body = response.StatusCode, string(data)
	})
	return status, body
}

// proxy runs the Envoy of an instance on the host.
func (h host) proxy(t *testing.T, m *ir.Mesh, name, dir string, authority *ca.Authority) {
	t.Helper()
	s := m.Service(name)
	if _, err := svid.DirectKeeper(authority, s.Proxy.CertificateDirectory, s.Identity, time.Hour).Obtain(t.Context()); err != nil {
		t.Fatal(err)
	}
	boot, err := envoy.Bootstrap(m.ServiceScope(s), envoy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := envoy.YAML(boot)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	err = filepath.Walk(s.Proxy.CertificateDirectory, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, proxyUser, proxyUser)
	})
	if err != nil {
		t.Fatal(err)
	}
	binary, err := local.Envoy("", "")
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// Its file is reached through a directory that the proxy's user may enter.
	reachable := filepath.Join(dir, "envoy")
	if _, err := os.Stat(reachable); err != nil {
		if err := os.Link(binary, reachable); err != nil {
			copyFile(t, binary, reachable)
		}
	}
	// In a network namespace of "ip netns" the files of /etc/netns/NAME stand in the
	// place of those of /etc.
	command := exec.Command("ip", "netns", "exec", h.name, "setpriv", fmt.Sprint("--reuid=", proxyUser), fmt.Sprint("--regid=", proxyUser), "--clear-groups",
		reachable, "-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
	command.Stdout, command.Stderr = log, log
	err = command.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("the proxy of %s said: %s", name, said)
		}
	})
	admin := fmt.Sprintf("127.0.0.1:%d", s.Proxy.AdminPort)
	deadline := time.Now().Add(20 * time.Second)
	for {
		if status, _ := h.get(t, 0, admin, "admin"); status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the proxy of %s is not ready", name)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// spec is a mesh of two hosts.
const spec = `package two

mesh: {
	name: "two"
	trustDomain: "two.example"
	delivery: "static"
	certificates: issuer: kind: "file"
}
services: client: {
	workload: endpoints: [{address: "%[1]s"}]
	uses: web: {}
	proxy: certificateDirectory: "%[3]s/client"
}
services: web: {
	workload: %[2]s
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: services: ["client"]}]
	proxy: certificateDirectory: "%[3]s/web"
}
`

func compile(t *testing.T, text string) *ir.Mesh {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{"cue.mod/module.cue": "module: \"two.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n", "mesh.cue": text} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := compiler.Compile(t.Context(), compiler.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Diagnostics {
		t.Errorf("%s: %s", d.Code, d.Message)
	}
	if r.Mesh == nil {
		t.FailNow()
	}
	return r.Mesh
}

// Between two hosts, all TCP goes through their proxies, but for what is excluded, on
// loopback or of the proxy itself, over IPv4 and IPv6; rules are set again and
// removed without harm.
//
// Field: proxy.interception
// Field: proxy.excludeInboundPorts
// Field: proxy.excludeOutboundPorts
// Field: proxy.excludeOutboundRanges
// Field: workload.dns
func TestRedirect(t *testing.T) {
	client, server := newHosts(t)
	for family, at := range map[string]struct{ client, server, excluded, loopback, workload string }{
		"IPv4": {"10.99.0.1", "10.99.0.2", "10.98.0.2", "127.0.0.1", `endpoints: [{address: "10.99.0.2"}]`},
		"IPv6": {"fd99::1", "fd99::2", "fd98::2", "::1", `endpoints: [{address: "fd99::2"}]`},
		"DNS":  {"10.99.0.1", "10.99.0.2", "10.98.0.2", "127.0.0.1", `dns: "web.internal"`},
	} {
		t.Run(family, func(t *testing.T) {
			to := func(address string, port int) string { return net.JoinHostPort(address, fmt.Sprint(port)) }
			dir, err := os.MkdirTemp("", "meshc-redirect-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			m := compile(t, fmt.Sprintf(spec, at.client, at.workload, dir))
			authority, err := ca.InMemory()
			if err != nil {
				t.Fatal(err)
			}
			rules := redirect.Rules{InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000, LocalPorts: []uint16{53, 8080}}
			rulesOf := map[host]redirect.Rules{client: rules, server: rules}
			c, s := rulesOf[client], rulesOf[server]
			c.ExcludeOutboundPorts = []uint16{2222}
			c.ExcludeOutboundRanges = []netip.Prefix{netip.MustParsePrefix("10.98.0.0/24"), netip.MustParsePrefix("fd98::/64")}
			s.ExcludeInboundPorts = []uint16{2222, 7777}
			server.web(t, "127.0.0.1:8080")
			for _, port := range []int{2222, 7777, 9999} {
				server.echo(t, to(map[string]string{"IPv4": "0.0.0.0", "DNS": "0.0.0.0", "IPv6": "::"}[family], port), fmt.Sprint("plain ", port))
			}
			client.echo(t, to(at.loopback, 9000), "on loopback")
			client.echo(t, to(at.client, 9001), "on its own address")
			apply := func() {
				t.Helper()
				client.do(t, 0, func() { err = redirect.Apply(c) })
				if err == nil {
					server.do(t, 0, func() { err = redirect.Apply(s) })
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			apply()
			client.proxy(t, m, "client", dir, authority)
			server.proxy(t, m, "web", dir, authority)
			for _, when := range []string{"applied once", "applied twice"} {
				for _, host := range []string{"web", "web.default", "web.default.svc", "web.default.svc.cluster.local", "web:8080", "web.default.svc:8080", "WEB.default.svc."} {
					if status, body := client.get(t, 0, to(at.server, 8080), host); status != http.StatusOK || !strings.Contains(body, "URI=spiffe://two.example/ns/default/sa/client") {
						t.Errorf("%s: %s through both proxies: %d %q", when, host, status, body)
					}
				}
				for _, host := range []string{"other", "web.other.svc", "web.default.svc.other.domain"} {
					if status, body := client.get(t, 0, to(at.server, 8080), host); status != http.StatusBadGateway || !strings.Contains(body, "add it to uses of client") {
						t.Errorf("%s: %s, which the client does not use: %d %q", when, host, status, body)
					}
				}
				for address, want := range map[string]string{
					to(at.loopback, 9000):  "on loopback",
					to(at.client, 9001):    "on its own address",
					to(at.server, 2222):    "plain 2222", // excluded at both ends
					to(at.excluded, 7777):  "plain 7777", // the range here, the port there
					to(at.server, 7777):    "",           // only there
					to(at.server, 9999):    "",
					to(at.excluded, 9999):  "",
					to(at.loopback, 15001): "",
				} {
					if got := client.hears(t, 0, address); got != want {
						t.Errorf("%s: %s says %q, want %q", when, address, got, want)
					}
				}
				// The proxy's own connections are left alone, and the other side's proxy
				// takes no plaintext.
				if got := client.hears(t, proxyUser, to(at.server, 7777)); got != "plain 7777" {
					t.Errorf("%s: as the proxy's user: %q", when, got)
				}
				if status, body := client.get(t, proxyUser, to(at.server, 8080), "web"); status != 0 {
					t.Errorf("%s: plaintext past the client's proxy: %d %q", when, status, body)
				}
				if got := client.hears(t, proxyUser, to(at.server, 9999)); got != "" {
					t.Errorf("%s: a port that the mesh does not know: %q", when, got)
				}
				apply()
			}
			for range 2 { // the second time there is nothing to remove
				for _, h := range []host{client, server} {
					h.do(t, 0, func() { err = redirect.Remove() })
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := client.hears(t, 0, to(at.server, 9999)); got != "plain 9999" {
				t.Errorf("removed: %q", got)
			}
		})
	}
}

// Only the named ports are redirected, so that SSH stays within reach.
func TestInboundPorts(t *testing.T) {
	client, server := newHosts(t)
	server.echo(t, "0.0.0.0:22", "ssh")
	server.echo(t, "0.0.0.0:8080", "web")
	server.echo(t, "0.0.0.0:15006", "the proxy")
	var err error
	server.do(t, 0, func() {
		err = redirect.Apply(redirect.Rules{InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000, InboundPorts: []uint16{8080}})
	})
	if err != nil {
		t.Fatal(err)
	}
	for port, want := range map[int]string{22: "ssh", 8080: "the proxy"} {
		if got := client.hears(t, 0, fmt.Sprintf("10.99.0.2:%d", port)); got != want {
			t.Errorf("port %d: %q, want %q", port, got, want)
		}
	}
}

// The proxy's own connections do not get to what trusts its host or its network, over IPv4 and IPv6, whatever a name
// server answers; they do get to the application on loopback, to name servers, and to others. Nobody else is held to that.
func TestProxyIsConfined(t *testing.T) {
	client, server := newHosts(t)
	for _, args := range [][]string{
		{"-n", server.name, "address", "add", "169.254.169.254/32", "dev", "eth0"},
		{"-n", server.name, "address", "add", "fd00:ec2::254/128", "dev", "eth0", "nodad"},
		{"-n", client.name, "route", "add", "169.254.169.254/32", "dev", "eth0"},
		{"-n", client.name, "route", "add", "fd00:ec2::254/128", "dev", "eth0"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	for _, address := range []string{"127.0.0.1:15000", "127.0.0.1:8080", "127.0.0.1:9000", "127.0.0.1:53", "127.7.7.7:9000", "[::1]:15000", "[::1]:8080", "[::1]:9000"} {
		client.echo(t, address, "loopback")
	}
	for _, address := range []string{"169.254.169.254:80", "169.254.169.254:53", "[fd00:ec2::254]:80", "10.99.0.2:80", "[fd99::2]:80"} {
		server.echo(t, address, "server")
	}
	const everybody = "0.0.0.0:9000" // which leads to loopback
	for name, c := range map[string]struct {
		local   []uint16
		refused []string
		reached []string
	}{
		"ports that are named": {
			[]uint16{53, 8080},
			[]string{"127.0.0.1:15000", "127.0.0.1:9000", "127.7.7.7:9000", "[::1]:15000", "[::1]:9000", everybody, "[::ffff:127.0.0.1]:9000", "169.254.169.254:80", "[fd00:ec2::254]:80"},
			[]string{"127.0.0.1:8080", "127.0.0.1:53", "[::1]:8080", "169.254.169.254:53", "10.99.0.2:80", "[fd99::2]:80"},
		},
		"all but the administration's": {
			nil,
			[]string{"127.0.0.1:15000", "[::1]:15000", "169.254.169.254:80", "[fd00:ec2::254]:80"},
			[]string{"127.0.0.1:8080", "127.0.0.1:9000", "127.7.7.7:9000", "[::1]:9000", "169.254.169.254:53", "10.99.0.2:80", "[fd99::2]:80"},
		},
	} {
		var err error
		client.do(t, 0, func() {
			err = redirect.Apply(redirect.Rules{InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000, LocalPorts: c.local})
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range c.refused {
			if got := client.hears(t, proxyUser, address); got != "" {
				t.Errorf("%s: the proxy reaches %s: %q", name, address, got)
			}
		}
		for _, address := range c.reached {
			if got := client.hears(t, proxyUser, address); got == "" {
				t.Errorf("%s: the proxy does not reach %s", name, address)
			}
		}
		for _, address := range []string{"127.0.0.1:15000", "127.0.0.1:9000", "[::1]:9000"} {
			if got := client.hears(t, 0, address); got != "loopback" {
				t.Errorf("%s: somebody else hears %q of %s", name, got, address)
			}
		}
	}
}
