package envoy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

// A pod's connection reaches the address that it was made to: a pod of the callee, one that nobody has told of yet
// included, or by the cluster IP of its Service one that the proxy chooses. By the port alone it reaches nobody: users
// had theirs brought to any service on that port (istio/istio#9784), or to any instance (hashicorp/consul#10162).
func TestPodsConnectToTheAddressTheyAsked(t *testing.T) {
	p := newPodCaller(t, "store")
	p.run(t, map[string]live.Addresses{"store": {Services: []string{"10.96.0.11"}}})
	p.reach(t, map[string]string{
		"127.0.0.11": "127.0.0.11", "127.0.0.12": "127.0.0.12", // which serve has not told of
		"127.0.0.14": "", // somebody else's identity
		"127.0.0.21": "",
		"127.0.0.99": "",
		"10.96.0.11": "127.0.0.11", // the only one that is ready
		"10.96.0.12": "", "192.0.2.7": "",
	})
}

// Two databases on one port are told apart by the addresses that meshc serve tells of.
// An address that is nobody's yet is closed, and one that two have does not cost the whole listener
// (hashicorp/consul#23620: the old owner's address stayed, Envoy refused the listener, and callers were led to the
// wrong service). What a pod that is told of has open stays open when others come and go.
func TestPodsTellCalleesOnOnePortApart(t *testing.T) {
	p := newPodCaller(t, "store", "other")
	all := func(instances ...string) map[string]live.Addresses {
		return map[string]live.Addresses{
			"store": {Services: []string{"10.96.0.11"}, Instances: instances},
			"other": {Services: []string{"10.96.0.21"}, Instances: []string{"127.0.0.11", "127.0.0.21"}},
		}
	}
	p.run(t, all("127.0.0.21", "127.0.0.14"))
	p.reach(t, map[string]string{
		"10.96.0.11": "127.0.0.11", "10.96.0.21": "127.0.0.21",
		"127.0.0.14": "", // somebody else's identity
		"127.0.0.12": "", // not told yet; neither is it led to web
		"127.0.0.99": "",
		"127.0.0.11": "", "127.0.0.21": "", // which others had before
	})
	p.tell(t, all("127.0.0.11", "127.0.0.12"))
	eventually(t, "the addresses as they are now", func() error {
		for _, ip := range []string{"127.0.0.11", "127.0.0.12", "127.0.0.21"} {
			conn, got := p.connect(t, ip)
			conn.Close()
			if got != ip {
				return fmt.Errorf("%s reaches %q", ip, got)
			}
		}
		return nil
	})
	open, _ := p.connect(t, "127.0.0.12")
	p.tell(t, map[string]live.Addresses{"store": {}, "other": all()["other"]})
	eventually(t, "the listener without store", func() error {
		conn, got := p.connect(t, "10.96.0.11")
		conn.Close()
		if got != "" {
			return errors.New("it is reached")
		}
		return nil
	})
	if _, err := io.WriteString(open, "still\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(open).ReadString('\n'); line != "still\n" {
		t.Errorf("a connection from before: %q, %v", line, err)
	}
}

// Beside HTTP on the same port a database in pods has the addresses that meshc serve tells of, and requests have the
// rest: they are told apart by their host, and bytes of something else are no request.
func TestPodsTellBytesFromRequests(t *testing.T) {
	p := newPodCaller(t, "store", "web")
	p.run(t, map[string]live.Addresses{
		"store": {Services: []string{"10.96.0.11"}, Instances: []string{"127.0.0.12"}},
	})
	p.reach(t, map[string]string{"10.96.0.11": "127.0.0.11", "127.0.0.12": "127.0.0.12"})
	conn := redirectedConn(t, p.app.Proxy.OutboundPort, "10.96.0.31", p.number)
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: nobody:%d\r\n\r\n", p.number)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusBadGateway {
		t.Errorf("HTTP beside them: %s", answer.Status)
	}
}

