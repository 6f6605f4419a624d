package local

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/examples/backend/app"
)

// TestTryIsEnvoy puts random requests to random meshes, and wants of compiler/try what real Envoys answer: the status, the
// application that it reaches, and what that is asked for. MESHC_TRIES is how many, and MESHC_SEED what the
// random ones are made of.
func TestTryIsEnvoy(t *testing.T) {
	const perMesh = 40
	tries, seed := 320, uint64(time.Now().UnixNano())
	if n, err := strconv.Atoi(os.Getenv("MESHC_TRIES")); err == nil {
		tries = n
	}
	if n, err := strconv.ParseUint(os.Getenv("MESHC_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("MESHC_SEED=%d", seed)
	keys := newKeySet(t)
	compared, undecided, reached := 0, 0, 0
	// Some meshes let nobody in: another one, until enough of the requests get somewhere.
	for n := 0; compared+undecided < tries || reached < tries/8 && compared < 4*tries; n++ {
		g := &trier{Rand: rand.New(rand.NewPCG(seed, uint64(n))), keys: keys}
		m, text := g.mesh(t)
		mesh := startUntilStopped(t, m)
		for range perMesh {
			r, raw := g.request(t)
			trial, err := try.Try(m, r)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if len(trial.Undecided) > 0 {
				undecided++
				continue
			}
			compared++
			reached += len(trial.Reaches)
			if wrong := difference(t, mesh, trial, r, raw); wrong != "" {
				var steps strings.Builder
				if err := trial.Text(&steps); err != nil {
					t.Fatal(err)
				}
				t.Errorf("%s\n%q\n%s\n%s", wrong, raw, steps.String(), text)
			}
		}
		if err := mesh.Stop(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d requests are as Envoy has them, %d of which reach an application; %d are not decided", compared, reached, undecided)
	if reached < tries/8 || undecided > compared/4 {
		t.Errorf("of %d requests %d reach an application, and %d are not decided: that proves little", compared, reached, undecided)
	}
}

// difference sends a request and says in what the trial is wrong; "" when in nothing.
func difference(t *testing.T, mesh *Mesh, trial *try.Trial, r try.Request, raw string) string {
	t.Helper()
	var conn net.Conn
	var err error
	if r.From.Kind == ir.KindGateway {
		u, parseErr := url.Parse(mesh.Gateway("g").URL)
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		conn, err = net.Dial("tcp", u.Host)
	} else {
		conn, err = mesh.As(r.From.Name).Dial(t.Context(), r.Host+":8080")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.Method})
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "no whole answer: " + err.Error()
	}
	if a := trial.Answer; a != nil {
		if response.StatusCode != a.Status || a.Location != response.Header.Get("location") || a.Body != "" && a.Body != string(body) {
			return fmt.Sprintf("Envoy answers %d %s %.100s", response.StatusCode, response.Header.Get("location"), body)
		}
		return ""
	}
	var report app.Report
	if err := json.Unmarshal(body, &report); err != nil || response.StatusCode != http.StatusOK {
		for _, reach := range trial.Reaches {
			if reach.Refused == response.StatusCode {
				return ""
			}
		}
		return fmt.Sprintf("Envoy answers %d %.100s", response.StatusCode, body)
	}
	for _, reach := range trial.Reaches {
		if reach.Refused == 0 && reach.Service == report.Service && (reach.Version == "" || reach.Version == report.Version) && reach.Path == report.Path && reach.Host == report.Host {
			return ""
		}
	}
	return fmt.Sprintf("it reaches %s %s as %s%s", report.Service, report.Version, report.Host, report.Path)
}

// trier makes meshes and requests.
type trier struct {
	*rand.Rand
	keys *keySet
}

func (g *trier) one(list ...string) string { return list[g.IntN(len(list))] }
func (g *trier) chance(n int) bool         { return g.IntN(n) == 0 }

// mesh is one that compiles.
func (g *trier) mesh(t *testing.T) (*ir.Mesh, string) {
	t.Helper()
	keys, err := json.Marshal(g.keys.public(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		text := "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"\n\tsilence: {MC1203: \"-\", MC1307: \"-\", MC1402: \"-\", MC1701: \"-\", MC1702: \"-\", MC1703: \"-\", MC1705: \"-\"}\n" +
			"\tjwt: issuers: {accounts: {issuer: \"https://accounts.example\", jwks: inline: " + string(keys) + "}, other: {issuer: \"https://other.example\", jwks: inline: " + string(keys) + "}}\n}\n" +
			"services: a: {workload: deployment: \"a\", uses: {b: {}, c: {}}}\n" +
			g.service("b", "c") + g.service("c", "b") +
			"gateways: g: {\n\tlisteners: http: port: 8080\n\troutes: [" + g.list(1, 5, func() string { return g.route("", g.one("b", "c")) }) + "]\n\tuses: {b: {}, c: {}}\n}\n"
		r, err := compiler.Compile(t.Context(), compiler.Options{Dir: laidOut(t, map[string]string{"mesh.cue": text})})
		if err != nil {
			t.Fatal(err)
		}
		if r.Mesh != nil {
			return r.Mesh, text
		}
		for _, d := range r.Diagnostics { // random routes hide others, and the like
			if strings.HasPrefix(string(d.Code), "MC01") || strings.HasPrefix(string(d.Code), "MC02") {
				t.Fatalf("%s %s\n%s", d.Code, d.Message, text)
			}
		}
	}
	t.Fatal("no random mesh compiles")
	return nil, ""
}

func (g *trier) list(from, to int, one func() string) string {
	var out []string
	for range from + g.IntN(to-from+1) {
		out = append(out, one())
	}
	return strings.Join(out, ", ")
}

func (g *trier) service(name, other string) string {
	allow := "{from: {services: [\"a\"], gateways: [\"g\"]}" + g.condition() + "}"
	if g.chance(2) {
		allow = "{from: services: [\"a\"]" + g.condition() + "}, {from: gateways: [\"g\"]" + g.condition() + "}"
	}
	deny := g.list(0, 2, func() string {
		return "{from: " + g.one(`services: ["a"]`, `gateways: ["g"]`, `namespaces: ["default"]`, "anyone: true") + `, methods: ["DELETE"]` + strings.ReplaceAll(g.condition(), ", methods", ", _methods") + "}"
	})
	deny = strings.NewReplacer(`, _methods: ["GET"]`, "", `, _methods: ["GET", "POST"]`, "").Replace(deny)
	return fmt.Sprintf("services: %s: {\n\tworkload: deployment: %q\n\tports: http: {port: 8080, protocol: \"http\"}\n\tversions: {v1: labels: version: \"v1\", v2: labels: version: \"v2\"}\n\tallow: [%s]\n\tdeny: [%s]\n\troutes: [%s]\n}\n",
		name, name, allow, deny, g.list(0, 4, func() string { return g.route(name, other) }))
}

// condition is what a rule asks for besides.
func (g *trier) condition() string {
	out := ""
	if g.chance(3) {
		out += ", methods: " + g.one(`["GET"]`, `["GET", "POST"]`)
	}
	if g.chance(3) {
		out += ", paths: " + g.one(`["/a"]`, `["/a/*"]`, `["/a", "/u/*"]`, `["/*"]`)
	}
	if g.chance(5) {
		out += ", headers: " + g.stringMatch()
	}
	if g.chance(4) {
		out += ", jwt: " + g.one(`issuer: "accounts"`, `{issuer: "accounts", claims: role: ["buyer", "admin"]}`, `{issuer: "accounts", claims: {role: ["buyer"], team: ["x"]}}`, `issuer: "other"`)
	}
	return out
}

func (g *trier) stringMatch() string {
	return `"x-k": ` + g.one(`exact: "v"`, `prefix: "v"`, `suffix: "w"`, `regex: "v[0-9]*"`, "present: true", "present: false", `{exact: "v", invert: true}`)
}

// route is one of a service, or with an empty name of the gateway.
func (g *trier) route(of, other string) string {
	var match []string
	if of == "" && g.chance(2) {
		match = append(match, "host: "+g.one(`"one.example"`, `"*.example"`, `"*.two.example"`))
	}
	path := ""
	if !g.chance(3) {
		path = g.one(`exact: "/a"`, `exact: "/a/b"`, `prefix: "/a"`, `prefix: "/a/"`, `prefix: "/"`, `regex: "/[a-z]+/b"`, `template: "/u/{id}/x"`, `template: "/a/**"`, `exact: "/a%20b"`)
		match = append(match, "path: "+path)
	}
	if g.chance(4) {
		match = append(match, "method: "+g.one(`"GET"`, `"POST"`))
	}
	if g.chance(3) {
		match = append(match, "headers: "+g.stringMatch())
	}
	if g.chance(4) {
		match = append(match, "query: q: "+g.one(`exact: "1"`, `prefix: "1"`, "present: true", "present: false", `regex: "[0-9]+"`))
	}
	out := ""
	if match != nil {
		out = "match: {" + strings.Join(match, ", ") + "}, "
	}
	to := func(service string) string {
		head := fmt.Sprintf("service: %q, ", service)
		if service == of {
			head = ""
		}
		return g.one(
			fmt.Sprintf("{%sversion: %q}", head, g.one("v1", "v2")),
			fmt.Sprintf("{%sversion: \"v1\", weight: %d}, {%sversion: \"v2\", weight: %d}", head, g.IntN(2), head, 1+g.IntN(3)),
			"{"+strings.TrimSuffix(head, ", ")+"}",
		)
	}
	switch g.IntN(8) {
	case 0:
		return "{" + out + "directResponse: {status: " + g.one("200", "404", "503") + `, body: "said"}}`
	case 1:
		return "{" + out + "redirect: " + g.one(`path: "/moved"`, `{host: "new.example", status: 302}`, `{scheme: "https", port: 8443}`, `prefix: "/n/"`) + "}"
	}
	service := of
	if of == "" || g.chance(5) {
		service = other
	}
	out += "to: [" + to(service) + "]"
	if g.chance(3) {
		rewrite := []string{`path: prefix: "/z"`, `path: prefix: "/a/"`, `host: "rewritten.example"`}
		if !strings.HasPrefix(path, "template") && of != "" {
			rewrite = append(rewrite, `path: regex: {pattern: "/([a-z])", substitution: "/\\1\\1"}`)
		}
		out += ", rewrite: " + g.one(rewrite...)
	}
	if g.chance(5) {
		out += ", headers: request: " + g.one(`set: "x-k": "v"`, `remove: ["x-k"]`, `add: "x-k": "w"`)
	}
	if g.chance(12) {
		out += ", fault: abort: status: 418"
	}
	return "{" + out + "}"
}

// request is one, as a trial takes it and as it is sent.
func (g *trier) request(t *testing.T) (try.Request, string) {
	t.Helper()
	r := try.Request{Method: g.one("GET", "GET", "POST", "PUT", "DELETE"), Scheme: "http", Port: 8080}
	r.From, r.Host = try.Sender{Kind: ir.KindService, Name: "a"}, g.one("b", "c")
	if g.chance(2) {
		r.From, r.Host = try.Sender{Kind: ir.KindGateway, Name: "g"}, g.one("one.example", "ONE.example.", "x.example", "y.two.example", "elsewhere.test")
	}
	r.Path = g.one("/a", "/a", "/a/b", "/a/", "/", "/u/7/x", "/u/7/8/x", "/A", "/a//b", "/a/./b", "/b/../a", "/a/b/..", "/%61", "/a%2fb", "/a%2Eb", "/b/%2e%2e/a", "/a%20b", "/a;x", "/a%00", "/a/..%2f", "/x/b", `/a\b`, "/a/b/.", "/..", "/a%7Eb", "/%e4/b")
	if g.chance(3) {
		r.Path += g.one("?q=1", "?q=12&r=2", "?r=1", "?q", "?q=", "?q=%31", "?q=1&q=2", "?/../a")
	}
	head := ""
	if g.chance(2) {
		r.Headers = append(r.Headers, ir.Header{Name: "x-k", Value: g.one("v", "v1", "vw", "w", "")})
	}
	if g.chance(12) {
		r.Headers = append(r.Headers, ir.Header{Name: "x-k", Value: "second"})
	}
	for _, h := range r.Headers {
		head += h.Name + ": " + h.Value + "\r\n"
	}
	if g.chance(2) {
		r.Token = &try.Token{Issuer: g.one("accounts", "accounts", "other"), Claims: map[string][]string{}}
		said := claims{"iss": "https://" + r.Token.Issuer + ".example", "exp": time.Now().Add(time.Hour).Unix()}
		if role := g.one("", "buyer", "admin", "cook"); role != "" {
			said["role"], r.Token.Claims["role"] = role, []string{role}
		}
		if g.chance(3) {
			said["team"], r.Token.Claims["team"] = []string{"w", "x"}, []string{"w", "x"}
		}
		head += "authorization: Bearer " + g.keys.token(t, said) + "\r\n"
	}
	if slices.Contains([]string{"POST", "PUT"}, r.Method) {
		head += "content-length: 0\r\n"
	}
	return r, fmt.Sprintf("%s %s HTTP/1.1\r\nhost: %s\r\n%sconnection: close\r\n\r\n", r.Method, r.Path, r.Host, head)
}
