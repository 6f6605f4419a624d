package local

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/codes"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
)

const rulesDir = "../../testdata/rules"

// ruled is the mesh of testdata/rules, which all tests share, with the keys and the
// authority that were made for it.
var ruled struct {
	sync.Mutex
	mesh    *Mesh
	keys    *keySet
	partner *ca.Authority
	second  *tls.Certificate // another root of the partner's
}

func rulesMesh(t testing.TB) *Mesh {
	t.Helper()
	ruled.Lock()
	defer ruled.Unlock()
	if ruled.mesh == nil {
		var err error
		if ruled.partner, err = ca.InMemory(); err != nil {
			t.Fatal(err)
		}
		ruled.second = selfSigned(t, &url.URL{Scheme: "spiffe", Host: "partner.example"}, time.Hour)
		ruled.keys = newKeySet(t)
		linked := compile(t, rulesDir, "bundle="+string(ruled.partner.Bundle())+string(svid.PEM(ruled.second.Leaf)),
			"keys="+ruled.keys.public(t))
		ruled.mesh = startUntilStopped(t, linked)
	}
	return ruled.mesh
}

// asked is the status that a service of the mesh gets for a request.
func asked(t *testing.T, from, url string, headers ...string) int {
	t.Helper()
	return send(t, rulesMesh(t).As(from).Client(), http.MethodGet, url, headers...).status
}

type rulesCase struct {
	from, url string
	headers   []string
	status    int
}

func judge(t *testing.T, cases []rulesCase) {
	t.Helper()
	for _, c := range cases {
		if status := asked(t, c.from, c.url, c.headers...); status != c.status {
			t.Errorf("%s, %s %q: status %d, want %d", c.from, c.url, c.headers, status, c.status)
		}
	}
}

// Rules let requests in by their headers, and callers by their namespace.
//
// Field: allow.headers
// Field: allow.from.namespaces
func TestAllowByHeaders(t *testing.T) {
	judge(t, []rulesCase{
		{"client", "http://headers:8080/", nil, 403},
		{"client", "http://headers:8080/", []string{"x-level", "high"}, 200},
		{"client", "http://headers:8080/", []string{"x-level", "higher"}, 403},
		{"client", "http://headers:8080/", []string{"X-Level", "high"}, 200},
		{"client", "http://headers:8080/", []string{"x-level", "HIGH"}, 403},
		{"client", "http://headers:8080/prefix", []string{"x-token", "t-1"}, 200},
		{"client", "http://headers:8080/prefix", []string{"x-token", "1-t"}, 403},
		{"client", "http://headers:8080/suffix", []string{"x-token", "1-t"}, 200},
		{"client", "http://headers:8080/present", []string{"x-token", "?"}, 200},
		{"client", "http://headers:8080/present", nil, 403},
		{"stranger", "http://headers:8080/namespace", nil, 200},
		{"client", "http://headers:8080/namespace", nil, 403},
		{"stranger", "http://headers:8080/", []string{"x-level", "high"}, 403},
	})
}

// A caller must come from the addresses that a rule names, besides being who it
// says.
//
// Field: allow.from.ipRanges
func TestAllowByAddress(t *testing.T) {
	judge(t, []rulesCase{
		{"client", "http://addresses:8080/here", nil, 200},
		{"client", "http://addresses:8080/here", []string{"x-forwarded-for", "10.0.0.1"}, 200},
		{"client", "http://addresses:8080/there", nil, 403},
		{"client", "http://addresses:8080/there", []string{"x-forwarded-for", "10.0.0.1"}, 403},
		{"stranger", "http://addresses:8080/there", []string{"x-real-ip", "10.0.0.1"}, 403},
	})
}

// Rules are about methods of gRPC; one with a time holds until it is over.
//
// Field: allow.grpc
// Field: allow.until
func TestAllowByMethodOfGRPC(t *testing.T) {
	mesh := rulesMesh(t)
	for _, c := range []struct{ from, call, code string }{
		{"client", "methods:/shop.Checkout/Place", codes.OK.String()},
		{"client", "methods:/shop.Checkout/Cancel", codes.PermissionDenied.String()},
		{"client", "methods:/shop.Cart/Place", codes.PermissionDenied.String()},
		{"stranger", "methods:/shop.Checkout/Cancel", codes.OK.String()},
		{"stranger", "methods:/shop.CheckoutAdmin/Cancel", codes.PermissionDenied.String()},
	} {
		if call := mesh.As(c.from).Call(t.Context(), c.call, nil); call.Code != c.code {
			t.Errorf("%s, %s: %+v, want %s", c.from, c.call, call, c.code)
		}
	}
}

