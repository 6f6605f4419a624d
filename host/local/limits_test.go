package local

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const limitsMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: app: {workload: deployment: "app", uses: {web: {}, plain: {}, "plain-by-gateway": {}}}
services: web: {
	workload: deployment: "web"
	ports: {http: {port: 8080, protocol: "http"}, h2: {port: 8081, protocol: "http2"}}
	allow: [{from: {services: ["app"], gateways: ["edge"]}}]
}
external: {
	plain: {hosts: ["p1.example"], ports: http: {port: 80, protocol: "http"}}
	"plain-by-gateway": {hosts: ["p2.example"], ports: http: {port: 80, protocol: "http"}, via: "exit"}
}
gateways: exit: {egress: {}, uses: "plain-by-gateway": {}}
gateways: edge: {
	listeners: {http: {port: 8000}, h2: {port: 8001}}
	routes: [{match: listeners: ["http"], to: [{service: "web", port: "http"}]}, {match: listeners: ["h2"], to: [{service: "web", port: "h2"}]}]
	uses: web: {}
}
`

// What the first proxy lets through no later one refuses, and what is too much the first one refuses: headers of
// requests and of answers, one by one around the bound, in number and in bytes, from each sort of first proxy and over
// both versions of HTTP.
func TestLimitsGrowInwards(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": limitsMesh}))
	plain := mesh.As("app").Client().Transport
	listeners := mesh.Gateway("edge").Listeners
	doors := map[string]string{
		"a member": "http://web:8080/", "a member over HTTP/2": "http://web:8081/", "an external": "http://p1.example/",
		"an external by a gateway": "http://p2.example/", "a gateway": strings.TrimSuffix(listeners["http"], "/") + "/",
		"a gateway to HTTP/2": strings.TrimSuffix(listeners["h2"], "/") + "/",
	}
	for door, url := range doors {
		transport := plain
		if strings.HasPrefix(door, "a gateway") {
			transport = http.DefaultTransport
		}
		t.Run(door, func(t *testing.T) {
			tooMuch, beyond, headers, kiB := http.StatusRequestHeaderFieldsTooLarge, http.StatusBadGateway, 100, 60
			switch door {
			case "an external":
				headers, kiB = 400, 192 // which no other proxy reads
			case "an external by a gateway":
				headers = 200
			}
			if strings.HasSuffix(door, "HTTP/2") { // Envoy resets the stream of the application
				beyond = http.StatusServiceUnavailable
			}
			if door == "a member over HTTP/2" { // and that of the client
				tooMuch = reset
			}
			bounds(t, "headers of a request", 80, 110, 1, tooMuch, func(n int) int {
				return headered(t, transport, url, func(h http.Header) {
					for i := range n {
						h.Set(fmt.Sprintf("x-%d", i), "1")
					}
				})
			})
			bounds(t, "bytes of a request", 60<<10-800, 60<<10+100, 25, tooMuch, func(n int) int {
				return headered(t, transport, url, func(h http.Header) { h.Set("x-big", strings.Repeat("x", n)) })
			})
			bounds(t, "headers of an answer", headers-20, headers+10, 1, beyond, func(n int) int {
				return headered(t, transport, fmt.Sprintf("%s?headers=%d", url, n), nil)
			})
			bounds(t, "bytes of an answer", kiB<<10-800, kiB<<10+100, 25, beyond, func(n int) int {
				return headered(t, transport, fmt.Sprintf("%s?headers=1&filled=%d", url, n), nil)
			})
		})
	}
}

// reset is the status of a request whose stream is reset.
const reset = -1

// bounds wants messages from the least to the most to be answered with 200 up to a bound between them, and from there
// on as said.
func bounds(t *testing.T, what string, least, most, step, beyond int, answer func(int) int) {
	t.Helper()
	last := 0
	for n := least; n <= most; n += step {
		status := answer(n)
		switch {
		case status == http.StatusOK && (last == n-step || n == least):
			last = n
		case status != beyond:
			t.Errorf("%d %s: %d, after %d with 200", n, what, status, last)
		}
	}
	if last == 0 || last == most {
		t.Errorf("%s: there is no bound: %d", what, last)
	}
}

func headered(t *testing.T, transport http.RoundTripper, url string, fill func(http.Header)) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if fill != nil {
		fill(r.Header)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil && strings.Contains(err.Error(), "INTERNAL_ERROR") {
		return reset
	}
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}
