package local

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/serve"
)

// A root is replaced in stages while leaves live for seconds and requests go through
// three proxies: none fails, and in the end the old root is believed by nobody.
// MESHC_LEAF_LIFE and MESHC_LEAVES say how long a leaf lives and how many are waited
// for before, between and after the stages ("6s", 1).
func TestRootIsReplacedUnderLoad(t *testing.T) {
	life, leaves := 6*time.Second, 1
	if d, err := time.ParseDuration(os.Getenv("MESHC_LEAF_LIFE")); err == nil {
		life = d
	}
	if n, err := strconv.Atoi(os.Getenv("MESHC_LEAVES")); err == nil {
		leaves = n
	}
	authority, err := ca.Open(filepath.Join(t.TempDir(), "ca"), secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	shop := compile(t, shopDir).Clone()
	shop.Certificates.Lifetime, shop.Certificates.RenewBefore = ir.Duration(life), ir.Duration(life/3)
	mesh, err := Start(t.Context(), Options{Mesh: shop, Authority: authority})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
	load := startPacedLoad(t, http.DefaultClient, mesh.Gateway("public").URL+"/?via=checkout:/shop.Checkout/Place,payment:POST:/charge", 2, 5*time.Millisecond)
	renewals := 0
	renewed := func() {
		t.Helper()
		for range leaves {
			first := serial(t, mesh)
			eventuallyWithin(t, 2*life+20*time.Second, "a renewed certificate", func() bool { return serial(t, mesh) != first })
			renewals++
		}
	}
	renewed()
	old, err := authority.Certificate(shop.Service("frontend").Identity, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	accepted := func(c *tls.Certificate) bool {
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*c}},
		}}
		_, err := trySend(t.Context(), client, http.MethodGet, "https://"+inbound(mesh, "cart", "http")+"/")
		return err == nil
	}
	advance := func(at time.Time, want ca.Stage) {
		t.Helper()
		now, err := authority.Advance(secret.Value{}, at)
		if err != nil || now.Stage != want {
			t.Fatalf("stage %s, %v; want %s", now.Stage, err, want)
		}
		if err := mesh.control.server.AuthorityChanged(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all proxies at "+string(want), func() bool { return taken(t, mesh, now) })
		if authority.Rotation().Bundle != now.Bundle {
			t.Fatal("it went on by itself")
		}
	}
	advance(time.Now(), ca.TrustBoth)
	renewed()
	if !accepted(old) {
		t.Error("a certificate of the old root is refused while it is trusted")
	}
	advance(time.Now(), ca.SignNew)
	renewed()
	// The old leaf of this test holds for a day, and the mesh's own for seconds.
	eventuallyWithin(t, 2*life+20*time.Second, "the end of the old leaves", func() bool { return leavesOf(t, mesh, authority) })
	advance(time.Now().Add(25*time.Hour), ca.Steady)
	renewed()
	eventually(t, "the old root's end", func() bool { return !accepted(old) })
	load.end(t)
	t.Logf("%d renewals were waited for", renewals)
	for _, id := range []string{"gateway/public/a", "service/frontend/a", "service/checkout/v1"} {
		if n := counted(t, mesh, id, `ssl\.(fail_verify_|connection_error|fail_verify_error)`); n > 0 && id != "service/cart/a" {
			t.Errorf("%s has seen %d handshakes fail", id, n)
		}
	}
}

// eventuallyWithin is eventually for what takes longer.
func eventuallyWithin(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * poll) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// taken reports whether every proxy has acknowledged the bundle, and every directory
// holds it.
func taken(t *testing.T, m *Mesh, now ca.Rotation) bool {
	t.Helper()
	for _, p := range m.control.server.Status().Proxies {
		if p.State() != serve.StateCurrent || p.Trust != now.Bundle {
			return false
		}
	}
	for _, scope := range m.Placed().Scopes() {
		held, err := svid.Read(scope.Member().Proxy.CertificateDirectory)
		if err != nil {
			return false // it is being replaced
		}
		if ca.Digest(held.Bundle) != now.Bundle {
			return false
		}
	}
	return true
}

// leavesOf reports whether all leaves of the mesh are signed by what signs now.
func leavesOf(t *testing.T, m *Mesh, a *ca.Authority) bool {
	t.Helper()
	for _, scope := range m.Placed().Scopes() {
		held, err := svid.Read(scope.Member().Proxy.CertificateDirectory)
		if err != nil || held.Root(time.Now()) == nil || ca.Digest(svid.PEM(held.Root(time.Now()))) != a.Signer() {
			return false
		}
	}
	return true
}

// When nobody renews them, certificates end, and who shows one that has is refused at
// both ends.
func TestExpiredCertificateIsRefused(t *testing.T) {
	t.Parallel() // it waits more than it works
	shop := compile(t, shopDir).Clone()
	shop.Certificates.Lifetime, shop.Certificates.RenewBefore = ir.Duration(3*time.Second), ir.Duration(2*time.Second)
	mesh := start(t, shop)
	mesh.certificates.stop()
	held, err := svid.Read(filepath.Join(mesh.Directory(), "service/frontend/certificates"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the certificate", func() bool { return time.Now().After(held.Leaf().NotAfter.Add(time.Second)) })
	conn, err := tls.Dial("tcp", inbound(mesh, "cart", "http"), &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*held.Key}, NextProtos: []string{"http/1.1"}})
	if err == nil {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err = conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("the callee takes a certificate that has expired: %v", err)
		}
	}
	// frontend's proxy has not called catalog yet, so it shakes hands now.
	if a := send(t, mesh.As("frontend").Client(), http.MethodGet, "http://catalog:3550/"); a.status != http.StatusServiceUnavailable {
		t.Errorf("the caller's proxy answers %d", a.status)
	}
}
