//go:build e2e && linux

package redirect_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
			t.Fatalf("ip %s: %v: %s(this test is root's: it makes network namespaces)", strings.Join(args, " "), err,
				out)
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
	if err := os.WriteFile("/etc/netns/"+client.name+"/hosts", []byte("10.99.0.2 web.internal site.internal\n"), 0o644); err != nil {
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
	return h.hearsWithin(t, user, address, 5*time.Second)
}

// hearsWithin is hears with as much time.
func (h host) hearsWithin(t *testing.T, user int, address string, most time.Duration) (line string) {
	t.Helper()
	h.do(t, user, func() {
		conn, err := net.DialTimeout("tcp", address, most)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(most))
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
	if _, err := svid.DirectKeeper(authority, s.Proxy.CertificateDirectory, s.Identity, time.Hour).
		Obtain(t.Context()); err != nil {
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
	command := exec.Command("ip", "netns", "exec", h.name, "setpriv", fmt.Sprint("--reuid=", proxyUser),
		fmt.Sprint("--regid=", proxyUser), "--clear-groups",
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
	hosts: ["WWW.two.example", "old-web"]
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: services: ["client"]}]
	proxy: certificateDirectory: "%[3]s/web"
}
`

func compile(t *testing.T, text string) *ir.Mesh {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{
		"cue.mod/module.cue": "module: \"two.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n", "mesh.cue": text,
	} {
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
