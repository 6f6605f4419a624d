package local

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
)

// hostileMesh has each kind of port that takes certificates of the mesh.
const hostileMesh = `package hostile

_bundle: string @tag(bundle)
mesh: {name: "hostile", trustDomain: "hostile.example", trustDomains: "partner.example": bundle: _bundle}
mesh: telemetry: metrics: scraper: identity: "spiffe://hostile.example/ns/default/sa/client"

services: [name=string]: workload: deployment: name
services: client: uses: {target: {}, outside: {}}
services: target: {
	ports: {http: {port: 8080, protocol: "http"}, grpc: {port: 8081, protocol: "grpc"}}
	ports: bytes: {port: 9000, protocol: "tcp"}
	allow: [
		{from: services: ["client"]},
		{from: identities: ["spiffe://partner.example/ns/default/sa/client", "spiffe://partner.example/ns/many/*"]},
	]
	silence: MC1703: "what partners may be called"
}
external: outside: {
	hosts: ["outside.example"], ports: {http: {port: 80, protocol: "http"}, bytes: {port: 90, protocol: "tcp"}}
	via: "exit"
}
gateways: exit: {egress: {}, uses: outside: {}}
`

// The kinds of names in a subjectAltName (RFC 5280, section 4.2.1.6).
const (
	otherName, mailName, dnsName, uriName, addressName, registeredName = 0, 1, 2, 6, 7, 8
)

// names is a subjectAltName with those values, one kind after the other, as crypto/x509 would not write it.
func names(t *testing.T, kindsAndValues ...any) pkix.Extension {
	t.Helper()
	var list []asn1.RawValue
	for i := 0; i < len(kindsAndValues); i += 2 {
		kind := kindsAndValues[i].(int)
		list = append(list, asn1.RawValue{
			Class: asn1.ClassContextSpecific, Tag: kind, IsCompound: kind == otherName,
			Bytes: []byte(kindsAndValues[i+1].(string)),
		})
	}
	value, err := asn1.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}
}

// shape is a certificate that somebody may show.
type shape struct {
	name string
	good bool // whether it is that of the identity
	edit func(*x509.Certificate)
}

// shapes are certificates with an identity, and with much that looks like it.
func shapes(t *testing.T, id, other string) []shape {
	t.Helper()
	san := func(kindsAndValues ...any) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, names(t, kindsAndValues...)) }
	}
	of := func(uri string) func(*x509.Certificate) { return san(uriName, uri) }
	and := func(edits ...func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, edit := range edits {
				edit(c)
			}
		}
	}
	domain, path, _ := strings.Cut(strings.TrimPrefix(id, "spiffe://"), "/")
	out := []shape{
		{"its identity", true, of(id)},
		{"a DNS name too", true, san(uriName, id, dnsName, "client.example")},
		{"a mail address that spells another identity", true, san(uriName, id, mailName, other)},
		{"an IP address too", true, san(uriName, id, addressName, "\x7f\x00\x00\x01")},
		{"no name but its subject", false, func(c *x509.Certificate) { c.Subject.CommonName = id }},
		{"two identities", false, san(uriName, id, uriName, other)},
		{"two identities, the other first", false, san(uriName, other, uriName, id)},
		{"its identity twice", false, san(uriName, id, uriName, id)},
		{"a web address too", false, san(uriName, id, uriName, "https://client.example/")},
		{"an empty URI too", false, san(uriName, id, uriName, "")},
		{"an empty URI first", false, san(uriName, "", uriName, id)},
		{"two names of SAN", false, and(of(other), of(id))},
		{"a DNS name that spells an identity", false, san(uriName, id, dnsName, other)},
		{"a DNS name that spells one in upper case", false, san(uriName, id, dnsName, strings.ToUpper(other))},
		{"a DNS name that ends as one", false, san(uriName, id, dnsName, "a,"+other)},
		{"a DNS name alone", false, san(dnsName, id)},
		{"a mail address alone", false, san(mailName, id)},
		{"another kind of name alone", false, san(otherName, "\x06\x03\x2a\x03\x04\xa0\x02\x0c\x00")},
		{"a registered name alone", false, san(registeredName, "\x2a\x03\x04")},
		{"is an authority", false, and(of(id), func(c *x509.Certificate) {
			c.BasicConstraintsValid, c.IsCA = true, true
		})},
		{"signs certificates", false, and(of(id), func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })},
		{"signs lists", false, and(of(id), func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign })},
		{"has ended", false, and(of(id), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })},
		{"begins tomorrow", false, and(of(id), func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(24 * time.Hour)
			c.NotAfter = c.NotBefore.Add(time.Hour)
		})},
		{"a critical extension", false, and(of(id), func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{
				Id: asn1.ObjectIdentifier{2, 25, 7}, Critical: true, Value: []byte{5, 0},
			})
		})},
	}
	for _, uri := range []string{
		id + "/", id + "//", id + "/.", id + "/..", id + "/%2e", id + "%00", id + "\x00", id + "\n", id + " ", id + "x",
		id + "?a=b", id + "?", id + "#a", id + "#", id + ";a", id + ",", id + "," + other, other + "," + id, "," + id,
		id + "\\", id + "*", " " + id, "\x00" + id, strings.ToUpper(id), "", "spiffe://", "spiffe:///" + path,
		"SPIFFE://" + domain + "/" + path, "spiffe:/" + domain + "/" + path, "https://" + domain + "/" + path,
		"spiffe://" + strings.ToUpper(domain) + "/" + path, "spiffe://" + domain + "./" + path,
		"spiffe://" + domain + ":443/" + path, "spiffe://a@" + domain + "/" + path,
		"spiffe://" + domain + "//" + path, "spiffe://" + domain + "/./" + path, "spiffe://" + domain + "/a/../" + path,
		"spiffe://" + domain + "/%6es" + path[2:], "spiffe://" + domain + "/" + strings.ToUpper(path),
		"spiffe://" + domain, "spiffe://" + domain + "/", "spiffe://" + domain + ".evil/" + path,
		"spiffe://evil." + domain + "/" + path, "spiffe://" + domain + "/ns/many", "spiffe://" + domain + "/ns/many/",
		"spiffe://" + domain + "/ns/many/é", "spiffe://" + domain + "/ns/many/../default/sa/client",
		"spiffe://" + domain + "/ns/many//a", "spiffe://" + domain + "/ns/many/a%2fb",
		"spiffe://" + domain + "/ns/many/a\nb", "spiffe://" + domain + "/ns/many/a," + id,
	} {
		out = append(out, shape{fmt.Sprintf("the URI %.90q", uri), false, of(uri)})
	}
	return out
}

