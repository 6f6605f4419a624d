package local

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keySet are the keys of a token issuer.
type keySet struct {
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
}

func newKeySet(t testing.TB) *keySet {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &keySet{ec, r}
}

// public is the JSON Web Key Set.
func (k *keySet) public(t testing.TB) string {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: k.ec.Public(), KeyID: "ec", Algorithm: "ES256", Use: "sig"},
		{Key: k.rsa.Public(), KeyID: "rsa", Algorithm: "RS256", Use: "sig"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

type claims map[string]any

// set is a copy of the claims with others.
func (c claims) set(name string, value any) claims {
	out := claims{}
	for k, v := range c {
		out[k] = v
	}
	out[name] = value
	if value == nil {
		delete(out, name)
	}
	return out
}

// token is a signed one, ES256 with the key "ec" unless another is given.
func (k *keySet) token(t testing.TB, c claims) string {
	return k.signed(t, jose.ES256, jose.JSONWebKey{Key: k.ec, KeyID: "ec"}, c)
}

func (k *keySet) signed(t testing.TB, algorithm jose.SignatureAlgorithm, key any, c claims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signature.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// buyer is what a good token of the issuer accounts says.
func buyer() claims {
	return claims{"iss": "https://accounts.example", "aud": "shop", "sub": "u1", "role": "buyer", "exp": time.Now().Add(time.Hour).Unix()}
}

func bearer(token string) []string { return []string{"authorization", "Bearer " + token} }

// A request must carry a token of the issuer that is good, for this audience, in
// time and with the claims; its claims reach the application, and what a request
// says in their place does not.
//
// Field: mesh.jwt.issuers.issuer
// Field: mesh.jwt.issuers.audiences
// Field: mesh.jwt.issuers.jwks.inline
// Field: mesh.jwt.issuers.forward.claims
// Field: allow.jwt
func TestJWT(t *testing.T) {
	rulesMesh(t)
	keys, other := ruled.keys, newKeySet(t)
	now := time.Now()
	part := func(c any) string {
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	none := part(map[string]string{"alg": "none", "typ": "JWT"}) + "." + part(buyer()) + "."
	good := keys.token(t, buyer())
	parts := strings.Split(good, ".")
	rsaPublic, err := json.Marshal(jose.JSONWebKey{Key: keys.rsa.Public()})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		headers []string
		status  int
	}{
		"good":                          {bearer(good), 200},
		"good, by RSA":                  {bearer(keys.signed(t, jose.RS256, jose.JSONWebKey{Key: keys.rsa, KeyID: "rsa"}, buyer())), 200},
		"another audience of the mesh":  {bearer(keys.token(t, buyer().set("aud", []string{"x", "admin"}))), 200},
		"another role":                  {bearer(keys.token(t, buyer().set("role", "guest"))), 403},
		"a role among others":           {bearer(keys.token(t, buyer().set("role", []string{"guest", "admin"}))), 200},
		"no role":                       {bearer(keys.token(t, buyer().set("role", nil))), 403},
		"a role with more around":       {bearer(keys.token(t, buyer().set("role", "buyer admin"))), 403},
		"no token":                      {nil, 401},
		"in lower case, not good":       {[]string{"authorization", "bearer a.b.c"}, 403},
		"in upper case, not good":       {[]string{"authorization", "BEARER a.b.c"}, 403},
		"behind a tab":                  {[]string{"authorization", "Bearer\ta.b.c"}, 403},
		"behind two spaces":             {[]string{"authorization", "Bearer  a.b.c"}, 403},
		"behind another scheme":         {[]string{"authorization", "Basic eDp5, bearer a.b.c"}, 403},
		"in lower case, good":           {[]string{"authorization", "bearer " + good}, 403},
		"an empty one":                  {bearer(""), 401},
		"no token but words":            {bearer("a.b.c"), 401},
		"algorithm none":                {bearer(none), 401},
		"algorithm none, signed":        {bearer(none + parts[2]), 401},
		"no signature":                  {bearer(parts[0] + "." + parts[1] + "."), 401},
		"another's payload":             {bearer(parts[0] + "." + part(buyer().set("role", "admin")) + "." + parts[2]), 401},
		"another key":                   {bearer(other.token(t, buyer())), 401},
		"another key, under its own id": {bearer(other.signed(t, jose.ES256, jose.JSONWebKey{Key: other.ec, KeyID: "mine"}, buyer())), 401},
		"the public key as a secret":    {bearer(keys.signed(t, jose.HS256, jose.JSONWebKey{Key: rsaPublic, KeyID: "rsa"}, buyer())), 401},
		"the wrong algorithm for a key": {bearer(other.signed(t, jose.RS256, jose.JSONWebKey{Key: other.rsa, KeyID: "ec"}, buyer())), 401},
		"another issuer":                {bearer(keys.token(t, buyer().set("iss", "https://accounts.example.evil"))), 401},
		"another issuer of the mesh":    {bearer(keys.token(t, buyer().set("iss", "https://keys.example"))), 401},
		"no issuer":                     {bearer(keys.token(t, buyer().set("iss", nil))), 401},
		"another audience":              {bearer(keys.token(t, buyer().set("aud", "bank"))), 403},
		"no audience":                   {bearer(keys.token(t, buyer().set("aud", nil))), 403},
		"expired":                       {bearer(keys.token(t, buyer().set("exp", now.Add(-2*time.Minute).Unix()))), 401},
		"without an end":                {bearer(keys.token(t, buyer().set("exp", nil))), 401},
		"not yet valid":                 {bearer(keys.token(t, buyer().set("nbf", now.Add(10*time.Minute).Unix()))), 401},
		"in the query alone":            {[]string{"x-no-token", ""}, 401},
		"of another scheme":             {[]string{"authorization", "Basic " + good}, 401},
		"by a proxy's header":           {[]string{"proxy-authorization", "Bearer " + good}, 401},
	} {
		url := "http://token:8080/"
		if name == "in the query alone" {
			url += "?access_token=" + good
		}
		a := send(t, rulesMesh(t).As("client").Client(), http.MethodGet, url, append(c.headers, "x-user", "root", "x-role", "admin")...)
		if a.status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.status, c.status, a.body)
		}
		if name == "good" && (a.report.Headers["x-user"] != "u1" || a.report.Headers["x-role"] != "buyer" || a.report.Headers["authorization"] == "") {
			t.Errorf("the application was told %v", a.report.Headers)
		}
	}
}

