package local

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
)

// Each is refused by the callee's proxy: with 403, before its application.
func TestDenied(t *testing.T) {
	mesh := sharedShop(t)
	for _, c := range []struct {
		name        string
		client      *http.Client
		method, url string
		callee      string
		instances   []string
	}{
		{"a method that the gateway may not use", http.DefaultClient, "DELETE", mesh.Gateway("public").
			URL + "/denied", "frontend", []string{"a"}},
		{"a path that is not open to the gateway", http.DefaultClient, "POST", mesh.Gateway("public").
			URL + "/products/denied", "catalog", []string{"v1", "v2"}},
		{"a method that frontend may not use", mesh.As("frontend").
			Client(), "GET", "http://checkout:5050/shop.Checkout/Denied", "checkout", []string{"v1", "v2"}},
		{"a path that frontend may not use", mesh.As("frontend").
			Client(), "POST", "http://checkout:5050/admin.Checkout/Denied", "checkout", []string{"v1", "v2"}},
		{
			"a path below an exact one", mesh.As("checkout").Client(), "POST", "http://payment:9000/charge/denied",
			"payment",
			[]string{"a"},
		},
		{
			"an encoded spelling", mesh.As("checkout").Client(), "POST", "http://payment:9000/charge%2e%2e/denied",
			"payment",
			[]string{"a"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after uint64
			reached := func() (n int) {
				for _, i := range c.instances {
					n += mesh.Backend(c.callee, i).Total()
				}
				return n
			}
			total := reached()
			for _, i := range c.instances {
				before += counted(t, mesh, "service/"+c.callee+"/"+i, `rbac\.denied$`)
			}
			if a := send(t, c.client, c.method, c.url); a.status != http.StatusForbidden {
				t.Errorf("status %d, want 403: %s", a.status, a.body)
			}
			for _, i := range c.instances {
				after += counted(t, mesh, "service/"+c.callee+"/"+i, `rbac\.denied$`)
			}
			if after != before+1 {
				t.Errorf("the proxy of %s has denied %d requests, want 1", c.callee, after-before)
			}
			if reached() != total {
				t.Errorf("the request reached the application")
			}
		})
	}
}

func TestGRPCDenied(t *testing.T) {
	mesh := sharedShop(t)
	if call := mesh.As("frontend").
		Call(t.Context(), "checkout:/admin.Checkout/Denied", nil); call.Code != "PermissionDenied" {
		t.Errorf("call %+v, want PermissionDenied", call)
	}
	if call := mesh.As("frontend").Call(t.Context(), "checkout:/shop.Checkout/Place", nil); call.Code != "OK" {
		t.Errorf("call %+v, want OK", call)
	}
}

// asMember speaks to an inbound listener with a member's own certificate,
// without a proxy of its own that could refuse the call first.
func asMember(t *testing.T, m *Mesh, member string) *tls.Config {
	t.Helper()
	directory := filepath.Join(m.Directory(), member, "certificates")
	certificate, err := tls.LoadX509KeyPair(filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true}
}

func inbound(m *Mesh, service, port string) string {
	e := m.Placed().Service(service).Workload.Endpoints[0]
	return join(e.Address, e.Ports[port])
}

// A member that no rule names is refused, though its certificate is good.
func TestStrangerOfTheMeshIsDenied(t *testing.T) {
	mesh := sharedShop(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: asMember(t, mesh, "service/cart")}}
	defer client.CloseIdleConnections()
	if a := send(t, client, http.MethodPost, "https://"+inbound(mesh, "payment", "http")+
		"/charge"); a.status != http.StatusForbidden {
		t.Errorf("cart charges: status %d, want 403", a.status)
	}
	client = &http.Client{Transport: &http.Transport{TLSClientConfig: asMember(t, mesh, "service/checkout")}}
	defer client.CloseIdleConnections()
	if a := send(t, client, http.MethodPost, "https://"+inbound(mesh, "payment", "http")+
		"/charge"); a.status != http.StatusOK {
		t.Errorf("checkout charges: status %d, want 200: %s", a.status, a.body)
	}
}

