package ca

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/secret"
)

// pairs are two servers of one authority, that is kept in a directory and in a store.
func pairs(t *testing.T) map[string][2]*Authority {
	t.Helper()
	dir := t.TempDir()
	var inDirectory [2]*Authority
	for i := range inDirectory {
		a, err := Open(dir, secret.Value{})
		if err != nil {
			t.Fatal(err)
		}
		inDirectory[i] = a
	}
	shared := servers(t, &memory{}, 2)
	return map[string][2]*Authority{"directory": inDirectory, "store": {shared[0], shared[1]}}
}

// TestRevocationsAreKept has one server know what was revoked at another, after a restart too, and until it is undone.
func TestRevocationsAreKept(t *testing.T) {
	now := time.Now()
	other := spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/other")
	for name, both := range pairs(t) {
		chain, all := Revocation{Identity: cart, Chain: "c1", Holder: "host"}, Revocation{Identity: other}
		kept, err := both[0].Revoke(chain, now)
		if err != nil || kept.Until.Before(now) {
			t.Fatalf("%s: %+v, %v", name, kept, err)
		}
		if kept, err = both[0].Revoke(all, now); err != nil || !kept.Until.IsZero() {
			t.Fatalf("%s: %+v, %v", name, kept, err)
		}
		if _, err := both[0].Revoke(all, now); err != nil || len(both[0].Revocations()) != 2 {
			t.Errorf("%s: revoked twice there are %+v, %v", name, both[0].Revocations(), err)
		}
		if err := both[1].Reload(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			id      spiffeid.ID
			chain   string
			revoked bool
		}{{cart, "c1", true}, {cart, "c2", false}, {cart, "", false}, {other, "c1", true}, {other, "", true}} {
			if err := both[1].Renews(c.id, c.chain); errors.Is(err, ErrRevoked) != c.revoked {
				t.Errorf("%s: %s of chain %q: %v", name, c.id, c.chain, err)
			}
		}
		if err := both[1].Unrevoke(all); err != nil {
			t.Fatal(err)
		}
		if err := both[1].Unrevoke(all); !errors.Is(err, ErrNotRevoked) {
			t.Errorf("%s: undone twice: %v", name, err)
		}
		// Of a chain nothing is left in the end.
		if _, err := both[1].Revoke(all, kept.At.Add(48*time.Hour)); err != nil || len(both[1].Revocations()) != 1 {
			t.Errorf("%s: after its end: %+v, %v", name, both[1].Revocations(), err)
		}
	}
}

// TestRevokedTokens refuses tokens of an identity that was revoked, and those that were made before a holder of it
// was; what is refused is not used up.
func TestRevokedTokens(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for name, both := range pairs(t) {
		a := both[0]
		token := func(made time.Time) string {
			t.Helper()
			text, err := a.IssueToken(server, cart, time.Hour, made)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		before, after := token(now.Add(-time.Minute)), token(now.Add(time.Second))
		redeem := func(text string) error {
			_, err := a.Redeem(text, server, now.Add(2*time.Second))
			return err
		}
		chain, all := Revocation{Identity: cart, Chain: "c1"}, Revocation{Identity: cart}
		if _, err := a.Revoke(all, now); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(redeem(before), redeem(after)); !errors.Is(err, ErrRevoked) || redeem(after) == nil {
			t.Errorf("%s: of a revoked identity: %v", name, err)
		}
		if err := a.Unrevoke(all); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Revoke(chain, now.Add(time.Second/2)); err != nil {
			t.Fatal(err)
		}
		if err := redeem(before); !errors.Is(err, ErrRevoked) {
			t.Errorf("%s: made before a holder was revoked: %v", name, err)
		}
		if err := redeem(after); err != nil {
			t.Errorf("%s: made after it: %v", name, err)
		}
		if err := a.Unrevoke(chain); err != nil {
			t.Fatal(err)
		}
		if err := redeem(before); err != nil {
			t.Errorf("%s: once it is undone: %v", name, err)
		}
	}
}

// TestUnreadableRevocations: an authority that cannot know what was revoked is not used.
func TestUnreadableRevocations(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, secret.Value{}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", `[{"identity": ""}]`, `[{}]`, `[{"identity": "cart"}]`} {
		if err := os.WriteFile(filepath.Join(dir, revokedFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, secret.Value{}); err == nil {
			t.Errorf("%q is taken for revocations", text)
		}
	}
}