// Two tokens in one request are none, whichever of them is good.
func TestTwoTokens(t *testing.T) {
	rulesMesh(t)
	good, bad := ruled.keys.token(t, buyer()), newKeySet(t).token(t, buyer().set("role", "admin"))
	for name, values := range map[string][]string{
		"a good and a bad one": {"Bearer " + good, "Bearer " + bad},
		"a bad and a good one": {"Bearer " + bad, "Bearer " + good},
		"in one header":        {"Bearer " + bad + ", Bearer " + good},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://token:8080/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Authorization"] = values
		response, err := rulesMesh(t).As("client").Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			t.Errorf("%s: status %d", name, response.StatusCode)
		}
	}
}

// A token whose header says that something in it must be understood is refused, for nothing is (RFC 7515, section
// 4.1.11): each time that it is sent, on paths that need no token too, and whatever "crit" holds. What is not critical
// changes nothing.
func TestCriticalHeaders(t *testing.T) {
	rulesMesh(t)
	keys := ruled.keys
	signed := func(more map[string]any) string {
		header := map[string]any{"alg": "ES256", "kid": "ec", "typ": "JWT"}
		maps.Copy(header, more)
		var parts []string
		for _, part := range []any{header, buyer().set("scope", "read").set("level", 7).set("verified", true)} {
			data, err := json.Marshal(part)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, base64.RawURLEncoding.EncodeToString(data))
		}
		sum := sha256.Sum256([]byte(strings.Join(parts, ".")))
		r, s, err := ecdsa.Sign(rand.Reader, keys.ec, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		return strings.Join(append(parts, base64.RawURLEncoding.EncodeToString(signature)), ".")
	}
	for name, c := range map[string]struct {
		header map[string]any
		status int
	}{
		"nothing":                      {nil, 200},
		"more that is not critical":    {map[string]any{"x-tenant": "t1", "b64x": false}, 200},
		"an extension":                 {map[string]any{"crit": []string{"x-tenant"}, "x-tenant": "t1"}, 403},
		"one that is not there":        {map[string]any{"crit": []string{"x-tenant"}}, 403},
		"a payload that is not base64": {map[string]any{"crit": []string{"b64"}, "b64": true}, 403},
		"an empty list":                {map[string]any{"crit": []string{}}, 403},
		"no list":                      {map[string]any{"crit": "exp"}, 403},
		"null":                         {map[string]any{"crit": nil}, 403},
		"false":                        {map[string]any{"crit": false}, 403},
		"a struct":                     {map[string]any{"crit": map[string]any{}}, 403},
	} {
		token := signed(c.header)
		for _, url := range []string{"http://token:8080/", "http://token:8080/", "http://token-paths:8080/free", "http://token-paths:8080/scope"} { // the first is kept by the proxy
			if a := send(t, rulesMesh(t).As("client").Client(), http.MethodGet, url, bearer(token)...); a.status != c.status {
				t.Errorf("%s at %s: status %d, want %d: %s", name, url, a.status, c.status, a.body)
			}
		}
	}
}

