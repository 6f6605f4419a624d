package serve_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
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
	client := &enroll.Client{
		Address: r.EnrollAddr(), Server: m.ServerIdentity(), Directory: dir,
		Token: secret.New([]byte(token)), Holder: "host\x1b[31m\nall is well",
	}
	k := &svid.Keeper{
		ID: cart, Directory: dir, Key: ir.KeyECDSAP256, Digest: ca.Digest,
		Log: slog.New(slog.DiscardHandler), Issuer: client,
	}
	if _, err := k.Obtain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if holders := r.Status().Holders; len(holders) != 1 || holders[0].Keeps ||
		holders[0].Trust != r.authority.Rotation().Bundle || time.Until(holders[0].Until) < time.Hour {
		t.Errorf("once it has a certificate the holders are %+v", holders)
	}
	if _, _, err := client.Trust(t.Context()); err != nil {
		t.Fatal(err)
	}
	holders := r.Status().Holders
	if len(holders) != 1 || !holders[0].Keeps || holders[0].Identity != cart.String() ||
		holders[0].Name != "host\ufffd[31m\ufffdall is well" || holders[0].Trust != r.authority.Rotation().Bundle {
		t.Errorf("the holders are %+v", holders)
	}
}

// TestHoldersAreBounded has one certificate go by many names: it takes no other's place, and is told; the records are
// given back when their time is over, whether anybody asks or not.
func TestHoldersAreBounded(t *testing.T) {
	var log lines
	r := start(t, func(c *serve.Config) {
		c.EnrollListen, c.Log = "127.0.0.1:0", slog.New(slog.NewTextHandler(&log, nil))
	})
	m := compileSpec(t, spec)
	m.Server.Limits.Instances = 5
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	cart := m.Service("cart").Identity
	join := func(name string) *enroll.Client {
		token, err := r.authority.IssueToken(m.ServerIdentity(), cart, time.Minute, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), name)
		client := &enroll.Client{
			Address: r.EnrollAddr(), Server: m.ServerIdentity(), Directory: dir,
			Token: secret.New([]byte(token)), Holder: name,
		}
		k := &svid.Keeper{
			ID: cart, Directory: dir, Key: ir.KeyECDSAP256, Digest: ca.Digest,
			Log: slog.New(slog.DiscardHandler), Issuer: client,
		}
		if _, err := k.Obtain(t.Context()); err != nil {
			t.Fatal(err)
		}
		return client
	}
	join("before")
	flood := join("flood")
	for i := range 12 {
		flood.Holder = fmt.Sprintf("x%d", i)
		if _, _, err := flood.Trust(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	join("after")
	var names []string
	for _, h := range r.Status().Holders {
		names = append(names, h.Name)
	}
	if len(names) != 5 || !slices.Contains(names, "before") || !slices.Contains(names, "after") {
		t.Errorf("the holders are %q", names)
	}
	if !strings.Contains(log.String(), "mesh.server.limits.instances") {
		t.Errorf("nothing is said of it:\n%s", log.String())
	}
	if _, body := fetch(t, r, "/metrics"); strings.Contains(body, "meshc_holders_limited_total 0") ||
		!strings.Contains(body, "meshc_holders_limited_total") {
		t.Error("it is not counted")
	}
	if left := r.ForgetHolders(time.Now().Add(11 * time.Minute)); left != 2 {
		t.Errorf("when those that kept their certificates are gone there are %d", left)
	}
	if left := r.ForgetHolders(time.Now().Add(1000 * time.Hour)); left != 0 {
		t.Errorf("when all certificates have ended there are %d", left)
	}
}
