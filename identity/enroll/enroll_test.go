package enroll_test

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/enroll"
	"github.com/meshc/meshc/identity/svid"
)

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
	if renewed.Leaf().Equal(joined.Leaf()) || renewed.Leaf().PublicKey.(*ecdsa.PublicKey).
		Equal(joined.Leaf().PublicKey) {
		t.Error("the certificate or its key is the same")
	}
	bundle, signer, err := (&enroll.Client{Address: r.address, Server: r.server, Directory: dir, Holder: "host"}).
		Trust(t.Context())
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
	if err != nil || last.Leaf().NotAfter.After(proof.RenewableUntil) ||
		!proof.RenewableUntil.Before(now.Add(31*time.Minute)) {
		t.Errorf("near the end, of a limit that is shorter now: %+v, %v", proof, err)
	}
	k = held(ca.NewProof(now.Add(-24*time.Hour), 48*time.Hour))
	if _, _, err := ask(k); err == nil || !strings.Contains(err.Error(), "with a new join token") {
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

// TestAnotherServerKeepsTheEnd has a certificate renewed by a server that knows nothing of its proof but what the
// certificate says, as after a restart.
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

// TestPodsProveAnew has a pod whose certificate holds show its token each time, and go on with its certificate while
// nobody can say whose the token is.
func TestPodsProveAnew(t *testing.T) {
	review := &reviewed{id: cart}
	r := start(t, func(c *enroll.Config) { c.TokenReview = review })
	dir, files := filepath.Join(t.TempDir(), "cart"), t.TempDir()
	client := &enroll.Client{
		Address: r.address, Server: r.server, Directory: dir, Holder: "pod",
		ServiceAccountTokenFile: filepath.Join(files, "token"), TrustFile: filepath.Join(files, "ca.crt"),
	}
	if err := errors.Join(os.WriteFile(client.ServiceAccountTokenFile, []byte("of cart"), 0o600),
		os.WriteFile(client.TrustFile, r.Bundle(), 0o600)); err != nil {
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

// TestRevokedHoldersGetNothing has certificates renewed for nobody from whom they were taken back: by a holder's
// chain, which renewals carry on, or by the identity. Another holder goes on, and a token that is made afterwards
// begins anew.
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
	if err := errors.Join(os.WriteFile(filepath.Join(files, "token"), []byte("of cart"), 0o600),
		os.WriteFile(filepath.Join(files, "ca.crt"), r.Bundle(), 0o600)); err != nil {
		t.Fatal(err)
	}
	pod := r.keeper(t, filepath.Join(files, "pod"), cart, secret.Value{})
	pod.Issuer = &enroll.Client{
		Address: r.address, Server: r.server, Directory: filepath.Join(files, "pod"), Holder: "pod",
		ServiceAccountTokenFile: filepath.Join(files, "token"), TrustFile: filepath.Join(files, "ca.crt"),
	}
	refused("a pod", pod)
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
