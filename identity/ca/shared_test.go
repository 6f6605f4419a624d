package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/secret"
)

// servers are authorities of one store.
func servers(t *testing.T, store Store, n int) []*Authority {
	t.Helper()
	out, errs := make([]*Authority, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { out[i], errs[i] = Shared(store) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSharedIsMadeOnce(t *testing.T) {
	store := &memory{}
	made := servers(t, store, 8)
	for _, a := range made[1:] {
		if !bytes.Equal(a.Bundle(), made[0].Bundle()) {
			t.Fatal("two servers have two roots")
		}
	}
	if got := slices.Sorted(maps.Keys(store.files)); !slices.Equal(got,
		[]string{"1/intermediate.crt", "1/intermediate.key", "1/root.crt", "authority.json", "join.key"}) {
		t.Errorf("the store has %v: the key of the root has no place there", got)
	}
	again, err := Shared(store)
	if err != nil || !bytes.Equal(again.Bundle(), made[0].Bundle()) {
		t.Errorf("a server that starts again has another root: %v", err)
	}
	delete(store.files, stateFile)
	if _, err := Shared(store); err == nil {
		t.Error("an authority that is not whole is used, or made anew")
	}
}

func TestSharedTokensAreUsedOnce(t *testing.T) {
	both := servers(t, &memory{}, 2)
	now := time.Now()
	token, err := both[0].IssueToken(server, cart, time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	joined := 0
	for i := range 10 {
		all.Go(func() {
			if got, err := both[i%2].Redeem(token, server, now); err == nil && got == cart {
				mu.Lock()
				joined++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if joined != 1 {
		t.Errorf("a token was taken %d times", joined)
	}
}

// What one server does to the root the others follow, and it waits for the leaves of all.
func TestSharedRotation(t *testing.T) {
	store := &memory{}
	both := servers(t, store, 2)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	advance := func(a *Authority, now time.Time, want Stage) {
		t.Helper()
		if r, err := a.Advance(secret.Value{}, now); err != nil || r.Stage != want {
			t.Fatalf("%v, %v, want %s", r.Stage, err, want)
		}
		for _, other := range both {
			if err := other.Reload(); err != nil || other.Rotation().Bundle != a.Rotation().Bundle ||
				other.Signer() != a.Signer() {
				t.Fatalf("another server has not followed: %v", err)
			}
		}
	}
	now := time.Now()
	if _, err := both[1].issue(key.Public(), cart, time.Hour, nil, Proof{}); err != nil {
		t.Fatal(err)
	}
	before := store.version
	for range 5 {
		if _, err := both[1].issue(key.Public(), cart, time.Hour, nil, Proof{}); err != nil {
			t.Fatal(err)
		}
	}
	if store.version != before {
		t.Errorf("%d leaves changed the store %d times", 5, store.version-before)
	}
	advance(both[0], now, TrustBoth)
	advance(both[1], now, SignNew)
	if _, err := both[0].Advance(secret.Value{}, now.Add(time.Hour)); !errors.Is(err, ErrOldLeaves) {
		t.Errorf("the old root goes while the other server's leaf holds: %v", err)
	}
	advance(both[0], now.Add(2*time.Hour), Steady)
	for name := range store.files {
		if strings.HasPrefix(name, "1/") {
			t.Errorf("%s is left of the old root", name)
		}
	}
}