// Only the rules that ask for a token need one, but one that is bad is refused
// wherever it is sent.
func TestJWTByPath(t *testing.T) {
	rulesMesh(t)
	keys := ruled.keys
	scoped := buyer().set("scope", "write read").set("level", 7).set("verified", true)
	judge(t, []rulesCase{
		{"client", "http://token-paths:8080/free", nil, 200},
		{"client", "http://token-paths:8080/free", bearer(keys.token(t, buyer())), 200},
		{"client", "http://token-paths:8080/free", bearer(newKeySet(t).token(t, buyer())), 401},
		{"client", "http://token-paths:8080/free", bearer(keys.token(t, buyer().set("iss", "https://unknown.example"))), 401},
		{"client", "http://token-paths:8080/scope", nil, 403},
		{"client", "http://token-paths:8080/scope", bearer(keys.token(t, buyer())), 403},
		{"client", "http://token-paths:8080/scope", bearer(keys.token(t, scoped)), 200},
		{"client", "http://token-paths:8080/scope", bearer(keys.token(t, scoped.set("scope", "write"))), 403},
		{"client", "http://token-paths:8080/scope", bearer(keys.token(t, scoped.set("level", 8))), 403},
		{"client", "http://token-paths:8080/scope", bearer(keys.token(t, scoped.set("verified", false))), 403},
		{"client", "http://token-paths:8080/either", bearer(keys.token(t, buyer())), 200},
	})
}

// replaced has another handler answer in the place of an application's port.
func replaced(t *testing.T, address string, stop func(), handler http.Handler,
	serve func(*http.Server, net.Listener) error,
) {
	t.Helper()
	stop()
	l, err := listening(address)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = serve(s, l) }()
	t.Cleanup(func() { s.Close(); <-done })
}

// Keys come from a service of the mesh or from a URL, and are fetched again; while
// there are none, no token is good.
//
// Field: mesh.jwt.issuers.jwks.service
// Field: mesh.jwt.issuers.jwks.port
// Field: mesh.jwt.issuers.jwks.path
// Field: mesh.jwt.issuers.jwks.url
// Field: mesh.jwt.issuers.jwks.refresh
// Field: mesh.jwt.issuers.forward.token
func TestKeysAreFetched(t *testing.T) {
	mesh := rulesMesh(t)
	first, second := newKeySet(t), newKeySet(t)
	good := func(k *keySet, iss string) []string { return bearer(k.token(t, buyer().set("iss", iss))) }

	if status := asked(t, "client", "http://token-service:8080/", good(first, "https://keys.example")...); status != http.StatusUnauthorized {
		t.Errorf("a token without keys to check it: status %d", status)
	}
	var served atomic.Pointer[keySet]
	served.Store(first)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/jwks.json" && r.URL.Path != "/keys" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("content-type", "application/json")
		_, _ = w.Write([]byte(served.Load().public(t))) // the proxy may be gone
	})
	keys := mesh.Backend("keys", "a")
	replaced(t, keys.Address("http"), keys.Close, handler, (*http.Server).Serve)
	eventually(t, "the keys of a service", func() bool {
		return asked(t, "client", "http://token-service:8080/", good(first, "https://keys.example")...) == http.StatusOK
	})

	certificate, err := mesh.applications.stubs.issue([]string{"idp.example"})
	if err != nil {
		t.Fatal(err)
	}
	idp := mesh.External("idp")
	replaced(t, idp.Address("https"), idp.Close, handler, func(s *http.Server, l net.Listener) error {
		s.TLSConfig = tlsWith(certificate)
		return s.ServeTLS(l, "", "")
	})
	eventually(t, "the keys at a URL", func() bool {
		return asked(t, "client", "http://token-url:8080/", good(first, "https://idp.example")...) == http.StatusOK
	})
	a := send(t, mesh.As("client").Client(), http.MethodGet, "http://token-url:8080/", good(first, "https://idp.example")...)
	if a.report == nil || a.report.Headers["authorization"] != "" {
		t.Errorf("the token was left in the request: %+v", a.report)
	}
	served.Store(second)
	eventually(t, "new keys", func() bool {
		return asked(t, "client", "http://token-url:8080/", good(second, "https://idp.example")...) == http.StatusOK
	})
	if status := asked(t, "client", "http://token-url:8080/", good(first, "https://idp.example")...); status != http.StatusUnauthorized {
		t.Errorf("a token of keys that are gone: status %d", status)
	}
}
