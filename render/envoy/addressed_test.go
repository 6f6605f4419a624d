package envoy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/ir"
)

// A redirected connection reaches the address that it was made to, or is closed: an instance of the callee, where it
// shows the callee's identity, or an external at its address. Nobody's address leads to somebody else on that port, and
// an instance more ends no connection to the others. What was redirected is played by the PROXY protocol here: it says
// where a connection was made to, as the kernel does.
func TestConnectionsReachTheAddressTheyWereMadeTo(t *testing.T) {
	m, number := addressedMesh(t)
	app, store := m.Service("app"), m.Service("store")
	boot, err := Bootstrap(m.ServiceScope(app), Options{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "listeners.json")
	listenersFrom(t, boot, file)
	start(t, boot)
	to := func(ip string) (net.Conn, string) {
		return redirectedTo(t, app.Proxy.OutboundPort, ip, number)
	}
	for ip, want := range map[string]string{
		"127.0.0.11": "127.0.0.11", "127.0.0.13": "127.0.0.13", // of store, the one at another port
		"127.0.0.21": "127.0.0.21", // of other
		"127.0.0.50": "127.0.0.50", "127.0.0.51": "127.0.0.51",
		"127.0.0.14": "",           // an instance that does not show the identity of store
		"127.0.0.12": "",           // not one yet
		"127.0.0.60": "127.0.0.60", // in a range
		"127.0.0.99": "",           // in a wider range, of which loopback is closed
		"192.0.2.7":  "",
	} {
		for range 3 {
			if conn, got := to(ip); got != want {
				t.Errorf("%s: got %q, want %q", ip, got, want)
			} else {
				conn.Close()
			}
		}
	}
	open, _ := to("127.0.0.11")
	store.Workload.Endpoints = append(store.Workload.Endpoints, instance("127.0.0.12", number))
	if boot, err = Bootstrap(m.ServiceScope(app), Options{}); err != nil {
		t.Fatal(err)
	}
	listenersFrom(t, boot, file)
	eventually(t, "the instance that was added", func() error {
		if conn, got := to("127.0.0.12"); got != "127.0.0.12" {
			conn.Close()
			return errors.New("it is not reached")
		}
		return nil
	})
	_, stats := get(t, fmt.Sprintf("http://127.0.0.1:%d/stats?filter=in_place_updated", app.Proxy.AdminPort))
	if !strings.Contains(stats, "listener_in_place_updated: 1") {
		t.Errorf("the listener was replaced, and its connections with it: %s", stats)
	}
	if _, err := io.WriteString(open, "still\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(open).ReadString('\n'); line != "still\n" {
		t.Errorf("a connection from before: %q, %v", line, err)
	}
}

// addressedMesh has an app that calls two services and an external on one port number, and what listens at their
// addresses: 127.0.0.14 has another identity than its service, 127.0.0.12 is an instance that the mesh does not have,
// and 127.0.0.99 is in a range of an external, which does not open loopback.
func addressedMesh(t *testing.T) (m *ir.Mesh, number uint16) {
	t.Helper()
	authority, free := newAuthority(t), freePorts(t, 5)
	number = free[0]
	elsewhere := free[1]
	listens := func(ip string, port uint16, as string) {
		says(t, ip, port, &tls.Config{
			Certificates: []tls.Certificate{authority.leaf(t, identity(as).String())},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: authority.pool(),
		})
	}
	listens("127.0.0.11", number, "store")
	listens("127.0.0.12", number, "store")
	listens("127.0.0.13", elsewhere, "store")
	listens("127.0.0.14", number, "stranger")
	listens("127.0.0.21", number, "other")
	for _, ip := range []string{"127.0.0.50", "127.0.0.51", "127.0.0.60", "127.0.0.99"} {
		says(t, ip, number, nil)
	}
	ports := []ir.Port{{Name: "db", Number: number, Target: number, Protocol: ir.TCP}}
	service := func(name string, endpoints ...ir.Endpoint) *ir.Service {
		return &ir.Service{Upstream: ir.Upstream{
			Name: name, Namespace: "shop", Identity: identity(name), Workload: ir.Workload{Endpoints: endpoints},
			Ports: ports,
		}, Proxy: proxy(ir.InterceptRedirect)}
	}
	app := service("app", ir.Endpoint{Name: "a", Address: "127.0.0.1"})
	app.Ports = nil
	app.Proxy.AdminPort, app.Proxy.OutboundPort, app.Proxy.InboundPort = free[2], free[3], free[4]
	app.Proxy.Family = ir.IPv4
	app.Proxy.CertificateDirectory = authority.directory(t, app.Identity.String())
	app.Uses = []ir.Use{
		{To: "other", Ports: []string{"db"}},
		{To: "outside", External: true, Ports: []string{"db"}},
		{To: "range", External: true, Ports: []string{"db"}},
		{To: "store", Ports: []string{"db"}},
		{To: "wide", External: true, Ports: []string{"db"}},
	}
	return &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic},
		Services: []*ir.Service{
			app, service("other", instance("127.0.0.21", number)),
			service("store", instance("127.0.0.11", number), instance("127.0.0.13", elsewhere),
				instance("127.0.0.14", number)),
		},
		Externals: []*ir.External{
			{Name: "outside", Hosts: []string{"127.0.0.50", "127.0.0.51"}, Ports: ports},
			{Name: "range", Hosts: []string{"127.0.0.48/28"}, Ports: ports},
			{Name: "wide", Hosts: []string{"126.0.0.0/7"}, Ports: ports},
		},
	}, number
}

