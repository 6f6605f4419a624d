package local

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/host/app"
)

// TestTryIsEnvoy puts random requests to random meshes, and wants of compiler/try what real Envoys answer: the status,
// the application that it reaches, and what that is asked for. MESHC_TRIES is how many, and MESHC_SEED what the
// random ones are made of.
func TestTryIsEnvoy(t *testing.T) {
	const perMesh = 40
	tries, seed := trytest.Amount(os.Getenv("MESHC_TRIES"), 320), trytest.Seed(t)
	public, token := randomTokens(t)
	compared, undecided, reached := 0, 0, 0
	// Some meshes let nobody in: another one, until enough of the requests get somewhere.
	for n := 0; compared+undecided < tries || reached < tries/8 && compared < 4*tries; n++ {
		g := &trytest.Random{
			Rand: rand.New(rand.NewPCG(seed, uint64(n))), Keys: public, Hosts: true, Edge: true, Forms: true,
			Upgrades: true,
		}
		m, text := randomMesh(t, g.Spec)
		mesh := startUntilStopped(t, m)
		bound := m.Clone()
		for i := range bound.Service("a").Uses { // as they are on one machine
			bound.Service("a").Uses[i].Binds = map[string]string{"http": "127.0.0.1:8080"}
		}
		for range perMesh {
			r, raw := g.Request(token)
			trial, err := try.Try(bound, r)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if slices.ContainsFunc(trial.Undecided, func(on string) bool { return !strings.Contains(on, "rate limit") }) {
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
	t.Logf("%d requests are as Envoy has them, %d of which reach an application; %d are not decided", compared, reached,
		undecided)
	if reached < tries/8 || undecided > compared/4 {
		t.Errorf("of %d requests %d reach an application, and %d are not decided: that proves little", compared,
			reached, undecided)
	}
}

// difference sends a request and says in what the trial is wrong; "" when in nothing.
func difference(t *testing.T, mesh *Mesh, trial *try.Trial, r try.Request, raw string) string {
	t.Helper()
	conn, err := dialed(t, mesh, &r)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	response, err := sentAs(conn, r, raw)
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "no whole answer: " + err.Error()
	}
	if a := trial.Answer; a != nil {
		if response.StatusCode != a.Status || a.Location != response.Header.Get("location") ||
			a.Body != "" && a.Body != string(body) {
			return fmt.Sprintf("Envoy answers %d %s %.100s", response.StatusCode, response.Header.Get("location"), body)
		}
		return ""
	}
	var report app.Report
	if err := json.Unmarshal(body, &report); err != nil || response.StatusCode != http.StatusOK {
		for _, reach := range trial.Reaches {
			if reach.Refused == response.StatusCode || response.StatusCode == http.StatusBadRequest &&
				reach.Refused == 0 && !isURL(reach.Path) {
				return ""
			}
		}
		return fmt.Sprintf("Envoy answers %d %.100s", response.StatusCode, body)
	}
	for _, reach := range trial.Reaches {
		if reach.Refused == 0 && reach.Service == report.Service && (reach.Version == "" ||
			reach.Version == report.Version) && reach.Path == report.Path && reach.Host == report.Host {
			return ""
		}
	}
	return fmt.Sprintf("it reaches %s %s as %s%s", report.Service, report.Version, report.Host, report.Path)
}

// sentAs sends a request as it is written, over HTTP/1.1, or over HTTP/2 where that says the same, with a scheme that
// is not always the connection's. Its own text chooses.
func sentAs(conn net.Conn, r try.Request, raw string) (*http.Response, error) {
	sum := crc32.ChecksumIEEE([]byte(raw))
	// What Go does not write, and what HTTP/2 has not.
	written := strings.Contains(raw, "://") || strings.HasPrefix(r.Path, "//") || strings.Contains(raw, "\r\nupgrade: ")
	if written || sum%3 > 0 {
		if _, err := io.WriteString(conn, raw); err != nil {
			return nil, err
		}
		return http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.Method})
	}
	request := &http.Request{
		Method: r.Method, Header: http.Header{},
		URL: &url.URL{Scheme: []string{"http", "https"}[sum%2], Host: "unused", Opaque: r.Path},
	}
	_, lines, _ := strings.Cut(raw, "\r\n")
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "host" {
			request.Host = strings.TrimSpace(value)
		} else if name != "connection" && name != "content-length" {
			request.Header[http.CanonicalHeaderKey(name)] = append(request.Header[http.CanonicalHeaderKey(name)],
				strings.TrimSpace(value))
		}
	}
	return sentByHTTP2(conn, request)
}

// dialed is a connection for a request: to the gateway that it goes to, or to the proxy of the service that sends it.
func dialed(t *testing.T, mesh *Mesh, r *try.Request) (net.Conn, error) {
	t.Helper()
	if r.From.Kind != ir.KindGateway {
		service, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(r.Host), "old-"), ".")
		return mesh.As(r.From.Name).Dial(t.Context(), service+":8080")
	}
	gateway := mesh.Gateway(r.From.Name)
	to := gateway.URL
	if r.Port == trytest.Behind {
		to = gateway.Listeners["lb"]
	}
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{}
	if r.IP.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: r.IP.AsSlice()}
	}
	return dialer.DialContext(t.Context(), "tcp", u.Host)
}

// randomTokens are keys, and what makes tokens with them.
func randomTokens(t *testing.T) (public string, token func(issuer string, claims map[string]any) string) {
	keys := newKeySet(t)
	data, err := json.Marshal(keys.public(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(data), func(issuer string, said map[string]any) string {
		said["iss"], said["exp"] = "https://"+issuer+".example", time.Now().Add(time.Hour).Unix()
		return keys.token(t, said)
	}
}

// randomMesh is one that compiles, of those that spec makes.
func randomMesh(t *testing.T, spec func() *trytest.Spec) (*ir.Mesh, string) {
	t.Helper()
	return compiling(t, func() string { return spec().Text() })
}

// compiling is the first mesh that compiles.
func compiling(t *testing.T, random func() string) (*ir.Mesh, string) {
	t.Helper()
	for range 100 {
		text := random()
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
