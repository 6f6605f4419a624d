package local

import (
	"bufio"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Gateways whose listeners route nothing, nothing of the host that is asked for, everything, or to another listener.
const refusingMesh = `package m

mesh: {name: "m", trustDomain: "m.example", silence: MC1705: "-"}
services: a: {workload: deployment: "a", ports: http: {port: 8080, protocol: "http"}, allow: [{from: gateways: ["all"]}]}
gateways: none: {listeners: http: port: 8081}
gateways: other: {
	listeners: http: {port: 8082, hosts: ["other.example"]}
	routes: [{match: host: "other.example", directResponse: status: 204}]
}
gateways: all: {
	listeners: http: port: 8083
	listeners: some: {port: 8084, hosts: ["*.example"]}
	routes: [{to: [{service: "a"}]}]
	uses: a: {}
}
`

// What a proxy refuses for its form is refused before it looks for the host and the route, so that the answer is the
// same at listeners that route nothing; "try" says what Envoy does.
func TestFormsAreRefusedWithoutRoutes(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": refusingMesh})
	mesh := start(t, m)
	for _, g := range m.Gateways {
		for _, l := range g.Listeners {
			for _, c := range []struct {
				method, path string
				refused      bool
			}{
				{"get", "/", true},
				{"GET", "/%2e;/a", true},
				{"GET", "/a;b/../c", false},
				{"GET", "/", false},
			} {
				r := try.Request{
					From: try.Sender{Kind: ir.KindGateway, Name: g.Name}, Method: c.method, Scheme: "http",
					Host: "x.example", Port: l.Port, Path: c.path,
				}
				want := triedStatus(t, m, r, nil)
				if (want == http.StatusBadRequest) != c.refused {
					t.Errorf("%s of %s: %s %s: try says %d", l.Name, g.Name, c.method, c.path, want)
				}
				for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
					at := mesh.Gateway(g.Name).Listeners[l.Name]
					if got := statusOf(t, at, version, c.method, c.path); got != want {
						t.Errorf("%s of %s: %s %s: status %d over %s, try says %d", l.Name, g.Name, c.method, c.path, got, version, want)
					}
				}
			}
		}
	}
}

// statusOf is the status of a request for x.example that is spelled so, over HTTP/1.1 or HTTP/2.
func statusOf(t *testing.T, listener, version, method, path string) int {
	t.Helper()
	_, address, _ := strings.Cut(listener, "://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	r := &http.Request{
		Method: method, Host: "x.example", Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: "x.example", Opaque: path},
	}
	var answer *http.Response
	if version == "HTTP/2" {
		answer, err = sentByHTTP2(conn, r)
	} else if err = r.Write(conn); err == nil {
		answer, err = http.ReadResponse(bufio.NewReader(conn), r)
	}
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}
