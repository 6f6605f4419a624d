package local

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// A gateway that knows clients by keys and passwords, and a service that lets it in.
const knownClientsMesh = `package m

mesh: {name: "m", trustDomain: "m.example", silence: MC1701: "-"}
services: shop: {workload: deployment: "shop", ports: http: {port: 8080, protocol: "http"}, allow: [{from: gateways: ["edge"]}]}
gateways: edge: {
	listeners: {
		plain: port: 8080
		secure: {port: 8443, tls: secret: "a", http3: true}
		strict: port: 8081
	}
	clients: {
		partner: apiKeys: [{secret: "keys"}, {secret: "keys", key: "partner-next"}]
		team: passwords: [{secret: "passwords"}]
		both: {apiKeys: [{secret: "keys"}], passwords: [{secret: "passwords"}]}
		brief: {apiKeys: [{secret: "keys"}], passwords: [{secret: "passwords"}]}
	}
	routes: [{to: [{service: "shop"}], cors: {origins: ["https://a.example"], methods: ["GET"]}}]
	uses: shop: {}
	allow: [
		{name: "partner", from: clients: ["partner", "brief"], paths: ["/partner/*"]},
		{name: "team", from: clients: ["team", "both"], paths: ["/team/*"], listeners: ["plain", "secure"]},
		{name: "public", from: anyone: true, paths: ["/public/*"], listeners: ["plain", "secure"]},
		{name: "preflight", from: anyone: true, methods: ["OPTIONS"], headers: "access-control-request-method": present: true, listeners: ["plain", "secure"]},
	]
	deny: [{name: "not both", from: clients: ["both"], paths: ["/public/secret"]}]
}
`

// knownCase is a request with credentials, whose they are, and how it is answered.
type knownCase struct {
	method, path string
	headers      []string
	who          string // "" for nobody
	status       int
}

func basicOf(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// knownCases are requests with keys and passwords in many spellings.
func knownCases() []knownCase {
	key := func(value string) []string { return []string{"x-api-key", value} }
	password := func(value string) []string { return []string{"authorization", value} }
	partner, next, other := "stand-in-of-keys-partner", "stand-in-of-keys-partner-next", "stand-in-of-keys-both"
	team, both := basicOf("team", "stand-in-of-passwords-team"), basicOf("both", "stand-in-of-passwords-both")
	preflight := []string{"origin", "https://a.example", "access-control-request-method", "GET"}
	return []knownCase{
		{"GET", "/partner/a", key(partner), "partner", 200},
		{"GET", "/partner/a", key(next), "partner", 200},
		{"GET", "/partner/a", key(other), "both", 403},
		{"GET", "/partner/a", key(partner + "x"), "", 401},
		{"GET", "/partner/a", key(partner[1:]), "", 401},
		{"GET", "/partner/a", key(strings.ToUpper(partner)), "", 401},
		{"GET", "/partner/a", key("Bearer " + partner), "", 401},
		{"GET", "/partner/a", key(partner + "," + next), "", 401},
		{"GET", "/partner/a", key(""), "", 401},
		{"GET", "/partner/a", key("-"), "", 401},
		{"GET", "/partner/a", key("%SECRET(value)%"), "", 401},
		{"GET", "/partner/a", append(key(partner), key(partner)...), "", 401},
		{"GET", "/partner/a", append(key("x"), key(partner)...), "", 401},
		{"GET", "/partner/a", append(key(partner), password(team)...), "", 401},
		{"GET", "/partner/a", append(key(partner), password("Digest a")...), "partner", 200},
		{"GET", "/partner/a", nil, "", 403},
		{"GET", "/partner/a?x-api-key=" + partner, nil, "", 403},
		{"GET", "/partner/a", []string{"cookie", "x-api-key=" + partner}, "", 403},
		{"GET", "/partner/a", password("Bearer " + partner), "", 403},
		{"GET", "/partner/a", password(basicOf("partner", partner)), "", 401},
		{"GET", "/partner/a", []string{"meshc.client", "partner"}, "", 403},
		{"GET", "/partner/../team/a", key(partner), "partner", 403},
		{"GET", "/public/../partner/a", nil, "", 403},
		{"GET", "//partner//a", key(partner), "partner", 200},
		{"GET", "/public/a", key(partner), "partner", 200},
		{"GET", "/public/a", key("x"), "", 401},
		{"GET", "/public/a", nil, "", 200},
		{"GET", "/public/secret", key(other), "both", 403},
		{"GET", "/public/secret", key(partner), "partner", 200},
		{"GET", "/team/a", password(team), "team", 200},
		{"GET", "/team/a", password(both), "both", 200},
		{"GET", "/team/a", key(other), "both", 200},
		{"GET", "/team/a", password(strings.Replace(team, "Basic", "bASIC", 1)), "team", 200},
		{"GET", "/team/a", password(strings.Replace(team, "Basic ", "Basic\t", 1)), "team", 200},
		{"GET", "/team/a", password(basicOf("team", "stand-in-of-passwords-both")), "", 401},
		{"GET", "/team/a", password(basicOf("Team", "stand-in-of-passwords-team")), "", 401},
		{"GET", "/team/a", password(basicOf("team", "stand-in-of-passwords-team ")), "", 401},
		{"GET", "/team/a", password(basicOf("team", "")), "", 401},
		{"GET", "/team/a", password(basicOf("", "")), "", 401},
		{"GET", "/team/a", password("Basic"), "", 401},
		{"GET", "/team/a", password("Basic *"), "", 401},
		{"GET", "/team/a", password(team + ", " + both), "", 401},
		{"GET", "/team/a", append(password(team), password("Bearer x")...), "", 401},
		{"GET", "/team/a", password(team[len("Basic "):]), "", 403},
		{"OPTIONS", "/partner/a", preflight, "", 200},
		{"OPTIONS", "/partner/a", nil, "", 403},
	}
}

// Clients are known by keys and passwords, by HTTP/1.1, 2 and 3 alike, and try says so too. What they show reaches no
// application: elsewhere keys went on to services (envoyproxy/gateway#6461), and nothing but a request without
// credentials is one without (envoyproxy/envoy#12375, about requests of browsers before those with credentials).
//
// Field: apiKeyHeader
// Field: allow.from.clients
func TestGatewayClients(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": knownClientsMesh})
	mesh := start(t, m)
	listeners := mesh.Gateway("edge").Listeners
	for _, c := range knownCases() {
		for protocol, listener := range map[string]string{"HTTP/1.1": "plain", "HTTP/2": "secure", "HTTP/3": "secure"} {
			a := overProtocol(t, protocol, listeners[listener], someProxy, c.method, "x.example", c.path, c.headers)
			if a.status != c.status {
				t.Errorf("%s %s by %s with %q: %d, want %d: %s", c.method, c.path, protocol, c.headers, a.status, c.status, a.body)
			}
			if a.report == nil {
				continue
			}
			if key, authorization := a.report.Headers["x-api-key"], a.report.Headers["authorization"]; key != "" ||
				strings.HasPrefix(strings.ToLower(authorization), "basic") {
				t.Errorf("%s by %s: the application was sent %q and %q", c.path, protocol, key, authorization)
			}
		}
		if got := triedAs(t, m, c, 8080); got != c.status {
			t.Errorf("%s %s with %q: try says %d, want %d", c.method, c.path, c.headers, got, c.status)
		}
	}
	for _, c := range []knownCase{ // where each rule asks for a client
		{"GET", "/partner/a", []string{"x-api-key", "stand-in-of-keys-partner"}, "partner", 200},
		{"GET", "/partner/a", nil, "", 401},
		{"GET", "/public/a", nil, "", 401},
		{"GET", "/partner/%2e%2e;/a", nil, "", 400},
		{"OPTIONS", "/partner/a", []string{"origin", "https://a.example", "access-control-request-method", "GET"}, "", 401},
	} {
		a := overProtocol(t, "HTTP/1.1", listeners["strict"], someProxy, c.method, "x.example", c.path, c.headers)
		if a.status != c.status || triedAs(t, m, c, 8081) != c.status {
			t.Errorf("strict: %s with %q: %d, and try says %d, want %d", c.path, c.headers, a.status, triedAs(t, m, c, 8081), c.status)
		}
	}
	readsLongValues(t, mesh)
	renewsSecrets(t, mesh)
}

// readsLongValues sends passwords with many spaces: a proxy that goes over them again and again takes seconds for each.
func readsLongValues(t *testing.T, mesh *Mesh) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	spaces := strings.Repeat(" ", 50_000)
	for _, value := range []string{"Basic x" + spaces + "y", "Basic" + spaces + "y"} {
		for range 25 {
			a, err := trySend(ctx, http.DefaultClient, "GET", mesh.Gateway("edge").Listeners["plain"]+"/team/a",
				"authorization", value)
			if err != nil || a.status != http.StatusUnauthorized {
				t.Fatalf("a password of many spaces is answered with %d, want 401: %v", a.status, err)
			}
		}
	}
}

