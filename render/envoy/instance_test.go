package envoy

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// instancesOf is what each address of the test is an instance of.
var instancesOf = map[string]string{
	"127.0.0.11": "db", "127.0.0.12": "db", "127.0.0.21": "other", "127.0.0.31": "fixed", "127.0.0.32": "fixed",
	"127.0.0.41": "stranger",
}

// newInstances has a client whose requests are redirected. On the first port number it calls the StatefulSet db, the
// service fixed, whose instances are at another port, and an external with a wildcard; on the second db and the
// StatefulSet other.
func newInstances(t *testing.T) (m *ir.Mesh, first, second uint16, tries map[string]*counter) {
	t.Helper()
	authority, free := newAuthority(t), freePorts(t, 6)
	first, second = free[0], free[1]
	elsewhere := free[5]
	tries = map[string]*counter{}
	for ip, name := range instancesOf {
		tries[ip] = &counter{}
		for _, port := range []uint16{first, second, elsewhere} {
			if (name == "fixed") == (port == elsewhere) {
				servesAs(t, authority, name, ip, port, tries[ip])
			}
		}
	}
	ports := []ir.Port{
		{Name: "http", Number: first, Target: first, Protocol: ir.HTTP},
		{Name: "more", Number: second, Target: second, Protocol: ir.HTTP},
	}
	client := caller(t, authority, free[2])
	client.Explicit, client.Proxy.Interception, client.Proxy.Family = false, ir.InterceptRedirect, ir.IPv4
	client.Proxy.OutboundPort, client.Proxy.InboundPort = free[3], free[4]
	service := func(name string, w ir.Workload, ports ...ir.Port) *ir.Service {
		return &ir.Service{
			Upstream: ir.Upstream{
				Name: name, Namespace: "shop", Identity: identity(name), Workload: w, Ports: ports,
			},
			Proxy:  proxy(ir.InterceptRedirect),
			Guards: ir.Guards{Allow: []ir.Rule{{From: []ir.Peer{client.Peer()}, Paths: []string{"/*"}}}},
		}
	}
	set := func(name string) ir.Workload { return ir.Workload{Pods: &ir.Pods{Kind: ir.StatefulSet, Name: name}} }
	var at []ir.Endpoint
	for _, ip := range []string{"127.0.0.31", "127.0.0.32"} {
		at = append(at, ir.Endpoint{Name: ip, Address: ip, Ports: map[string]uint16{"http": elsewhere}, Weight: 1})
	}
	db := service("db", set("db"), ports...)
	db.Further = []string{"db-headless", "db.example.com"}
	path := func(text string) ir.Match { return ir.Match{Path: ir.PathMatch{Kind: ir.MatchExact, Value: text}} }
	db.Routes = []ir.Route{
		{Name: "moved", Match: path("/moved"), Redirect: &ir.Redirect{Path: "/to", Status: 301}},
		{
			Name: "elsewhere", Match: path("/elsewhere"), Rewrite: &ir.Rewrite{Path: &ir.PathRewrite{Prefix: "/rewritten"}},
			To: []ir.Destination{{Service: "fixed", Port: "http", Weight: 1}},
		},
		{
			Name: "again", Match: path("/fails"), To: []ir.Destination{{Service: "db", Weight: 1}},
			Traffic: ir.Traffic{Attempts: setting(uint32(2)), RetryOn: setting([]ir.RetryCondition{"unavailable"})},
		},
	}
	client.Uses = []ir.Use{
		{To: "db", Ports: []string{"http", "more"}, StatefulSets: []string{"db"}},
		{To: "fixed", Ports: []string{"http"}},
		{To: "other", Ports: []string{"more"}, StatefulSets: []string{"other"}},
		{To: "wild", External: true, Ports: []string{"http"}},
	}
	return &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic},
		Services: []*ir.Service{
			client, db, service("fixed", ir.Workload{Endpoints: at}, ports[0]), service("other", set("other"), ports[1]),
		},
		Externals: []*ir.External{{Name: "wild", Hosts: []string{"*.example.com"}, Ports: ports[:1]}},
	}, first, second, tries
}

// servesAs is the proxy of an instance of a service, which tells its address and what it was asked.
func servesAs(t *testing.T, a *authority, name, ip string, port uint16, tries *counter) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			tries.add()
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, "%s has %s%s", ip, r.Host, r.URL.Path)
	}))
	server.Listener.Close()
	var err error
	if server.Listener, err = net.Listen("tcp", net.JoinHostPort(ip, fmt.Sprint(port))); err != nil {
		t.Fatal(err)
	}
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{a.leaf(t, identity(name).String())},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: a.pool(),
	}
	server.StartTLS()
	t.Cleanup(server.Close)
}