// A pod calls a service on hosts by the address of the Service that stands for it, which no host has.
func TestPodsCallHostsByTheirService(t *testing.T) {
	p := newPodCaller(t, "other")
	p.mesh.Service("other").Workload = ir.Workload{Endpoints: []ir.Endpoint{instance("127.0.0.21", p.number)}}
	p.run(t, map[string]live.Addresses{"other": {Services: []string{"10.96.0.21"}}})
	p.reach(t, map[string]string{
		"10.96.0.21": "127.0.0.21", "127.0.0.21": "127.0.0.21", "10.96.0.99": "", "127.0.0.11": "", "127.0.0.99": "",
	})
}

// Before meshc serve tells of an address, callees that share a port are not reached; nor is one by the other.
func TestPodsReachNobodyUntold(t *testing.T) {
	p := newPodCaller(t, "store", "other")
	p.run(t, nil)
	p.reach(t, map[string]string{"127.0.0.11": "", "127.0.0.21": "", "10.96.0.11": ""})
}

// podCaller is the proxy of a pod that calls services in pods on one port number.
type podCaller struct {
	mesh   *ir.Mesh
	app    *ir.Service
	number uint16
	file   string
}

func newPodCaller(t *testing.T, callees ...string) *podCaller {
	t.Helper()
	m, number := addressedMesh(t)
	p := &podCaller{mesh: m, app: m.Service("app"), number: number, file: filepath.Join(t.TempDir(), "listeners.json")}
	pods := func(s *ir.Service) { s.Workload.Pods = &ir.Pods{Kind: ir.StatefulSet, Name: s.Name} }
	web := &ir.Service{Upstream: ir.Upstream{
		Name: "web", Namespace: "shop", Identity: identity("web"),
		Ports: []ir.Port{{Name: "db", Number: number, Target: number, Protocol: ir.HTTP}},
	}}
	pods(web)
	m.Services = append(m.Services, web)
	for _, s := range []string{"app", "store", "other"} {
		pods(m.Service(s))
	}
	// What is ready: the cluster of each service, without DNS.
	m.Service("store").Workload.Endpoints = []ir.Endpoint{instance("127.0.0.11", number)}
	p.app.Workload.Endpoints, p.app.Uses = nil, nil
	for _, name := range callees {
		p.app.Uses = append(p.app.Uses, ir.Use{To: name, Ports: []string{"db"}})
	}
	return p
}

func (p *podCaller) run(t *testing.T, told map[string]live.Addresses) {
	t.Helper()
	start(t, p.bootstrap(t, told))
}

// tell has the running proxy told of other addresses.
func (p *podCaller) tell(t *testing.T, told map[string]live.Addresses) {
	t.Helper()
	p.bootstrap(t, told)
}

// bootstrap writes the listeners to the file that the proxy reads them from.
func (p *podCaller) bootstrap(t *testing.T, told map[string]live.Addresses) *bootstrapv3.Bootstrap {
	t.Helper()
	scope := p.mesh.ServiceScope(p.app)
	boot, err := Bootstrap(scope, Options{})
	if err != nil {
		t.Fatal(err)
	}
	settings := *scope.Settings
	scope.Settings, settings.Delivery = &settings, ir.DeliveryXDS
	r, err := Build(scope, Options{Watched: []string{"other", "store", "web"}, Addresses: told})
	if err == nil {
		boot.StaticResources = nil
		boot, err = Inline(boot, r, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	listenersFrom(t, boot, p.file)
	return boot
}

func (p *podCaller) reach(t *testing.T, want map[string]string) {
	t.Helper()
	for ip, want := range want {
		for range 3 {
			conn, got := p.connect(t, ip)
			conn.Close()
			if got != want {
				t.Errorf("%s reaches %q, want %q", ip, got, want)
			}
		}
	}
}

func (p *podCaller) connect(t *testing.T, ip string) (net.Conn, string) {
	t.Helper()
	return redirectedTo(t, p.app.Proxy.OutboundPort, ip, p.number)
}
