package serve_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/identity/svid"
	"github.com/meshc/meshc/serve"
)

// TestHoldersAreKnown has a host get its certificate from the server and keep it: the
// server's status says which trust bundle it has, under a name that is safe to show.
func TestHoldersAreKnown(t *testing.T) {
	r := start(t, func(c *serve.Config) { c.EnrollListen = "127.0.0.1:0" })
	m := compileSpec(t, spec)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	cart := m.Service("cart").Identity
	token, err := r.authority.IssueToken(m.ServerIdentity(), cart, time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cart")
	client := &enroll.Client{Address: r.EnrollAddr(), Server: m.ServerIdentity(), Directory: dir, Token: secret.New([]byte(token)), Holder: "host\x1b[31m\nall is well"}
	k := &svid.Keeper{ID: cart, Directory: dir, Key: ir.KeyECDSAP256, Digest: ca.Digest, Log: slog.New(slog.DiscardHandler), Issuer: client}
	if _, err := k.Obtain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if holders := r.Status().Holders; len(holders) != 1 || holders[0].Keeps || holders[0].Trust != r.authority.Rotation().Bundle || time.Until(holders[0].Until) < time.Hour {
		t.Errorf("once it has a certificate the holders are %+v", holders)
	}
	if _, _, err := client.Trust(t.Context()); err != nil {
		t.Fatal(err)
	}
	holders := r.Status().Holders
	if len(holders) != 1 || !holders[0].Keeps || holders[0].Identity != cart.String() || holders[0].Name != "host\ufffd[31m\ufffdall is well" || holders[0].Trust != r.authority.Rotation().Bundle {
		t.Errorf("the holders are %+v", holders)
	}
}
