package local

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Gateways whose bounds last as long as the test, each counted by something else.
const clientLimitsMesh = `package m

mesh: {
	name: "m", trustDomain: "m.example", silence: {MC1701: "-", MC1702: "-"}
	jwt: issuers: accounts: {
		issuer: "https://accounts.example", audiences: ["shop"], jwks: inline: #"""
			KEYS
			"""#
		forward: {token: false, claims: sub: "x-user"}
	}
}
services: shop: {workload: deployment: "shop", ports: http: {port: 8080, protocol: "http"}, allow: [{from: gateways: ["addresses", "users", "tenants"]}]}
gateways: [string]: {routes: [{match: path: exact: "/here", directResponse: status: 299}, {match: path: prefix: "/", to: [{service: "shop"}], rateLimit: {requests: 1000, per: "1h"}}], uses: shop: {}}
gateways: addresses: {
	listeners: {
		plain: port: 8080
		hop: {port: 8081, clientIPDetection: numTrustedHops: 1}
		secure: {port: 8443, tls: secret: "a", http3: true}
	}
	deny: [{from: anyone: true, paths: ["/denied"]}]
	rateLimits: {
		all: {requests: 70, per: "1h"}
		client: {requests: 3, per: "1h", by: "address"}
	}
}
gateways: users: {
	listeners: plain: port: 8080
	allow: [{from: anyone: true, paths: ["/public"]}, {from: anyone: true, jwt: issuer: "accounts"}]
	rateLimits: user: {requests: 1, burst: 1, per: "1h", header: "x-user"}
}
gateways: tenants: {
	listeners: plain: port: 8080
	rateLimits: tenant: {requests: 2, per: "1h", header: "x-tenant"}
	silence: MC1774: "the test's own"
}
`

// clientLimits starts the mesh, whose tokens a key set signs.
func clientLimits(t *testing.T) (*Mesh, *keySet) {
	t.Helper()
	keys := newKeySet(t)
	return start(t, inline(t, map[string]string{
		"mesh.cue": strings.Replace(clientLimitsMesh, "KEYS", keys.public(t), 1),
	})), keys
}

// Each client of a listener has a bound for itself, and all have one together, by whichever version of HTTP they come.
// Requests without a route count, and those that a rule denies do not. Envoy keeps 20 clients unless it is told
// otherwise, and has who was the first begin anew then (envoyproxy/gateway#9973).
//
// Field: rateLimits
// Field: rateLimits.requests
// Field: rateLimits.per
// Field: rateLimits.by
func TestClientRateLimits(t *testing.T) {
	mesh, _ := clientLimits(t)
	for _, c := range []struct {
		listener  string
		protocols []string
	}{{"plain", []string{"HTTP/1.1"}}, {"secure", []string{"HTTP/2", "HTTP/3", "HTTP/2", "HTTP/3"}}} {
		url := mesh.Gateway("addresses").Listeners[c.listener]
		sent := 0
		send := func(from, path string) int {
			sent++
			return overProtocol(t, c.protocols[sent%len(c.protocols)], url, from, "GET", "x.example", path, nil).status
		}
		for range 5 {
			if status := send("127.0.0.61", "/denied"); status != http.StatusForbidden {
				t.Fatalf("%s: a denied request: %d", c.listener, status)
			}
		}
		for i, path := range []string{"/here", "/", "/a"} {
			if status := send("127.0.0.61", path); status == http.StatusTooManyRequests {
				t.Errorf("%s: request %d is refused", c.listener, i)
			}
		}
		for _, path := range []string{"/", "/here", "/elsewhere"} {
			if status := send("127.0.0.61", path); status != http.StatusTooManyRequests {
				t.Errorf("%s: %s beyond the bound: %d", c.listener, path, status)
			}
		}
		for i := range 40 {
			if status := send(fmt.Sprintf("127.0.1.%d", i+1), "/"); status != http.StatusOK {
				t.Errorf("%s: another client: %d", c.listener, status)
			}
		}
		if status := send("127.0.0.61", "/"); status != http.StatusTooManyRequests {
			t.Errorf("%s: after 40 other clients the first one begins anew: %d", c.listener, status)
		}
		let := 0
		for i := 0; i < 70 && send(fmt.Sprintf("127.0.2.%d", i+1), "/") == http.StatusOK; i++ {
			let++
		}
		if let > 70-43 || let < 70-50 { // who is refused for one bound may have counted for the other
			t.Errorf("%s: %d clients more are let in by the bound of all", c.listener, let)
		}
	}
}

// The address is that before the trusted hops, whatever a client writes before it, and of IPv6 its first 64 bits.
func TestClientRateLimitsBehindHops(t *testing.T) {
	mesh, _ := clientLimits(t)
	url := mesh.Gateway("addresses").Listeners["hop"]
	for _, same := range [][]string{
		{"203.0.113.1", "198.51.100.7, 203.0.113.1", "10.0.0.1,198.51.100.8,203.0.113.1", "::1, 203.0.113.1"},
		{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::1", "2001:db8::3"},
		{"2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1::3", "2001:db8:0:1::1"},
	} {
		for i, forwarded := range same {
			want := http.StatusOK
			if i == 3 {
				want = http.StatusTooManyRequests
			}
			a := overProtocol(t, "HTTP/1.1", url, "127.0.0.60", "GET", "x.example", "/", []string{"x-forwarded-for", forwarded})
			if a.status != want {
				t.Errorf("request %d of %s: %d, want %d", i, forwarded, a.status, want)
			}
		}
	}
}

// Each value of a claim has a bound for itself, and requests without a token have one together, whatever they write in
// the claim's header.
//
// Field: rateLimits.header
// Field: rateLimits.burst
func TestClientRateLimitsByClaim(t *testing.T) {
	mesh, keys := clientLimits(t)
	url := mesh.Gateway("users").Listeners["plain"]
	for _, user := range []string{"u1", "u2", ""} {
		path, headers := "/public", []string(nil)
		if user != "" {
			path, headers = "/", bearer(keys.token(t, buyer().set("sub", user)))
		}
		for i := range 4 {
			want := http.StatusOK
			if i >= 2 {
				want = http.StatusTooManyRequests
			}
			if i == 1 { // another address is the same user
				headers = append(headers, "x-forwarded-for", "203.0.113.9")
			}
			a := overProtocol(t, "HTTP/1.1", url, "127.0.0.61", "GET", "x.example", path, headers)
			if a.status != want {
				t.Errorf("request %d of %q: %d, want %d", i, user, a.status, want)
			}
		}
	}
}

// Requests without the header have one bound together, those with an empty one too.
func TestClientRateLimitsByHeader(t *testing.T) {
	mesh, _ := clientLimits(t)
	url := mesh.Gateway("tenants").Listeners["plain"]
	for _, headers := range [][]string{nil, {"x-tenant", ""}, {"x-tenant", "a"}, {"x-tenant", "b"}} {
		for i, want := range []int{200, 200, 429} {
			a := overProtocol(t, "HTTP/1.1", url, "127.0.0.61", "GET", "x.example", "/", headers)
			if a.status != want {
				t.Errorf("request %d with %q: %d, want %d", i, headers, a.status, want)
			}
		}
	}
}
