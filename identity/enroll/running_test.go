package enroll_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey/wrongkey"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/identity/svid"
)

var (
	cart    = spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/cart")
	payment = spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/payment")
)

func shop() *ir.Mesh {
	m := &ir.Mesh{Settings: ir.Settings{
		Name: "shop", TrustDomain: "shop.example",
		Certificates: ir.Certificates{
			Issuer: ir.Issuer{Kind: ir.IssuerEmbedded}, Lifetime: ir.Duration(time.Hour),
			Key: ir.KeyECDSAP256,
		},
	}}
	for _, id := range []spiffeid.ID{cart, payment} {
		m.Services = append(m.Services,
			&ir.Service{Upstream: ir.Upstream{Name: strings.TrimPrefix(id.Path(), "/ns/shop/sa/"), Identity: id}})
	}
	return m
}

// running is the API of an authority.
type running struct {
	*ca.Authority
	address string
	mesh    *ir.Mesh
	seen    chan string
	server  spiffeid.ID
}

func start(t *testing.T, change ...func(*enroll.Config)) *running {
	t.Helper()
	a, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	return startWith(t, a, change...)
}

// startWith is the API of that authority.
func startWith(t *testing.T, a *ca.Authority, change ...func(*enroll.Config)) *running {
	t.Helper()
	r := &running{Authority: a, mesh: shop(), seen: make(chan string, 100)}
	r.server = r.mesh.ServerIdentity()
	own, err := a.Certificate(r.server, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	config := enroll.Config{
		Authority: a, Certificate: func() (*tls.Certificate, error) { return own, nil },
		Mesh: func() *ir.Mesh { return r.mesh },
		Seen: func(s enroll.Sighting) {
			if s.Keeps {
				r.seen <- s.ID.String() + " " + s.Holder + " " + s.Bundle
			}
		},
		Refused: func() {}, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&config)
	}
	s := enroll.Server(config)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { s.Close(); <-done })
	return r
}

// wrong is a request for an RSA key, without a signature that could be verified.
func wrong(t *testing.T, bits int) string {
	t.Helper()
	text, err := wrongkey.Request(bits)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (r *running) token(t *testing.T, id spiffeid.ID) secret.Value {
	t.Helper()
	text, err := r.IssueToken(r.server, id, time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return secret.New([]byte(text))
}

func (r *running) keeper(t *testing.T, dir string, id spiffeid.ID, token secret.Value) *svid.Keeper {
	t.Helper()
	return &svid.Keeper{
		ID: id, Directory: dir, Key: ir.KeyECDSAP256, Digest: ca.Digest, Log: slog.New(slog.DiscardHandler),
		Issuer: &enroll.Client{Address: r.address, Server: r.server, Directory: dir, Token: token, Holder: "host"},
	}
}

// reviewed says whose every token is.
type reviewed struct {
	id  spiffeid.ID
	err error
}

func (r *reviewed) User(context.Context, string, spiffeid.ID) (string, []string, error) {
	return "", nil, errors.New("no users here")
}

func (r *reviewed) Identity(context.Context, string, spiffeid.ID) (spiffeid.ID, error) {
	return r.id, r.err
}

// proved is an issuer whose leaves carry that proof.
type proved struct {
	*ca.Authority
	proof ca.Proof
}

func (p proved) Issue(_ context.Context, request []byte) (chain, bundle []byte, err error) {
	parsed, err := svid.ParseRequest(request)
	if err != nil {
		return nil, nil, err
	}
	chain, err = p.SignProved(parsed, cart, time.Hour, p.proof)
	return chain, p.Bundle(), err
}

func (p proved) Trust(context.Context) (bundle []byte, signer string, err error) {
	return p.Bundle(), p.Signer(), nil
}

// send puts a body to the API with a certificate, or without one.
func (r *running) send(t *testing.T, body any, certificate *tls.Certificate) (int, string) {
	t.Helper()
	data, ok := body.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	config := &tls.Config{InsecureSkipVerify: true}
	if certificate != nil {
		config.Certificates = []tls.Certificate{*certificate}
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   config,
		DisableKeepAlives: true,
	}}
	answer, err := client.Post("https://"+r.address+"/v1/certificates", "application/json", bytes.NewReader(data))
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(answer.Body)
	return answer.StatusCode, b.String()
}

func request(t *testing.T, template x509.CertificateRequest, key crypto.Signer) string {
	t.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}
