package local

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
)

const revokable = `package revokable

mesh: {name: "revokable", trustDomain: "revokable.example", proxy: drainTime: "2s"}

services: [name=string]: workload: deployment: name
services: client: uses: target: {}
services: client: {
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: services: ["other"]}]
}
services: other: uses: {target: {}, client: {}}
services: target: {
	ports: {http: {port: 8080, protocol: "http"}, bytes: {port: 9000, protocol: "tcp"}}
	allow: [{from: services: ["client", "other"]}]
}
`

// revoke takes certificates back, and tells the server at once.
func revoke(t *testing.T, mesh *Mesh, authority *ca.Authority, r ca.Revocation) {
	t.Helper()
	if _, err := authority.Revoke(r, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := mesh.control.server.AuthorityChanged(); err != nil {
		t.Fatal(err)
	}
}

// startRevokable runs a mesh whose certificates the returned authority signs, and revokes.
func startRevokable(t *testing.T, spec string) (*Mesh, *ca.Authority) {
	t.Helper()
	authority, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	mesh, err := Start(t.Context(), Options{
		Mesh:      inline(t, map[string]string{"mesh.cue": spec}),
		Authority: authority,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
	return mesh, authority
}

// What is revoked is refused by every proxy, on new connections and on those that are open. Others of the same
// identity, and other identities, notice nothing, and what is undone is good again.
func TestRevoked(t *testing.T) {
	mesh, authority := startRevokable(t, revokable)
	load := startPacedLoad(t, mesh.As("other").Client(), "http://target:8080/", 2, 5*time.Millisecond)
	client := mesh.Placed().Service("client").Identity
	stolen, kept := ofChain(t, authority, client), ofChain(t, authority, client)
	proof, _ := ca.ProofOf(stolen.Leaf)
	took := func(what string, f func() error) {
		t.Helper()
		if err := f(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := mesh.control.server.AuthorityChanged(); err != nil {
			t.Fatal(err)
		}
	}

	held, same := newHeld(t, mesh, stolen), newHeld(t, mesh, kept)
	chain := ca.Revocation{Identity: client, Chain: proof.Chain}
	took("revoke a holder", func() error { _, err := authority.Revoke(chain, time.Now()); return err })
	held.ends(t, "the holder's")
	if why := newHeld(t, mesh, kept).ask(); why != nil {
		t.Errorf("another holder of the identity: %v", why)
	}
	took("undo it", func() error { return authority.Unrevoke(chain) })
	eventually(t, "a connection of the holder again", func() bool { return tryHeld(t, mesh, stolen) == nil })

	all := ca.Revocation{Identity: client}
	took("revoke the identity", func() error { _, err := authority.Revoke(all, time.Now()); return err })
	same.ends(t, "the identity's")
	if a := send(t, mesh.As("client").
		Client(), http.MethodGet, "http://target:8080/"); a.status != http.StatusForbidden &&
		a.status != http.StatusServiceUnavailable {
		t.Errorf("the identity's own proxy is answered %d %s", a.status, a.body)
	}
	eventually(t, "the end of calls to whom the identity is taken from", func() bool {
		return send(t, mesh.As("other").Client(), http.MethodGet, "http://client:8080/").
			status == http.StatusServiceUnavailable
	})
	took("undo that", func() error { return authority.Unrevoke(all) })
	eventually(t, "calls to it again", func() bool {
		return send(t, mesh.As("other").Client(), http.MethodGet, "http://client:8080/").status == http.StatusOK
	})
	eventually(t, "calls of it again", func() bool {
		return send(t, mesh.As("client").Client(), http.MethodGet, "http://target:8080/").status == http.StatusOK
	})
	eventually(t, "a load", func() bool { return load.sent.Load() >= 100 })
	load.end(t)
}

// ofChain is a certificate of an identity, of a chain of its own.
func ofChain(t *testing.T, a *ca.Authority, id spiffeid.ID) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := svid.Request(key, id)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := svid.ParseRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	proof := ca.NewProof(time.Now(), time.Hour)
	if proof.Chain, err = ca.NewChain(); err != nil {
		t.Fatal(err)
	}
	chain, err := a.SignProved(parsed, id, time.Hour, proof)
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Certificate{PrivateKey: key}
	for _, one := range svid.Certificates(chain) {
		c.Certificate = append(c.Certificate, one.Raw)
	}
	c.Leaf = svid.Certificates(chain)[0]
	return c
}

// heldOpen are connections to the target that its caller holds open, past any proxy of its own.
type heldOpen struct {
	mesh        *Mesh
	certificate *tls.Certificate
	requests    *http.Client // on one connection
	bytes       *tls.Conn
	lines       *bufio.Reader
}

func newHeld(t *testing.T, mesh *Mesh, c *tls.Certificate) *heldOpen {
	t.Helper()
	h := &heldOpen{mesh: mesh, certificate: c, requests: clientWith(t, c)}
	var err error
	if h.bytes, err = tls.Dial("tcp", inbound(mesh, "target", "bytes"), &tls.Config{
		InsecureSkipVerify: true,
		Certificates:       []tls.Certificate{*c},
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.bytes.Close() })
	h.lines = bufio.NewReader(h.bytes)
	if err := h.ask(); err != nil {
		t.Fatal(err)
	}
	if err := h.say(); err != nil {
		t.Fatal(err)
	}
	return h
}

// ask makes a request on the connection that is held, or on another when that has ended.
func (h *heldOpen) ask() error {
	answer, err := h.requests.Get("https://" + inbound(h.mesh, "target", "http") + "/")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}

// say sends a line on the connection of bytes, and waits for what comes back.
func (h *heldOpen) say() error {
	_ = h.bytes.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintln(h.bytes, "hello"); err != nil {
		return err
	}
	_, err := h.lines.ReadString('\n')
	return err
}

// ends wants every connection that is held to end or be refused in time, and new ones to be refused.
func (h *heldOpen) ends(t *testing.T, whose string) {
	t.Helper()
	began := time.Now()
	eventually(t, whose+" requests refused", func() bool { return h.ask() != nil })
	t.Logf("%s requests are refused after %s", whose, time.Since(began))
	eventually(t, whose+" connection of bytes ended", func() bool { return h.say() != nil })
	t.Logf("%s connection of bytes has ended after %s", whose, time.Since(began))
	for range 20 {
		if tryHeld(t, h.mesh, h.certificate) == nil {
			t.Fatalf("%s new connections are taken", whose)
		}
	}
}

// tryHeld is nil when a new connection with that certificate is taken.
func tryHeld(t *testing.T, mesh *Mesh, c *tls.Certificate) error {
	t.Helper()
	fresh := &heldOpen{mesh: mesh, certificate: c, requests: clientWith(t, c)}
	fresh.requests.Transport.(*http.Transport).DisableKeepAlives = true
	if err := fresh.ask(); err == nil {
		return nil
	}
	conn, err := tls.Dial("tcp", inbound(mesh, "target", "bytes"), &tls.Config{
		InsecureSkipVerify: true,
		Certificates:       []tls.Certificate{*c},
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	fresh.bytes, fresh.lines = conn, bufio.NewReader(conn)
	return fresh.say()
}
