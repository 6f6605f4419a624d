package ca

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/secret"
)

var server = spiffeid.RequireFromString("spiffe://shop.example/ns/shop-system/sa/meshc")

func TestTokenIsGoodOnce(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	a, err := Open(dir, secret.Value{})
	must(t, err)
	token, err := a.IssueToken(server, cart, time.Minute, now)
	must(t, err)
	if id, err := a.Redeem(token, server, now.Add(30*time.Second)); err != nil || id != cart {
		t.Errorf("got %s, %v", id, err)
	}
	if id, err := a.Redeem(token, server, now.Add(31*time.Second)); !errors.Is(err, ErrToken) {
		t.Errorf("the second time: %s, %v", id, err)
	}
	again, err := Open(dir, secret.Value{})
	must(t, err)
	if id, err := again.Redeem(token, server, now.Add(31*time.Second)); !errors.Is(err, ErrToken) {
		t.Errorf("after a restart: %s, %v", id, err)
	}
	held, err := ReadToken(token)
	must(t, err)
	if len(held.Pins) != 1 || held.Pins[0] != Pins(a.Bundle())[0] || held.Subject != cart.String() {
		t.Errorf("the token says %+v", held)
	}
}

func TestTokensThatAreNone(t *testing.T) {
	a, other, now := authority(t), authority(t), time.Now()
	signed := func(algorithm jose.SignatureAlgorithm, key any, change func(*JoinToken)) string {
		token := JoinToken{Claims: jwt.Claims{
			Issuer: server.String(), Subject: cart.String(), Audience: jwt.Audience{tokenAudience},
			Expiry: jwt.NewNumericDate(now.Add(time.Minute)), ID: "x" + time.Now().String(),
		}}
		change(&token)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
		must(t, err)
		text, err := jwt.Signed(signer).Claims(token).Serialize()
		must(t, err)
		return text
	}
	own := func(change func(*JoinToken)) string { return signed(jose.HS256, a.joinKey.Reveal(), change) }
	good := own(func(*JoinToken) {})
	parts := strings.Split(good, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for name, text := range map[string]string{
		"nothing":              "",
		"words":                "a.b.c",
		"too long":             strings.Repeat("a", maxTokenSize+1),
		"of another authority": signed(jose.HS256, other.joinKey.Reveal(), func(*JoinToken) {}),
		"another algorithm": signed(jose.HS512, append(a.joinKey.Reveal(), a.joinKey.Reveal()...),
			func(*JoinToken) {}),
		"no algorithm": encode(`{"alg":"none"}`) + "." + parts[1] + ".",
		"no signature": parts[0] + "." + parts[1] + ".",
		"another payload": parts[0] + "." + encode(`{"sub":"spiffe://shop.example/ns/default/sa/payment"}`) +
			"." + parts[2],
		"expired":        own(func(j *JoinToken) { j.Expiry = jwt.NewNumericDate(now.Add(-time.Second)) }),
		"without an end": own(func(j *JoinToken) { j.Expiry = nil }),
		"for another server": own(func(j *JoinToken) {
			j.Issuer = "spiffe://shop.example/ns/other-system/sa/meshc"
		}),
		"for another purpose":     own(func(j *JoinToken) { j.Audience = jwt.Audience{"shop"} }),
		"of nobody":               own(func(j *JoinToken) { j.Subject = "cart" }),
		"without a number":        own(func(j *JoinToken) { j.ID = "" }),
		"not yet":                 own(func(j *JoinToken) { j.NotBefore = jwt.NewNumericDate(now.Add(time.Minute)) }),
		"with something after it": good + ".x",
	} {
		if id, err := a.Redeem(text, server, now); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %s, %v", name, id, err)
		}
	}
	if _, err := a.Redeem(good, server, now); err != nil {
		t.Errorf("the good one: %v", err)
	}
	for _, life := range []time.Duration{0, MaxTokenLife + 1} {
		if _, err := a.IssueToken(server, cart, life, now); err == nil {
			t.Errorf("a token lives for %s", life)
		}
	}
}

func FuzzRedeem(f *testing.F) {
	a, err := InMemory()
	if err != nil {
		f.Fatal(err)
	}
	token, err := a.IssueToken(server, cart, time.Minute, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token[:len(token)-2])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		if text == token {
			return
		}
		if id, err := a.Redeem(text, server, time.Now()); err == nil &&
			id != cart { // base64 has two spellings of some texts
			t.Errorf("%q is taken for %s", text, id)
		}
		_, _ = ReadToken(text)
	})
}