// TestRequestsForOneInstance: a request that names an instance, or an address, reaches the address that its connection
// was made to, with whatever the routes of the service say but their destination; where that is no instance of the
// callee, it is refused, whatever its host says. The answers of Envoy are those of try, for random hosts. Users'
// reports: istio/istio#9666 (the names of pods are answered 404), istio/istio#36596 (what it costs to know all pods).
//
// Field: workload.statefulSet
func TestRequestsForOneInstance(t *testing.T) {
	m, first, second, tries := newInstances(t)
	boot, err := Bootstrap(m.ServiceScope(m.Service("client")), Options{Instance: "a"})
	if err != nil {
		t.Fatal(err)
	}
	listenersFrom(t, boot, filepath.Join(t.TempDir(), "listeners.json"))
	start(t, boot)
	var addresses []string
	for ip := range instancesOf {
		addresses = append(addresses, ip)
	}
	random, seen := rand.New(rand.NewPCG(1, 2)), map[string]int{}
	for range 300 {
		address, number := addresses[random.IntN(len(addresses))], []uint16{first, second}[random.IntN(2)]
		host := randomInstance(random, address)
		path := []string{"/", "/moved", "/elsewhere"}[random.IntN(3)]
		want := triedInstance(t, m, address, host, number, path)
		if want == "" {
			continue
		}
		seen[strings.Fields(want)[0]]++
		got := redirectedPath(t, m, address, number, fmt.Sprint(host, ":", number), path)
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s%s at %s:%d: got %q, try says %q", host, path, address, number, got, want)
		}
	}
	for _, status := range []string{"200", "301", "502", "503"} {
		if seen[status] == 0 {
			t.Errorf("no request was answered %s: %v", status, seen)
		}
	}
	if got := redirectedPath(t, m, "127.0.0.12", first, "db-1.db", "/fails"); !strings.HasPrefix(got, "503 127.0.0.12") {
		t.Errorf("what fails: %s", got)
	}
	for ip, count := range tries {
		if want := map[string]int{"127.0.0.12": 3}[ip]; count.get() != want {
			t.Errorf("%s got %d requests, and should %d", ip, count.get(), want)
		}
	}
	m.Service("client").Proxy.PassUndeclared = true
	scope := m.ServiceScope(m.Service("client"))
	if list := scope.Instances(first); len(list) != 2 {
		t.Errorf("where undeclared calls pass, addresses that nobody knows are a callee's: %v", list)
	}
}

// triedInstance is the beginning of the answer by try; "" where it leads to all instances, or out of the mesh.
func triedInstance(t *testing.T, m *ir.Mesh, address, host string, number uint16, path string) string {
	t.Helper()
	ways, _, err := try.Ways(m, try.Request{
		From: try.Sender{Kind: ir.KindService, Name: "client"}, Method: http.MethodGet, Scheme: "http",
		Host: strings.Trim(host, "[]"), Port: number, Path: path,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ways {
		there := true
		for _, c := range w.When {
			is := strings.HasPrefix(c.On, "whether "+instancesOf[address]+", with its certificate")
			there = there && c.Kind == try.OnDestination && is == (c.Is == "it is")
		}
		switch {
		case !there:
		case w.Answer != nil:
			return fmt.Sprint(w.Answer.Status)
		case w.Reaches[0].Address != "":
			return fmt.Sprintf("200 %s has %s:%d%s", address, strings.TrimSuffix(host, "."), number, w.Reaches[0].Path)
		default:
			return ""
		}
	}
	t.Fatalf("try knows no way of %s at %s", host, address)
	return ""
}

// randomInstance is a host that may name an instance, or the address.
func randomInstance(r *rand.Rand, address string) string {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	switch r.IntN(4) {
	case 0:
		return one(address, address, "127.0.0.31", "127.0.0.77", "[::1]", "127.0.0.1.shop")
	default:
		return one("db-0", "DB-17", "other-1", "db", "db-x", "x.db-0", "db-headless-0") + "." +
			one("db", "db.shop", "db.shop.svc", "db.shop.svc.cluster.local", "Db.shop.svc.cluster.local.", "db-headless",
				"other.shop", "db.other", "db.example.com")
	}
}