func instance(ip string, port uint16) ir.Endpoint {
	return ir.Endpoint{Name: ip, Address: ip, Ports: map[string]uint16{"db": port}, Weight: 1}
}

// says is an application that says its address to each connection, and sends back what it gets.
func says(t *testing.T, ip string, port uint16, config *tls.Config) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, fmt.Sprint(port)))
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
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
				fmt.Fprintln(conn, ip)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
}

// redirectedTo is a connection that a proxy takes for one to that address, and the first line on it; "" when it is
// closed before.
func redirectedTo(t *testing.T, proxy uint16, ip string, port uint16) (net.Conn, string) {
	t.Helper()
	conn := redirectedConn(t, proxy, ip, port)
	line := make([]byte, 64)
	n, _ := conn.Read(line) // closed is one of the answers
	if n == 0 {
		return conn, ""
	}
	return conn, string(line[:n-1])
}

// redirectedConn is a connection that a proxy takes for one to that address.
func redirectedConn(t *testing.T, proxy uint16, ip string, port uint16) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", proxy))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "PROXY TCP4 127.0.0.1 %s 1024 %d\r\n", ip, port); err != nil {
		t.Fatal(err)
	}
	return conn
}

// listenersFrom has an Envoy read its listeners from a file, and the original destination from the PROXY protocol.
func listenersFrom(t *testing.T, boot *bootstrapv3.Bootstrap, file string) {
	t.Helper()
	out := &discoveryv3.DiscoveryResponse{}
	for _, l := range boot.StaticResources.Listeners {
		for _, f := range l.ListenerFilters {
			if f.Name == originalDestinationFilter {
				packed, err := anypb.New(&proxyprotocolv3.ProxyProtocol{})
				if err != nil {
					t.Fatal(err)
				}
				f.Name = "envoy.filters.listener.proxy_protocol"
				f.ConfigType = &listenerv3.ListenerFilter_TypedConfig{TypedConfig: packed}
			}
		}
		packed, err := anypb.New(l)
		if err != nil {
			t.Fatal(err)
		}
		out.Resources = append(out.Resources, packed)
	}
	data, err := protojson.Marshal(out)
	if err == nil {
		err = os.WriteFile(file+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	boot.StaticResources.Listeners = nil
	boot.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{LdsConfig: &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{
			PathConfigSource: &corev3.PathConfigSource{Path: file},
		},
	}}
}
