package enroll_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/identity/svid"
)

// TestRefused: whoever has not proved to be it gets no certificate.
func TestRefused(t *testing.T) {
	r := start(t)
	other, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	certificate := func(a *ca.Authority, id spiffeid.ID) *tls.Certificate {
		c, err := a.Certificate(id, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	foreignToken, err := other.IssueToken(r.server, cart, time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	used := string(r.token(t, cart).Reveal())
	first := enroll.Request{Request: request(t, x509.CertificateRequest{}, nil), Token: used}
	if status, text := r.send(t, first, nil); status != http.StatusOK {
		t.Fatalf("a good token: %d %s", status, text)
	}
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plain := request(t, x509.CertificateRequest{}, nil)
	stranger := spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/stranger")
	broken := strings.Replace(plain, "A", "B", 1)
	for name, c := range map[string]struct {
		body        any
		certificate *tls.Certificate
		status      int
		want        string
	}{
		"nothing to prove it":             {enroll.Request{Request: plain}, nil, 403, "neither a token nor a valid certificate"},
		"a token that was used":           {enroll.Request{Request: plain, Token: used}, nil, 403, "was already used"},
		"a token of another authority":    {enroll.Request{Request: plain, Token: foreignToken}, nil, 403, "not valid"},
		"words for a token":               {enroll.Request{Request: plain, Token: "a.b.c"}, nil, 403, "not valid"},
		"a token of no member":            {enroll.Request{Request: plain, Token: string(r.token(t, stranger).Reveal())}, nil, 403, "is not a member of the mesh"},
		"a token for another identity":    {enroll.Request{Request: request(t, x509.CertificateRequest{URIs: []*url.URL{payment.URL()}}, nil), Token: string(r.token(t, cart).Reveal())}, nil, 400, "other names"},
		"another's certificate":           {enroll.Request{Request: request(t, x509.CertificateRequest{URIs: []*url.URL{payment.URL()}}, nil)}, certificate(r.Authority, cart), 400, "other names"},
		"the server's own certificate":    {enroll.Request{Request: plain}, certificate(r.Authority, r.server), 403, "is not a member of the mesh"},
		"a certificate of another":        {enroll.Request{Request: plain}, certificate(other, cart), 0, ""},
		"a request with a DNS name":       {enroll.Request{Request: request(t, x509.CertificateRequest{DNSNames: []string{"bank.example"}}, nil)}, certificate(r.Authority, cart), 400, "other names"},
		"a request with an address":       {enroll.Request{Request: request(t, x509.CertificateRequest{IPAddresses: []net.IP{{10, 0, 0, 1}}}, nil)}, certificate(r.Authority, cart), 400, "other names"},
		"a huge key":                      {enroll.Request{Request: wrong(t, 100_000)}, certificate(r.Authority, cart), 400, "RSA key of 100000 bits is too long"},
		"a key that is a little too long": {enroll.Request{Request: wrong(t, 4104)}, certificate(r.Authority, cart), 400, "RSA key of 4104 bits is too long"},
		"a key of another kind":           {enroll.Request{Request: request(t, x509.CertificateRequest{}, big)}, certificate(r.Authority, cart), 400, "the mesh's keys are ecdsa-p256"},
		"no request":                      {enroll.Request{}, certificate(r.Authority, cart), 400, "not a certificate request in PEM"},
		"a request that is broken":        {enroll.Request{Request: broken}, certificate(r.Authority, cart), 400, ""},
		"two requests":                    {enroll.Request{Request: plain + plain}, certificate(r.Authority, cart), 400, "not a certificate request in PEM"},
		"a certificate in its place":      {enroll.Request{Request: string(r.Bundle())}, certificate(r.Authority, cart), 400, "not a certificate request in PEM"},
		"a field that there is not":       {[]byte(`{"request": "", "identity": "spiffe://shop.example/ns/shop/sa/payment"}`), certificate(r.Authority, cart), 400, "not what is asked for"},
		"more than one":                   {[]byte(`{"request": ""} {"request": ""}`), certificate(r.Authority, cart), 400, "something follows"},
		"no JSON":                         {[]byte("request"), certificate(r.Authority, cart), 400, "not what is asked for"},
		"a body that is too large":        {[]byte(`{"request": "` + strings.Repeat("a", 65<<10) + `"}`), certificate(r.Authority, cart), 400, "not what is asked for"},
		"the token of somebody else too":  {enroll.Request{Request: plain, Token: used}, certificate(r.Authority, cart), 403, "was already used"},
	} {
		status, text := r.send(t, c.body, c.certificate)
		if status != c.status || !strings.Contains(text, c.want) || strings.Contains(text, "BEGIN CERTIFICATE") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

// An authority that can record nothing signs nothing, and tells clients nothing about its host.
func TestNothingIsSignedUnrecorded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	a, err := ca.Open(dir, secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	r := startWith(t, a)
	own, err := a.Certificate(cart, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r.mesh.Certificates.Lifetime = ir.Duration(48 * time.Hour)
	plain := enroll.Request{Request: request(t, x509.CertificateRequest{}, nil)}
	if err := os.Rename(filepath.Join(dir, "1"), filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what was not recorded once is not taken for recorded
		status, text := r.send(t, plain, own)
		if status != http.StatusServiceUnavailable || !strings.Contains(text, "see the server's log") ||
			strings.Contains(text, dir) {
			t.Errorf("%d %s", status, text)
		}
		r.mesh.Certificates.Lifetime = ir.Duration(47 * time.Hour) // which ends before the other would have
	}
	if err := os.Rename(filepath.Join(dir, "gone"), filepath.Join(dir, "1")); err != nil {
		t.Fatal(err)
	}
	if status, text := r.send(t, plain, own); status != http.StatusOK {
		t.Errorf("with its directory: %d %s", status, text)
	}
}

// TestExpiredCertificateRenewsNothing: who was away for too long joins anew.
func TestExpiredCertificateRenewsNothing(t *testing.T) {
	r, dir := start(t), filepath.Join(t.TempDir(), "cart")
	r.mesh.Certificates.Lifetime = ir.Duration(time.Second)
	if _, err := r.keeper(t, dir, cart, r.token(t, cart)).Obtain(t.Context()); err != nil {
		t.Fatal(err)
	}
	held, err := svid.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(held.Leaf().NotAfter) + 10*time.Millisecond) // the clock is what is waited for
	if _, err := r.keeper(t, dir, cart, secret.Value{}).Obtain(t.Context()); err == nil || !strings.Contains(err.Error(), "has expired: join again") {
		t.Errorf("got %v", err)
	}
	plain := enroll.Request{Request: request(t, x509.CertificateRequest{}, nil)}
	if status, text := r.send(t, plain, held.Key); status != 0 {
		t.Errorf("the server renews it: %d %s", status, text)
	}
	if _, err := r.keeper(t, dir, cart, r.token(t, cart)).Obtain(t.Context()); err != nil {
		t.Errorf("joined anew: %v", err)
	}
}

// TestClientKnowsTheServer: a host sends its token to nobody else.
func TestClientKnowsTheServer(t *testing.T) {
	real, impostor := start(t), start(t)
	dir := t.TempDir()
	client := func(address string, server spiffeid.ID, token secret.Value) error {
		c := &enroll.Client{Address: address, Server: server, Directory: dir, Token: token}
		_, _, err := c.Issue(context.Background(), []byte(request(t, x509.CertificateRequest{}, nil)))
		return err
	}
	token := real.token(t, cart)
	if err := client(impostor.address, real.server, token); err == nil || !strings.Contains(err.Error(), "is not the server that the join token is for") {
		t.Errorf("an impostor: %v", err)
	}
	if err := client(real.address, cart, token); err == nil || !strings.Contains(err.Error(), "must be "+cart.String()) {
		t.Errorf("another identity: %v", err)
	}
	if err := client(real.address, real.server, token); err != nil {
		t.Errorf("the token was not used up by that: %v", err)
	}
	if err := client("127.0.0.1:1", real.server, real.token(t, cart)); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("nobody: %v", err)
	}
}

// TestFloodIsCutOff: who asks too often is told so, before anything is looked at.
func TestFloodIsCutOff(t *testing.T) {
	r := start(t)
	refused := 0
	for range 100 {
		if status, _ := r.send(t, []byte("{}"), nil); status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("100 requests at once are let through")
	}
}

// TestCertificateEndsWithinAConnection wants one that has ended to prove nothing, also on
// a connection that began while it held.
func TestCertificateEndsWithinAConnection(t *testing.T) {
	r := start(t)
	own, err := r.Certificate(cart, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*own}},
		MaxConnsPerHost: 1,
	}}
	t.Cleanup(client.CloseIdleConnections)
	ask := func() int {
		key, err := svid.NewKey(ir.KeyECDSAP256)
		if err != nil {
			t.Fatal(err)
		}
		request, err := svid.Request(key, cart)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(enroll.Request{Request: string(request)})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Post("https://"+r.address+"/v1/certificates", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body) // so that the connection is kept
		return answer.StatusCode
	}
	if status := ask(); status != http.StatusOK {
		t.Fatalf("while it holds: %d", status)
	}
	for deadline := own.Leaf.NotAfter.Add(time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
	}
	if status := ask(); status != http.StatusForbidden {
		t.Errorf("when it has ended: %d", status)
	}
}

func FuzzParseRequest(f *testing.F) {
	key, err := svid.NewKey(ir.KeyECDSAP256)
	if err != nil {
		f.Fatal(err)
	}
	good, err := svid.Request(key, cart)
	if err != nil {
		f.Fatal(err)
	}
	a, err := ca.InMemory()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := svid.ParseRequest(data)
		if err != nil {
			return
		}
		chain, err := a.Sign(r, cart, time.Hour)
		if err != nil {
			return
		}
		leaf := svid.Certificates(chain)[0]
		if leaf.IsCA || len(leaf.URIs) != 1 || leaf.URIs[0].String() != cart.String() ||
			len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) > 0 {
			t.Errorf("it signed for more than the identity: %v %v", leaf.URIs, leaf.DNSNames)
		}
	})
}
