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
	"io"
	"log/slog"
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
		Certificates: ir.Certificates{Issuer: ir.Issuer{Kind: ir.IssuerEmbedded}, Lifetime: ir.Duration(time.Hour), Key: ir.KeyECDSAP256},
	}}
	for _, id := range []spiffeid.ID{cart, payment} {
		m.Services = append(m.Services, &ir.Service{Upstream: ir.Upstream{Name: strings.TrimPrefix(id.Path(), "/ns/shop/sa/"), Identity: id}})
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
		Authority: a, Certificate: func() (*tls.Certificate, error) { return own, nil }, Mesh: func() *ir.Mesh { return r.mesh },
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

// TestJoinAndRenew has a host join with a token, and renew with what it got.
func TestJoinAndRenew(t *testing.T) {
	r, dir := start(t), filepath.Join(t.TempDir(), "cart")
	joined, err := r.keeper(t, dir, cart, r.token(t, cart)).Obtain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if joined.ID != cart || joined.Root(time.Now()) == nil {
		t.Errorf("it is %s", joined.ID)
	}
	renewed, err := r.keeper(t, dir, cart, secret.Value{}).Obtain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if renewed.Leaf().Equal(joined.Leaf()) || renewed.Leaf().PublicKey.(*ecdsa.PublicKey).Equal(joined.Leaf().PublicKey) {
		t.Error("the certificate or its key is the same")
	}
	bundle, signer, err := (&enroll.Client{Address: r.address, Server: r.server, Directory: dir, Holder: "host"}).Trust(t.Context())
	if err != nil || signer != r.Signer() || !bytes.Equal(bundle, r.Bundle()) {
		t.Errorf("trust: %s, %v", signer, err)
	}
	if seen := <-r.seen; seen != cart.String()+" host "+ca.Digest(r.Bundle()) {
		t.Errorf("seen: %s", seen)
	}
}

// TestRenewalsEnd wants a certificate to be renewed by itself for renewFor and no longer, what follows a token to begin
// anew, and what is from before there was a limit to begin when it is first seen.
func TestRenewalsEnd(t *testing.T) {
	r := start(t)
	r.mesh.Certificates.RenewFor = ir.Duration(24 * time.Hour)
	ask := func(k *svid.Keeper) (*svid.Held, ca.Proof, error) {
		t.Helper()
		held, err := k.Obtain(t.Context())
		if err != nil {
			return nil, ca.Proof{}, err
		}
		proof, ok := ca.ProofOf(held.Leaf())
		if !ok {
			t.Fatal("the leaf says nothing of a proof")
		}
		return held, proof, nil
	}
	// held puts a leaf of that proof into a directory.
	held := func(proof ca.Proof) *svid.Keeper {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "cart")
		k := svid.DirectKeeper(r.Authority, dir, cart, time.Hour)
		k.Issuer = proved{r.Authority, proof}
		if _, err := k.Obtain(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r.keeper(t, dir, cart, secret.Value{})
	}
	now := time.Now()
	k := held(ca.Proof{})
	_, first, err := ask(k)
	if err != nil || first.At.Before(now.Truncate(time.Second)) || first.RenewableUntil.Sub(first.At) != 24*time.Hour {
		t.Errorf("from before there was a limit: %+v, %v", first, err)
	}
	if _, again, err := ask(k); err != nil || again != first {
		t.Errorf("renewed again: %+v, want %+v: %v", again, first, err)
	}
	k = held(ca.NewProof(now.Add(-23*time.Hour-30*time.Minute), 48*time.Hour))
	last, proof, err := ask(k)
	if err != nil || last.Leaf().NotAfter.After(proof.RenewableUntil) || !proof.RenewableUntil.Before(now.Add(31*time.Minute)) {
		t.Errorf("near the end, of a limit that is shorter now: %+v, %v", proof, err)
	}
	k = held(ca.NewProof(now.Add(-24*time.Hour), 48*time.Hour))
	if _, _, err := ask(k); err == nil || !strings.Contains(err.Error(), "with a join token") {
		t.Errorf("past the end: %v", err)
	}
	k.Issuer.(*enroll.Client).Token = r.token(t, cart)
	_, fresh, err := ask(k)
	if err != nil || fresh.At.Before(now.Truncate(time.Second)) {
		t.Errorf("with a new token: %+v, %v", fresh, err)
	}
	if _, again, err := ask(k); err != nil || again != fresh {
		t.Errorf("after a new token: %+v, %v", again, err)
	}
}

// TestAnotherServerKeepsTheEnd has a certificate renewed by a server that knows nothing of its proof but what the certificate
// says, as after a restart.
func TestAnotherServerKeepsTheEnd(t *testing.T) {
	kept := t.TempDir()
	var servers [2]*running
	for i := range servers {
		a, err := ca.Open(kept, secret.Value{})
		if err != nil {
			t.Fatal(err)
		}
		servers[i] = startWith(t, a)
	}
	dir := filepath.Join(t.TempDir(), "cart")
	k := servers[0].keeper(t, dir, cart, servers[0].token(t, cart))
	joined, err := k.Obtain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, ok := ca.ProofOf(joined.Leaf())
	if !ok || before.RenewableUntil.Sub(before.At) != 30*24*time.Hour { // the mesh says nothing
		t.Errorf("the first certificate says %+v", before)
	}
	k = servers[1].keeper(t, dir, cart, secret.Value{})
	renewed, err := k.Obtain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after, ok := ca.ProofOf(renewed.Leaf()); !ok || after != before {
		t.Errorf("after a restart it says %+v, want %+v", after, before)
	}
}

// TestPodsProveAnew has a pod whose certificate holds show its token each time, and go on with its certificate while nobody can
// say whose the token is.
func TestPodsProveAnew(t *testing.T) {
	review := &reviewed{id: cart}
	r := start(t, func(c *enroll.Config) { c.TokenReview = review })
	dir, files := filepath.Join(t.TempDir(), "cart"), t.TempDir()
	client := &enroll.Client{
		Address: r.address, Server: r.server, Directory: dir, Holder: "pod",
		ServiceAccountTokenFile: filepath.Join(files, "token"), TrustFile: filepath.Join(files, "ca.crt"),
	}
	if err := errors.Join(os.WriteFile(client.ServiceAccountTokenFile, []byte("of cart"), 0o600), os.WriteFile(client.TrustFile, r.Bundle(), 0o600)); err != nil {
		t.Fatal(err)
	}
	k := r.keeper(t, dir, cart, secret.Value{})
	old := svid.DirectKeeper(r.Authority, dir, cart, time.Hour)
	old.Issuer = proved{r.Authority, ca.NewProof(time.Now().Add(-24*time.Hour), 30*24*time.Hour)}
	if _, err := old.Obtain(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.Issuer = client
	for _, c := range []struct {
		err error
		age time.Duration
	}{{errors.New("the API server is away"), 24 * time.Hour}, {nil, 0}} {
		review.err = c.err
		held, err := k.Obtain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		proof, _ := ca.ProofOf(held.Leaf())
		if age := time.Since(proof.At); age < c.age || age > c.age+time.Hour {
			t.Errorf("with %v the proof is of %s", c.err, proof.At)
		}
	}
}

// TestRevokedHoldersGetNothing has certificates renewed for nobody from whom they were taken back: by a holder's chain, which
// renewals carry on, or by the identity. Another holder goes on, and a token that is made afterwards begins anew.
func TestRevokedHoldersGetNothing(t *testing.T) {
	review := &reviewed{id: cart}
	r := start(t, func(c *enroll.Config) { c.TokenReview = review })
	obtain := func(k *svid.Keeper) string {
		t.Helper()
		held, err := k.Obtain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		proof, _ := ca.ProofOf(held.Leaf())
		if proof.Chain == "" || held.Leaf().Subject.CommonName != proof.Chain {
			t.Errorf("its chain is %q, and its common name %q", proof.Chain, held.Leaf().Subject.CommonName)
		}
		return proof.Chain
	}
	one := r.keeper(t, filepath.Join(t.TempDir(), "one"), cart, r.token(t, cart))
	two := r.keeper(t, filepath.Join(t.TempDir(), "two"), cart, r.token(t, cart))
	chain, other := obtain(one), obtain(two)
	if again := obtain(one); again != chain || chain == other {
		t.Errorf("the chains are %s, renewed %s, and %s", chain, again, other)
	}
	one.Issuer.(*enroll.Client).Token = r.token(t, cart)
	if again := obtain(one); again != chain {
		t.Error("a new proof of the same holder begins another chain")
	}
	now := time.Now()
	unused, err := r.IssueToken(r.server, cart, time.Minute, now.Add(-10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Revoke(ca.Revocation{Identity: cart, Chain: chain}, now.Add(-5*time.Second)); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, k *svid.Keeper) {
		t.Helper()
		if _, err := k.Obtain(t.Context()); err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("the holder", one)
	one.Issuer.(*enroll.Client).Token = secret.New([]byte(unused))
	refused("the holder, by a token from before", one)
	if again := obtain(two); again != other {
		t.Error("another holder has another chain now")
	}
	one.Issuer.(*enroll.Client).Token = r.token(t, cart)
	if anew := obtain(one); anew == chain {
		t.Error("a new token goes on with what was revoked")
	}
	if _, err := r.Revoke(ca.Revocation{Identity: cart}, time.Now()); err != nil {
		t.Fatal(err)
	}
	refused("another holder, once the identity is revoked", two)
	files := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(files, "token"), []byte("of cart"), 0o600), os.WriteFile(filepath.Join(files, "ca.crt"), r.Bundle(), 0o600)); err != nil {
		t.Fatal(err)
	}
	pod := r.keeper(t, filepath.Join(files, "pod"), cart, secret.Value{})
	pod.Issuer = &enroll.Client{
		Address: r.address, Server: r.server, Directory: filepath.Join(files, "pod"), Holder: "pod",
		ServiceAccountTokenFile: filepath.Join(files, "token"), TrustFile: filepath.Join(files, "ca.crt"),
	}
	refused("a pod", pod)
}

// reviewed says whose every token is.
type reviewed struct {
	id  spiffeid.ID
	err error
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

// TestKeeperFollowsTheRoot renews at once when another root signs.
func TestKeeperFollowsTheRoot(t *testing.T) {
	r, dir := start(t), filepath.Join(t.TempDir(), "cart")
	k := r.keeper(t, dir, cart, r.token(t, cart))
	now := time.Now()
	k.Step(t.Context(), now)
	first, err := svid.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	advance := func(at time.Time) {
		t.Helper()
		if _, err := r.Advance(secret.Value{}, at); err != nil {
			t.Fatal(err)
		}
		k.Step(t.Context(), now)
	}
	advance(now)
	both, err := svid.Read(dir)
	if err != nil || !both.Leaf().Equal(first.Leaf()) || len(svid.Certificates(both.Bundle)) != 2 {
		t.Errorf("trusting both it has %d roots, %v", len(svid.Certificates(both.Bundle)), err)
	}
	advance(now)
	signed, err := svid.Read(dir)
	if err != nil || signed.Leaf().Equal(first.Leaf()) || ca.Digest(svid.PEM(signed.Root(now))) != r.Signer() {
		t.Errorf("the new root has not signed: %v", err)
	}
	advance(now.Add(2 * time.Hour))
	last, err := svid.Read(dir)
	if err != nil || len(svid.Certificates(last.Bundle)) != 1 || last.Root(now) == nil {
		t.Errorf("the old root is still trusted: %v", err)
	}
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
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
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
	if status, text := r.send(t, enroll.Request{Request: request(t, x509.CertificateRequest{}, nil), Token: used}, nil); status != http.StatusOK {
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
		"nothing to prove it":             {enroll.Request{Request: plain}, nil, 403, "neither a token nor a certificate"},
		"a token that was used":           {enroll.Request{Request: plain, Token: used}, nil, 403, "was used already"},
		"a token of another authority":    {enroll.Request{Request: plain, Token: foreignToken}, nil, 403, "not good"},
		"words for a token":               {enroll.Request{Request: plain, Token: "a.b.c"}, nil, 403, "not good"},
		"a token of no member":            {enroll.Request{Request: plain, Token: string(r.token(t, stranger).Reveal())}, nil, 403, "is no member of the mesh"},
		"a token for another identity":    {enroll.Request{Request: request(t, x509.CertificateRequest{URIs: []*url.URL{payment.URL()}}, nil), Token: string(r.token(t, cart).Reveal())}, nil, 400, "other names"},
		"another's certificate":           {enroll.Request{Request: request(t, x509.CertificateRequest{URIs: []*url.URL{payment.URL()}}, nil)}, certificate(r.Authority, cart), 400, "other names"},
		"the server's own certificate":    {enroll.Request{Request: plain}, certificate(r.Authority, r.server), 403, "is no member of the mesh"},
		"a certificate of another":        {enroll.Request{Request: plain}, certificate(other, cart), 0, ""},
		"a request with a DNS name":       {enroll.Request{Request: request(t, x509.CertificateRequest{DNSNames: []string{"bank.example"}}, nil)}, certificate(r.Authority, cart), 400, "other names"},
		"a request with an address":       {enroll.Request{Request: request(t, x509.CertificateRequest{IPAddresses: []net.IP{{10, 0, 0, 1}}}, nil)}, certificate(r.Authority, cart), 400, "other names"},
		"a huge key":                      {enroll.Request{Request: wrong(t, 100_000)}, certificate(r.Authority, cart), 400, "RSA key of 100000 bits is too long"},
		"a key that is a little too long": {enroll.Request{Request: wrong(t, 4104)}, certificate(r.Authority, cart), 400, "RSA key of 4104 bits is too long"},
		"a key of another kind":           {enroll.Request{Request: request(t, x509.CertificateRequest{}, big)}, certificate(r.Authority, cart), 400, "the mesh's keys are ecdsa-p256"},
		"no request":                      {enroll.Request{}, certificate(r.Authority, cart), 400, "no certificate request in PEM"},
		"a request that is broken":        {enroll.Request{Request: broken}, certificate(r.Authority, cart), 400, ""},
		"two requests":                    {enroll.Request{Request: plain + plain}, certificate(r.Authority, cart), 400, "no certificate request in PEM"},
		"a certificate in its place":      {enroll.Request{Request: string(r.Bundle())}, certificate(r.Authority, cart), 400, "no certificate request in PEM"},
		"a field that there is not":       {[]byte(`{"request": "", "identity": "spiffe://shop.example/ns/shop/sa/payment"}`), certificate(r.Authority, cart), 400, "not what is asked for"},
		"more than one":                   {[]byte(`{"request": ""} {"request": ""}`), certificate(r.Authority, cart), 400, "something follows"},
		"no JSON":                         {[]byte("request"), certificate(r.Authority, cart), 400, "not what is asked for"},
		"a body that is too large":        {[]byte(`{"request": "` + strings.Repeat("a", 65<<10) + `"}`), certificate(r.Authority, cart), 400, "not what is asked for"},
		"the token of somebody else too":  {enroll.Request{Request: plain, Token: used}, certificate(r.Authority, cart), 403, "was used already"},
	} {
		status, text := r.send(t, c.body, c.certificate)
		if status != c.status || !strings.Contains(text, c.want) || strings.Contains(text, "BEGIN CERTIFICATE") {
			t.Errorf("%s: %d %s", name, status, text)
		}
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
	if status, text := r.send(t, enroll.Request{Request: request(t, x509.CertificateRequest{}, nil)}, held.Key); status != 0 {
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
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*own}}, MaxConnsPerHost: 1,
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
		if leaf.IsCA || len(leaf.URIs) != 1 || leaf.URIs[0].String() != cart.String() || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) > 0 {
			t.Errorf("it signed for more than the identity: %v %v", leaf.URIs, leaf.DNSNames)
		}
	})
}