// renewsSecrets changes the secrets of a client while the gateway runs: a new value is taken, without the line end
// after it, the old one belongs to nobody, as one that is too short.
func renewsSecrets(t *testing.T, mesh *Mesh) {
	t.Helper()
	directory := mesh.placed.Gateway("edge").Proxy.SecretDirectory
	const renewed = "another key of partner"
	for name, value := range map[string]string{"keys/brief": "short", "keys/partner": renewed + "\r\n"} {
		file := filepath.Join(directory, filepath.FromSlash(name))
		if err := os.WriteFile(file+".new", []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	get := func(key string) int {
		return send(t, http.DefaultClient, "GET", mesh.Gateway("edge").Listeners["plain"]+"/partner/a", "x-api-key", key).status
	}
	for key, want := range map[string]int{
		renewed: 200, "stand-in-of-keys-partner": 401, "stand-in-of-keys-brief": 401, "short": 401,
	} {
		eventuallyRight(t, func() string {
			if got := get(key); got != want {
				return fmt.Sprintf("the key %q is answered with %d, want %d", key, got, want)
			}
			return ""
		})
	}
}

// triedAs is the status that try says for a request of a client.
func triedAs(t *testing.T, m *ir.Mesh, c knownCase, port uint16) int {
	t.Helper()
	r := try.Request{
		From: try.Sender{Kind: ir.KindGateway, Name: "edge"}, Method: c.method, Scheme: "http", Host: "x.example", Port: port,
		Path: c.path, IP: netip.MustParseAddr(someProxy),
	}
	for i := 0; i < len(c.headers); i += 2 {
		r.Headers = append(r.Headers, ir.Header{Name: c.headers[i], Value: c.headers[i+1]})
	}
	outcomes, _, err := try.Outcomes(m, r)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, o := range outcomes {
		other := func(w try.Condition) bool {
			return w.Kind == try.OnClient && w.Is != "it is that of "+c.who && (c.who != "" || w.Is != "it belongs to no client")
		}
		switch {
		case slices.ContainsFunc(o.When, other):
		case o.Answer != nil:
			got = append(got, o.Answer.Status)
		default:
			got = append(got, http.StatusOK)
		}
	}
	if len(got) != 1 {
		t.Fatalf("%s with %q: try knows the outcomes %d", c.path, c.headers, got)
	}
	return got[0]
}