// What deny takes back is refused, whatever allow says.
//
// Field: deny
// Field: allow.from.anyone
func TestDeny(t *testing.T) {
	judge(t, []rulesCase{
		{"client", "http://denied:8080/", nil, 200},
		{"client", "http://denied:8080/admin/users", nil, 403},
		{"client", "http://denied:8080//admin/users", nil, 403},
		{"client", "http://denied:8080/x/../admin/users", nil, 403},
		{"stranger", "http://denied:8080/admin/users", nil, 200},
		{"stranger", "http://denied:8080/", []string{"x-debug", ""}, 403},
		{"client", "http://denied:8080/", []string{"x-debug", "1"}, 403},
	})
	if call := rulesMesh(t).As("client").Call(t.Context(), "denied.bytes", nil); call.Report == nil {
		t.Errorf("client's bytes: %+v", call)
	}
	if call := rulesMesh(t).As("stranger").Call(t.Context(), "denied.bytes", nil); call.Report != nil {
		t.Errorf("stranger's bytes were answered: %+v", call)
	}
}

// A rule that is audited changes nothing, and what it would do is logged: who, what
// and which rule, without the query.
//
// Field: allow.mode
// Field: allow.name
func TestAudit(t *testing.T) {
	judge(t, []rulesCase{
		{"client", "http://audited:8080/open", nil, 200},
		{"client", "http://audited:8080/old?secret=1", nil, 200},
		{"client", "http://audited:8080/new?secret=1", nil, 403},
		{"stranger", "http://audited:8080/old", nil, 200},
	})
	type line struct{ Audit, Rule, Caller, Path, Method, Service string }
	var got []line
	log := filepath.Join(rulesMesh(t).Directory(), "service", "audited", "a", "envoy.log")
	eventually(t, "two lines of audit", func() bool {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for text := range strings.Lines(string(data)) {
			var l line
			if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &l) == nil && l.Audit != "" {
				got = append(got, l)
			}
		}
		return len(got) >= 2
	})
	const caller = "spiffe://rules.example/ns/near/sa/client"
	want := []line{
		{"deny", "what would be denied mesh.cue:91:10", caller, "/old", "GET", "audited"},
		{"allow", "what would be allowed mesh.cue:89:4", caller, "/new", "GET", "audited"},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("the log has %+v, want %+v", got, want)
	}
}

// as is a client that speaks to an inbound listener with a certificate of the
// authority, or without one.
func as(t *testing.T, authority *ca.Authority, id string) *http.Client {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true}
	if authority != nil {
		c, err := authority.Certificate(spiffeid.RequireFromString(id), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{*c}
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// Rules let identities in, of the mesh and of other trust domains; whose roots are
// believed for their own identities alone.
//
// Field: allow.from.identities
// Field: mesh.trustDomains
func TestForeignIdentities(t *testing.T) {
	mesh := rulesMesh(t)
	address := "https://" + inbound(mesh, "patterns", "http")
	own := mesh.authority
	for _, c := range []struct {
		authority *ca.Authority
		id, path  string
		status    int // 0 for a refused handshake
	}{
		{own, "spiffe://rules.example/ns/near/sa/client", "/own", 200},
		{own, "spiffe://rules.example/ns/near/sa/other", "/own", 403},
		{own, "spiffe://rules.example/ns/near/sa/other", "/anyone", 200},
		{ruled.partner, "spiffe://partner.example/ns/shop/sa/web", "/partner", 200},
		{ruled.partner, "spiffe://partner.example/ns/shop/sa/web", "/many", 403},
		{ruled.partner, "spiffe://partner.example/ns/shop/sa/web", "/anyone", 403},
		{ruled.partner, "spiffe://partner.example/ns/many/sa/x", "/many", 200},
		{ruled.partner, "spiffe://partner.example/ns/many/sa/x", "/partner", 403},
		{ruled.partner, "spiffe://partner.example/ns/shop/sa/webs", "/partner", 0},
		{ruled.partner, "spiffe://partner.example/ns/manyfold/sa/x", "/many", 0},
		// The partner signs an identity of the mesh, and the mesh one of the partner's.
		{ruled.partner, "spiffe://rules.example/ns/near/sa/client", "/own", 0},
		{own, "spiffe://partner.example/ns/shop/sa/web", "/partner", 0},
	} {
		a, err := trySend(t.Context(), as(t, c.authority, c.id), http.MethodGet, address+c.path)
		if a.status != c.status || (err == nil) != (c.status != 0) {
			t.Errorf("%s %s: status %d, %v; want %d", c.id, c.path, a.status, err, c.status)
		}
	}
	// Where no rule names the partner, its certificates are none.
	if a, err := trySend(t.Context(), as(t, ruled.partner, "spiffe://partner.example/ns/shop/sa/web"), http.MethodGet,
		"https://"+inbound(mesh, "headers", "http")+"/"); err == nil {
		t.Errorf("headers answered the partner: %d", a.status)
	}
}

// A certificate that the partner signs for several identities, or for one that is none,
// opens no door: above all none of the mesh's own.
func TestSeveralIdentities(t *testing.T) {
	mesh := rulesMesh(t)
	address := "https://" + inbound(mesh, "patterns", "http")
	const partner, own = "spiffe://partner.example/ns/shop/sa/web", "spiffe://rules.example/ns/near/sa/client"
	for _, c := range []struct {
		ids    []string
		path   string
		status int // 0 for a connection that is closed
	}{
		{[]string{partner}, "/partner", 200},
		{[]string{partner, "spiffe://partner.example/ns/many/sa/x"}, "/partner", 0},
		{[]string{"spiffe://partner.example/ns/many/sa/x", partner}, "/partner", 0},
		{[]string{partner, partner}, "/partner", 0},
		{[]string{partner, "https://partner.example/"}, "/partner", 0},
		{[]string{partner, own}, "/own", 0},
		{[]string{own, partner}, "/own", 0},
		{[]string{partner, own}, "/partner", 0},
		{[]string{"spiffe://partner.example/ns/nobody", own}, "/own", 0},
		{[]string{"spiffe://partner.example/ns/many/../shop/sa/x"}, "/many", 0},
		{[]string{"spiffe://partner.example/ns/many//sa/x"}, "/many", 0},
		{[]string{"spiffe://partner.example/ns/many/."}, "/many", 0},
		{[]string{"spiffe://partner.example/ns/many/"}, "/many", 0},
		{[]string{"spiffe://partner.example/ns/many/a%2fb"}, "/many", 0},
		{[]string{"spiffe://partner.example/ns/many/a?b"}, "/many", 0},
	} {
		client := clientWith(t, signedFor(t, ruled.second, c.ids...))
		a, err := trySend(t.Context(), client, http.MethodGet, address+c.path)
		if a.status != c.status || (err == nil) != (c.status != 0) {
			t.Errorf("%q %s: status %d, %v; want %d", c.ids, c.path, a.status, err, c.status)
		}
	}
}

// A certificate with one identity that claims another by the side, or that could sign for others, opens no door.
func TestIdentityByTheSide(t *testing.T) {
	mesh := rulesMesh(t)
	address := "https://" + inbound(mesh, "patterns", "http")
	const partner, own = "spiffe://partner.example/ns/shop/sa/web", "spiffe://rules.example/ns/near/sa/client"
	for name, c := range map[string]struct {
		edit   func(*x509.Certificate)
		path   string
		status int // 0 for a connection that is closed
	}{
		"nothing": {func(*x509.Certificate) {}, "/partner", 200},
		"DNS name": {
			func(c *x509.Certificate) { c.DNSNames = []string{"web.partner.example"} }, "/partner",
			200,
		},
		"DNS name, own": {func(c *x509.Certificate) { c.DNSNames = []string{own} }, "/own", 0},
		"DNS name, same": {func(c *x509.Certificate) {
			c.DNSNames = []string{"a.example", "SPIFFE://partner.example/ns/many/sa/x"}
		}, "/partner", 0},
		"common name": {func(c *x509.Certificate) { c.Subject.CommonName = own }, "/own", 403},
		"authority": {
			func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true }, "/partner",
			0,
		},
		"signs certificates": {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, "/partner", 0},
		"signs revocations":  {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }, "/partner", 0},
		"authority that signs": {func(c *x509.Certificate) {
			c.BasicConstraintsValid, c.IsCA, c.KeyUsage = true, true, c.KeyUsage|x509.KeyUsageCertSign
		}, "/partner", 0},
	} {
		a, err := trySend(t.Context(), clientWith(t, signed(t, ruled.second, c.edit, partner)), http.MethodGet,
			address+c.path)
		if a.status != c.status || (err == nil) != (c.status != 0) {
			t.Errorf("%s: status %d, %v; want %d", name, a.status, err, c.status)
		}
	}
}