// Whoever signs it: a certificate that is not that of one identity opens no port of any kind, and no door of meshc
// serve.
func TestCertificatesOfHostileAuthorities(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	authority, err := ca.Open(dir, secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	signing := filepath.Join(dir, "1", "intermediate.")
	own, err := tls.LoadX509KeyPair(signing+"crt", signing+"key")
	if err != nil {
		t.Fatal(err)
	}
	partner := selfSigned(t, &url.URL{Scheme: "spiffe", Host: "partner.example"}, time.Hour)
	repository := laidOut(t, map[string]string{"mesh.cue": hostileMesh})
	mesh, err := Start(t.Context(), Options{
		Mesh: compile(t, repository, "bundle="+string(svid.PEM(partner.Leaf))), Authority: authority,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
	ports := portsFor(mesh)
	for _, issuer := range []struct {
		of, domain string
		root       *tls.Certificate
		opens      []string
	}{
		{"the mesh's authority", "hostile.example", &own, []string{
			"http", "http2", "grpc", "tcp", "egress", "egress tcp", "scraper", "xds",
		}},
		{"the partner's", "partner.example", partner, []string{"http", "http2", "grpc", "tcp"}},
		{"the partner's for the mesh", "hostile.example", partner, nil},
		{"the mesh's for the partner", "partner.example", &own, nil},
	} {
		id, other := "spiffe://"+issuer.domain+"/ns/default/sa/client", "spiffe://hostile.example/ns/default/sa/target"
		may := map[string]bool{}
		for _, port := range issuer.opens {
			may[port] = true
		}
		for _, s := range shapes(t, id, other) {
			c := signed(t, issuer.root, s.edit)
			if issuer.root == &own {
				c.Certificate = append(c.Certificate, own.Certificate...)
			}
			for port, opens := range ports {
				if got := opens(t, c); got != (s.good && may[port]) {
					t.Errorf("%s, %s, %s: opens: %t", issuer.of, s.name, port, got)
				}
			}
		}
	}
}

// portsFor are the ports of the mesh that take certificates, each with what a client does there.
func portsFor(mesh *Mesh) map[string]func(*testing.T, *tls.Certificate) bool {
	egress := mesh.Placed().Gateway("exit").Egress
	exit := join(egress.Host, egress.Port)
	http1, http2 := []string{"http/1.1"}, []string{"h2"}
	return map[string]func(*testing.T, *tls.Certificate) bool{
		"http":       opensHTTP(inbound(mesh, "target", "http"), "target", "", http1),
		"http2":      opensHTTP(inbound(mesh, "target", "http"), "target", "", http2),
		"grpc":       opensHTTP(inbound(mesh, "target", "grpc"), "target", "", http2),
		"tcp":        opensTCP(inbound(mesh, "target", "bytes"), ""),
		"egress":     opensHTTP(exit, "outside.example", "http.outside.egress", http2),
		"egress tcp": opensTCP(exit, "bytes.outside.egress"),
		"scraper":    opensHTTP(metricsAt(mesh, "service", "target"), "x", "", http1),
		"xds":        opensXDS(mesh.control.server.Addr()),
	}
}

func showing(c *tls.Certificate, sni string, protocols ...string) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, ServerName: sni, NextProtos: protocols,
		// Even one that the server does not ask for.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil },
	}
}

// opensHTTP asks for what an application, or an administration, answers.
func opensHTTP(address, host, sni string, protocols []string) func(*testing.T, *tls.Certificate) bool {
	return func(t *testing.T, c *tls.Certificate) bool {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: showing(c, sni, protocols...), DisableKeepAlives: true}
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(protocols[0] == "http/1.1")
		transport.Protocols.SetHTTP2(protocols[0] == "h2")
		client := &http.Client{Timeout: 30 * time.Second, Transport: transport}
		defer client.CloseIdleConnections()
		a, err := trySend(t.Context(), client, http.MethodGet, "https://"+address+"/metrics", "host", host)
		return err == nil && a.status == http.StatusOK
	}
}