// On a port of bytes a caller that no rule names finds its connection closed.
func TestConnectionDenied(t *testing.T) {
	mesh := sharedShop(t)
	if call := mesh.As("checkout").Call(t.Context(), "cart.admin", nil); call.Report == nil ||
		call.Report.Service != "cart" {
		t.Errorf("checkout's call: %+v", call)
	}
	total := mesh.Backend("cart", "a").Total()
	conn, err := tls.Dial("tcp", inbound(mesh, "cart", "admin"), asMember(t, mesh, "service/frontend"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "hello\n") // the proxy may have closed it already
	if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil || os.IsTimeout(err) {
		t.Errorf("frontend was answered %q, %v; want a closed connection", line, err)
	}
	if mesh.Backend("cart", "a").Total() != total {
		t.Error("the connection reached the application")
	}
}

// Every inbound listener of the shop wants a certificate of the mesh.
func TestPlaintextAndForeignCertificatesRefused(t *testing.T) {
	mesh := sharedShop(t)
	foreign, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range mesh.Placed().Services {
		for _, p := range s.Ports {
			t.Run(s.Name+" "+p.Name, func(t *testing.T) {
				address := inbound(mesh, s.Name, p.Name)
				total := mesh.Backend(s.Name, s.Workload.Endpoints[0].Name).Total()
				wantRefused(t, "plaintext", "http://"+address, nil)
				wantRefused(t, "TLS without a certificate", "https://"+address, &tls.Config{InsecureSkipVerify: true})
				wantRefused(t, "a certificate of another authority", "https://"+address, &tls.Config{
					InsecureSkipVerify: true, Certificates: []tls.Certificate{foreignCertificate(t, foreign, s)},
				})
				if mesh.Backend(s.Name, s.Workload.Endpoints[0].Name).Total() != total {
					t.Error("a request reached the application")
				}
			})
		}
	}
}

func wantRefused(t *testing.T, what, url string, config *tls.Config) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	a, err := trySend(t.Context(), &http.Client{Transport: transport, Timeout: 10 * time.Second}, http.MethodGet, url)
	if err == nil {
		t.Errorf("%s was answered with %d", what, a.status)
	} else if os.IsTimeout(err) {
		t.Errorf("%s was left without an answer: %v", what, err)
	}
}

// foreignCertificate has the identity of a caller that the service lets in.
func foreignCertificate(t *testing.T, authority *ca.Authority, s *ir.Service) tls.Certificate {
	t.Helper()
	directory := t.TempDir()
	if _, err := svid.DirectKeeper(authority, directory, s.Allow[0].From[0].Identity, time.Hour).
		Obtain(t.Context()); err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// A proxy accepts exactly the identity of the service that it meant to call: one
// that answers with another member's certificate gets no request.
func TestCalleeWithAnotherIdentityIsRefused(t *testing.T) {
	mesh := start(t, compile(t, shopDir))
	if a := send(t, mesh.As("frontend").Client(), http.MethodGet, "http://cart:7070/"); a.status != http.StatusOK {
		t.Fatalf("status %d before: %s", a.status, a.body)
	}
	// An impostor with a good certificate of the mesh, catalog's, stands where
	// cart did.
	address := inbound(mesh, "cart", "http")
	mesh.stopProxies(func(id string) bool { return id == "service/cart/a" })
	config := asMember(t, mesh, "service/catalog")
	impostor, err := app.Start(app.Config{
		Service: "impostor", Ports: []app.Port{{Name: "http", Protocol: "tls", Address: address}},
		Certificate: &config.Certificates[0],
	})
	if err != nil {
		t.Fatal(err)
	}
	defer impostor.Close()
	eventually(t, "a refused handshake", func() bool {
		send(t, mesh.As("frontend").Client(), http.MethodGet, "http://cart:7070/")
		return counted(t, mesh, "service/frontend/a", `ssl\.fail_verify_san$`) > 0
	})
	a := send(t, mesh.As("frontend").Client(), http.MethodGet, "http://cart:7070/")
	if a.status != http.StatusServiceUnavailable || impostor.Total() != 0 {
		t.Errorf("status %d, and the impostor got %d requests: %s", a.status, impostor.Total(), a.body)
	}
}
