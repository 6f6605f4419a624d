package envoy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// calleeCertificates are ways in which a certificate of the right identity, signed by the mesh's authority, can be
// none that a caller believes.
var calleeCertificates = map[string]struct {
	edit     func(*x509.Certificate)
	believed bool
}{
	"leaf":              {func(*x509.Certificate) {}, true},
	"dns":               {func(c *x509.Certificate) { c.DNSNames = []string{"a.example"} }, true},
	"authority":         {func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true }, false},
	"signs":             {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, false},
	"signs-revocations": {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }, false},
	"any-use":           {func(c *x509.Certificate) { c.KeyUsage = 0 }, false},
	"foreign-and-own":   {func(c *x509.Certificate) { c.URIs = append([]*url.URL{foreignURI()}, c.URIs...) }, false},
	"foreign":           {func(c *x509.Certificate) { c.URIs = []*url.URL{foreignURI()} }, false},
	// A DNS name is not an identity of a callee, whatever it spells: it neither makes nor spoils one.
	"dns-alone": {func(c *x509.Certificate) {
		c.DNSNames, c.URIs = []string{c.URIs[0].String()}, nil
	}, false},
	"dns-for-other": {func(c *x509.Certificate) {
		c.DNSNames, c.URIs = []string{c.URIs[0].String()}, []*url.URL{otherURI()}
	}, false},
	"dns-beside": {func(c *x509.Certificate) { c.DNSNames = []string{otherURI().String()} }, true},
	"other":      {func(c *x509.Certificate) { c.URIs = []*url.URL{otherURI()} }, false},
	// What Envoy cannot refuse: another identity beside that of the callee, where the first is one of the mesh.
	"own-and-other":   {func(c *x509.Certificate) { c.URIs = append(c.URIs, otherURI()) }, true},
	"other-and-own":   {func(c *x509.Certificate) { c.URIs = append([]*url.URL{otherURI()}, c.URIs...) }, true},
	"own-and-foreign": {func(c *x509.Certificate) { c.URIs = append(c.URIs, foreignURI()) }, true},
	"own-and-no-id": {func(c *x509.Certificate) {
		c.URIs = append(c.URIs, &url.URL{Scheme: "https", Host: "partner.example", Path: "/"})
	}, true},
	"authority-and-sign": {func(c *x509.Certificate) {
		c.BasicConstraintsValid, c.IsCA, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}, false},
}

func foreignURI() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: "partner.example", Path: "/ns/shop/sa/other"}
}

func otherURI() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: trustDomain, Path: "/ns/shop/sa/stranger"}
}

// TestCalleeCertificates has a real Envoy call servers that show such certificates.
func TestCalleeCertificates(t *testing.T) {
	a, free := newAuthority(t), freePorts(t, len(calleeCertificates)+1)
	client := &ir.Service{Upstream: ir.Upstream{
		Name: "client", Namespace: "shop", Identity: identity("client"),
		Explicit: true,
	}, Proxy: proxy(ir.InterceptExplicit)}
	client.Proxy.AdminPort, client.Proxy.CertificateDirectory = free[0], a.directory(t, client.Identity.String())
	client.Workload.Endpoints = []ir.Endpoint{{Name: "a", Address: "127.0.0.1"}}
	m := &ir.Mesh{
		Settings: ir.Settings{Name: "shop", TrustDomain: trustDomain, Delivery: ir.DeliveryStatic},
		Services: []*ir.Service{client},
	}
	names := slices.Sorted(maps.Keys(calleeCertificates))
	binds := map[string]string{}
	for i, name := range names {
		s := httptest.NewUnstartedServer(http.HandlerFunc(answers))
		s.EnableHTTP2, s.Config.ErrorLog = true, log.New(io.Discard, "", 0)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{a.leafWith(t, identity(name).
			String(), calleeCertificates[name].edit)}}
		s.StartTLS()
		t.Cleanup(s.Close)
		callee := &ir.Service{Upstream: ir.Upstream{
			Name: name, Namespace: "shop", Identity: identity(name),
			Explicit: true,
		}, Proxy: proxy(ir.InterceptExplicit)}
		callee.Ports = []ir.Port{{Name: "http", Number: 1, Target: 1, Protocol: ir.HTTP}}
		callee.Workload.Endpoints = []ir.Endpoint{{
			Name: "a", Address: "127.0.0.1", Weight: 1,
			Ports: map[string]uint16{"http": portOf(s.Listener)},
		}}
		binds[name] = fmt.Sprintf("127.0.0.1:%d", free[1+i])
		m.Services = append(m.Services, callee)
		client.Uses = append(client.Uses, ir.Use{
			To: name, Ports: []string{"http"},
			Binds: map[string]string{"http": binds[name]},
		})
	}
	sortByName(m.Services, func(s *ir.Service) string { return s.Name })
	boot, err := Bootstrap(m.ServiceScope(client), Options{Instance: "a"})
	if err != nil {
		t.Fatal(err)
	}
	start(t, boot)
	for _, name := range names {
		code, body := get(t, "http://"+binds[name]+"/open/a")
		if want := calleeCertificates[name].believed; want != (code == http.StatusOK) ||
			!want && code != http.StatusServiceUnavailable {
			t.Errorf("%s: got %d %q", name, code, body)
		}
	}
}

// TestServerCertificates has real Envoys that start ask servers that show such certificates for their configuration.
func TestServerCertificates(t *testing.T) {
	a := newAuthority(t)
	for _, name := range []string{"leaf", "authority", "foreign-and-own", "dns-alone", "dns-for-other", "own-and-other"} {
		t.Run(name, func(t *testing.T) {
			m := shop(ir.DeliveryXDS)
			s := m.Service("cart")
			leaf := a.leafWith(t, m.ServerIdentity().String(), calleeCertificates[name].edit)
			l := listen(t)
			s.Proxy.Server = net.JoinHostPort("127.0.0.1", fmt.Sprint(portOf(l)))
			s.Proxy.AdminPort, s.Proxy.CertificateDirectory = freePorts(t, 1)[0], a.directory(t, s.Identity.String())
			boot, err := Bootstrap(m.ServiceScope(s), Options{Instance: "a"})
			if err != nil {
				t.Fatal(err)
			}
			launch(t, boot)
			if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
				t.Fatal(err)
			}
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			shaken := tls.Server(c, &tls.Config{
				Certificates: []tls.Certificate{leaf},
				ClientAuth:   tls.RequireAnyClientCert, NextProtos: []string{"h2"},
			})
			if err := shaken.HandshakeContext(t.Context()); (err == nil) != calleeCertificates[name].believed {
				t.Errorf("the handshake: %v", err)
			}
		})
	}
}