// clientWith is a client that shows that certificate.
func clientWith(t *testing.T, c *tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true,
		Certificates:       []tls.Certificate{*c},
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// signedFor is a leaf with all those identities.
func signedFor(t *testing.T, root *tls.Certificate, ids ...string) *tls.Certificate {
	t.Helper()
	return signed(t, root, func(*x509.Certificate) {}, ids...)
}

// signed is a leaf with all those identities, and what edit makes of it.
func signed(t *testing.T, root *tls.Certificate, edit func(*x509.Certificate), ids ...string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, id := range ids {
		u, err := url.Parse(id)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, root.Leaf, key.Public(), root.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Who comes without TLS gets what rules say of plaintext, where the service is
// permissive, and cannot say who it is.
//
// Field: mtls
// Field: allow.from.plaintext
func TestPermissive(t *testing.T) {
	mesh := rulesMesh(t)
	plain := "http://" + inbound(mesh, "plain", "http")
	for path, status := range map[string]int{"/open": 200, "/members": 403, "/other": 403} {
		a := send(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, http.MethodGet, plain+path,
			"x-forwarded-client-cert", "URI=spiffe://rules.example/ns/near/sa/client", "x-user", "root")
		if a.status != status {
			t.Errorf("plaintext %s: status %d, want %d", path, a.status, status)
		}
		if a.report != nil && (a.report.Peer != "" || a.report.Headers["x-user"] != "") {
			t.Errorf("the application was told who calls: %+v", a.report)
		}
	}
	judge(t, []rulesCase{{"client", "http://plain:8080/open", nil, 200}, {
		"client", "http://plain:8080/members", nil,
		200,
	}})
	if _, err := trySend(t.Context(), as(t, nil, ""), http.MethodGet, "https://"+inbound(mesh, "plain", "http")+
		"/open"); err == nil {
		t.Error("TLS without a certificate was answered")
	}
}