// opensTCP sends a line, which comes back.
func opensTCP(address, sni string) func(*testing.T, *tls.Certificate) bool {
	return func(t *testing.T, c *tls.Certificate) bool {
		t.Helper()
		conn, err := (&tls.Dialer{Config: showing(c, sni)}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return false
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "hello\n") // it may be closed
		n, err := conn.Read(make([]byte, 64))
		if late, ok := err.(net.Error); ok && late.Timeout() {
			t.Errorf("%s neither answers nor closes", address)
		}
		return n > 0
	}
}

// opensXDS asks for the configuration of the client's proxy.
func opensXDS(address string) func(*testing.T, *tls.Certificate) bool {
	return func(t *testing.T, c *tls.Certificate) bool {
		t.Helper()
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(showing(c, "", "h2"))))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
		if err != nil {
			return false
		}
		_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{ // its end is read below
			Node:    &corev3.Node{Id: "service/client/b", UserAgentName: "envoy"},
			TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
		})
		_, err = stream.Recv()
		return err == nil
	}
}

// A client outside the mesh may have a certificate that spells the identity of a member, signed by the authority whose
// clients a gateway takes: the application behind is told the gateway's identity, and nothing of the client's.
func TestClientsAreNobodyInside(t *testing.T) {
	mesh := trafficMesh(t)
	stubs := mesh.applications.stubs
	root := &tls.Certificate{PrivateKey: stubs.key, Leaf: stubs.certificate}
	member := mesh.Placed().Service("client").Identity.String()
	gateway := mesh.Placed().Gateway("edge").Identity.String()
	for name, edit := range map[string]func(*x509.Certificate){
		"its identity": func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{names(t, uriName, member)}
		},
		"its identity and a name": func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{names(t, uriName, member, dnsName, "client.example")}
			c.Subject.CommonName = member
		},
		"the gateway's identity": func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{names(t, uriName, gateway)}
		},
		"a DNS name that spells it":  func(c *x509.Certificate) { c.DNSNames = []string{member} },
		"a subject that spells it":   func(c *x509.Certificate) { c.Subject.CommonName = member },
		"a subject that ends fields": func(c *x509.Certificate) { c.Subject.CommonName = `";URI=` + member + `,By="` },
		"a DNS name that ends fields": func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{names(t, dnsName, `a";URI=`+member+`;By="`)}
		},
	} {
		for _, listener := range []string{"mutual", "mutual-optional"} {
			client, address := edge(t, listener, "shop.example", func(config *tls.Config) {
				config.Certificates = []tls.Certificate{*signed(t, root, edit)}
			})
			report := get(t, client, "https://"+address+"/api/rewrite/x", "host", "shop.example",
				"x-forwarded-client-cert", "URI="+member)
			told := fmt.Sprint(report.Headers)
			if report.Peer != gateway || strings.Contains(told, member) || strings.Contains(told, "client.example") {
				t.Errorf("%s, %s: the application sees the peer %q, with %s", name, listener, report.Peer, told)
			}
		}
	}
}
