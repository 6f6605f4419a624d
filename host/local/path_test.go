package local

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/host/app"
)

// pathsMesh keeps /admin to itself: the gateway has a route that answers there, and the service denies it.
const pathsMesh = `package shop

mesh: {name: "shop", trustDomain: "shop.example", silence: MC1701: "-"}
services: a: {workload: deployment: "a", uses: b: {}}
services: b: {
	workload: deployment: "b"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: {services: ["a"], gateways: ["g"]}, paths: ["/*"]}]
	deny: [{from: {services: ["a"], gateways: ["g"]}, paths: ["/admin", "/admin/*"]}]
}
gateways: g: {
	listeners: http: port: 8080
	routes: [{match: path: prefix: "/admin", directResponse: status: 418}, {to: [{service: "b"}]}]
	uses: b: {}
}
`

// TestPathsAreOneThing puts random paths to a service's proxy, to a gateway before it and to a caller's proxy before
// it, over HTTP/1 and HTTP/2. All of them, and compiler/try, mean the same path by it, so that what one proxy judged
// is what the application is asked for. MESHC_PATHS is how many, and MESHC_SEED what they are made of.
func TestPathsAreOneThing(t *testing.T) {
	paths, seed := trytest.Amount(os.Getenv("MESHC_PATHS"), 300), trytest.Seed(t)
	m := inline(t, map[string]string{"mesh.cue": pathsMesh})
	mesh := start(t, m)
	ways := pathWays(t, mesh)
	g := &trytest.Random{Rand: rand.New(rand.NewPCG(seed, 0))}
	known := []string{
		"/%2e;/admin", "/%2E%2e;/admin", "/x/.%2e;y/admin", "/..;/admin", "/;/%2e;", "/admin", "//admin", `/\admin`,
		"/x/%2e%2e/admin", "/%61dmin", "/%2561dmin",
		"/%%32%65;/admin", "///", "/a%2fb", "/a%00", "/a#b", "/a?b#c", "/é", "/\xc0\xae\xc0\xae/admin", "/a?/../%2e;/",
		`/..;\admin`, `/\..;/admin`,
	}
	reached, refused := 0, 0
	for i := range paths {
		path := g.Path()
		if i < len(known) {
			path = known[i]
		}
		for _, way := range ways {
			got, ok := way.ask(path, g.IntN(4) == 0)
			if !ok {
				continue
			}
			trial, err := try.Try(m, try.Request{
				From: way.from, Method: "GET", Scheme: "http", Host: "b",
				Port: way.port, Path: path,
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := wantedOf(trial); got != want {
				t.Errorf("%s, %q: %s, and try says %s", way.name, path, got, want)
			}
			if strings.HasPrefix(got, "/") {
				reached++
			} else {
				refused++
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d requests reached the application, %d were refused", reached, refused)
	if reached < paths/2 || refused < paths/10 {
		t.Error("that proves little")
	}
}

// wantedOf is the path that the application is asked for, or the status of an answer without it.
func wantedOf(trial *try.Trial) string {
	switch {
	case len(trial.Undecided) > 0: // HTTP/1 refuses what does not belong in a path
		return strconv.Itoa(http.StatusBadRequest)
	case trial.Answer != nil:
		return strconv.Itoa(trial.Answer.Status)
	}
	path := trial.Reaches[0].Path
	if !isURL(path) {
		return strconv.Itoa(http.StatusBadRequest)
	}
	return path
}

// isURL reports whether the application takes that path: it is of Go, whose servers refuse an escape that is none.
func isURL(path string) bool {
	_, err := url.ParseRequestURI(path)
	return err == nil
}

// pathWay is a way to the service b.
type pathWay struct {
	name string
	from try.Sender
	port uint16
	// ask is the path that the application was asked for, or the status of an answer without it; false when the way
	// does not take such a path.
	ask func(path string, absolute bool) (string, bool)
}

func pathWays(t *testing.T, mesh *Mesh) []pathWay {
	gateway, err := url.Parse(mesh.Gateway("g").URL)
	if err != nil {
		t.Fatal(err)
	}
	identity := try.Sender{Kind: ir.KindIdentity, Name: mesh.Placed().Service("a").Identity.String()}
	direct := func() (net.Conn, error) {
		config := asMember(t, mesh, "service/a")
		config.NextProtos = []string{"http/1.1"}
		return tls.Dial("tcp", inbound(mesh, "b", "http"), config)
	}
	edge := func() (net.Conn, error) { return net.Dial("tcp", gateway.Host) }
	caller := func() (net.Conn, error) { return mesh.As("a").Dial(t.Context(), "b:8080") }
	return []pathWay{
		{"one proxy", identity, 8080, overHTTP1(t, direct)},
		{"gateway and proxy", try.Sender{Kind: ir.KindGateway, Name: "g"}, 8080, overHTTP1(t, edge)},
		{"two proxies", try.Sender{Kind: ir.KindService, Name: "a"}, 8080, overHTTP1(t, caller)},
		{"gateway and proxy, HTTP/2", try.Sender{Kind: ir.KindGateway, Name: "g"}, 8080, overHTTP2(t, edge)},
	}
}

// overHTTP1 writes paths as they are, on a connection that is kept while the other side keeps it.
func overHTTP1(t *testing.T, dial func() (net.Conn, error)) func(path string, absolute bool) (string, bool) {
	var conn net.Conn
	var reader *bufio.Reader
	t.Cleanup(func() {
		if conn != nil {
			conn.Close()
		}
	})
	return func(path string, absolute bool) (string, bool) {
		if conn == nil {
			var err error
			if conn, err = dial(); err != nil {
				t.Fatal(err)
			}
			reader = bufio.NewReader(conn)
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if absolute {
			path = "http://b" + path
		}
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nhost: b\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		if response.Close {
			defer func() { conn.Close(); conn = nil }()
		}
		return arrivedAs(t, response), true
	}
}

// overHTTP2 has a client of Go's write the path. It takes none that begins with "//", and HTTP/2 leaves open what
// happens to bytes that do not belong in a path.
func overHTTP2(t *testing.T, dial func() (net.Conn, error)) func(path string, absolute bool) (string, bool) {
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn,
		error,
	) {
		return dial()
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return func(path string, _ bool) (string, bool) {
		if strings.HasPrefix(path, "//") ||
			strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
			return "", false
		}
		raw, query, asks := strings.Cut(path, "?")
		r := (&http.Request{Method: http.MethodGet, Header: http.Header{}, URL: &url.URL{
			Scheme: "http", Host: "b",
			Opaque: raw, RawQuery: query, ForceQuery: asks,
		}, Host: "b"}).WithContext(t.Context())
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		return arrivedAs(t, response), true
	}
}

// arrivedAs reads what the application says that it was asked for; or it is the status.
func arrivedAs(t *testing.T, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var report app.Report
	if response.StatusCode != http.StatusOK || json.Unmarshal(body, &report) != nil {
		return strconv.Itoa(response.StatusCode)
	}
	return report.Path
}
