package local

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	compiled "github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/identity/ca"
)

// TestScrapedSeriesAreCompiled sends random meshes hostile requests by every door: hosts, paths, methods and headers of
// one's own at the callers' listeners, the gateway and the ports of callees, with certificates of members, of another
// authority, and none; and applications answer with statuses of all sorts. No proxy has more series than
// compiler/series says, and none that it does not name. MESHC_SERIES is how many meshes.
//
// An unknown host in a label was how clients of a gateway could make series without end:
// https://github.com/istio/istio/issues/18818
func TestScrapedSeriesAreCompiled(t *testing.T) {
	const perMesh = 100
	seed := trytest.Seed(t)
	public, token := randomTokens(t)
	foreign, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	for n := range trytest.Amount(os.Getenv("MESHC_SERIES"), 3) {
		g := &trytest.Random{
			Rand: rand.New(rand.NewPCG(seed, uint64(n))), Keys: public, Hosts: true, Wide: n%3 != 1, Edge: n%3 == 1,
			CORS: true,
		}
		linked, text := randomMesh(t, g.Spec)
		m := startUntilStopped(t, linked)
		h := hostile{T: t, mesh: m, random: g.Rand, foreign: foreign}
		for range perMesh {
			h.request()
			r, raw := g.Request(token) // some that rules let in
			if conn, err := dialed(t, m, &r); err == nil {
				status := fmt.Sprintf("x-status: %d\r\nconnection: close", 400+g.IntN(200)) // which the application answers
				h.send(conn, strings.Replace(raw, "connection: close", status, 1))
			}
		}
		h.wantCompiled()
		if err := m.Stop(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatal(text)
		}
	}
}

// hostile sends requests of which each part is somebody's who wants to make series.
type hostile struct {
	*testing.T
	mesh    *Mesh
	random  *rand.Rand
	foreign *ca.Authority
}

const hostileMark = "q7x"

func (h *hostile) word() string { return fmt.Sprintf("%s%x", hostileMark, h.random.Uint64()) }

// request sends one by some door, and waits for its end.
func (h *hostile) request() {
	h.Helper()
	conn := h.door()
	if conn == nil { // it did not get in
		return
	}
	w := h.word
	host := pick(h.random, "b:8080", "b.default", "c", "one.example", "y.two.example", w(), w()+".default", "["+w()+"]")
	path := pick(h.random, "/a/", "/u/", "/", "//", "/%2f", "*", "/a/..;/", "http://"+w()+"/") + w() + "?token=" + w()
	method := pick(h.random, "GET", "POST", "DELETE", "OPTIONS", "get", strings.ToUpper(w()))
	h.send(conn, fmt.Sprintf("%s %s HTTP/1.1\r\nhost: %s\r\nuser-agent: %s\r\n"+
		"x-forwarded-client-cert: URI=spiffe://shop.example/ns/shop/sa/%s\r\nx-envoy-original-path: /%s\r\n"+
		"authorization: Bearer %s\r\n%s: %s\r\ncontent-type: %s\r\nconnection: close\r\n\r\n", method, path, host, w(), w(),
		w(), w(), w(), w(), pick(h.random, "application/grpc+"+w(), w())))
}

// door is a connection to a proxy of the mesh; nil where it takes none.
func (h *hostile) door() net.Conn {
	h.Helper()
	placed := h.mesh.Placed()
	to := placed.Service(pick(h.random, "b", "c"))
	port := to.Ports[h.random.IntN(len(to.Ports))].Name
	at := inbound(h.mesh, to.Name, port)
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	switch h.random.IntN(6) {
	case 0:
		return h.dial(strings.TrimPrefix(h.mesh.Gateway("g").URL, "http://"), nil)
	case 1:
		conn, err := h.mesh.As("a").Dial(h.Context(), to.Name+":8080")
		if err != nil {
			h.Fatal(err)
		}
		return conn
	case 2: // without TLS
		return h.dial(at, nil)
	case 3:
		if h.random.IntN(2) == 0 {
			id := spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/" + h.word())
			certificate, err := h.foreign.Certificate(id, time.Hour)
			if err != nil {
				h.Fatal(err)
			}
			config.Certificates = []tls.Certificate{*certificate}
		}
	default:
		id := pick(h.random, "a", "b", "c", "g")
		var err error
		config, err = h.mesh.clientTLS(spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/"+id), to)
		if err != nil {
			h.Fatal(err)
		}
		config.NextProtos = []string{"http/1.1"}
	}
	return h.dial(at, config)
}

func (h *hostile) dial(at string, config *tls.Config) net.Conn {
	h.Helper()
	conn, err := (&net.Dialer{}).DialContext(h.Context(), "tcp", at)
	if err != nil {
		h.Fatal(err)
	}
	if config == nil {
		return conn
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(h.Context()); err != nil {
		conn.Close()
		return nil
	}
	return secured
}

// send waits for an answer or for the end of the connection.
func (h *hostile) send(conn net.Conn, raw string) {
	h.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		h.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		return // a port that is closed, or a caller whom nobody lets in
	}
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil { // else it is too hostile
		answer.Body.Close()
	}
}

// wantCompiled holds what each proxy has counted to its compiled series.
func (h *hostile) wantCompiled() {
	h.Helper()
	sets := map[string]compiled.Proxy{}
	for _, p := range compiled.OfMesh(h.mesh.Placed()) {
		sets[p.Of.ID()] = p
	}
	for id := range everyProxy(h.mesh) {
		p := sets[id[:strings.LastIndexByte(id, '/')]]
		all, cost := scraped(h.T, h.mesh, id, "envoy_meshc_"), p.Cost()
		if len(all) > cost.Series {
			h.Errorf("%s has %d series, and %d are compiled", id, len(all), cost.Series)
		}
		failures := 0
		for name := range all {
			if strings.Contains(name, "_failures{") {
				failures++
			} else if !isCompiled(p.Set, name) {
				h.Errorf("%s has a series that is not compiled: %s", id, name)
			}
			if strings.Contains(name, hostileMark) {
				h.Errorf("%s: somebody chose a label of %s", id, name)
			}
		}
		if failures > cost.Failures {
			h.Errorf("%s has %d series of failures, and %d are compiled", id, failures, cost.Failures)
		}
		h.Logf("%s has %d series of %d, %d of failures", id, len(all), cost.Series, failures)
	}
}

// isCompiled reports whether a series that was scraped is one of the set.
func isCompiled(s *compiled.Set, name string) bool {
	l := labels(name)
	metric, _, _ := strings.Cut(strings.TrimPrefix(name, "envoy_meshc_"), "{")
	kind, what, _ := strings.Cut(strings.Replace(metric, "_", ".", 1), "_")
	e := compiled.Edge{Kind: kind, Caller: l["caller"], Callee: l["callee"], Port: l["server_port"]}
	if what != "requests" && what != "connections" {
		return s.HasEdge(e)
	}
	return s.Has(compiled.Way{
		Edge: e, Version: l["service_version"], Route: l["http_route"], Source: l["source"], Rule: l["rule"],
	})
}
