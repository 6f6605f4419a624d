package local

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

const asSentMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: a: {workload: deployment: "a", uses: {b: {}, c: {}, plain: {}, "by-gateway": {}}}
services: b: {
	workload: deployment: "b"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: {services: ["a"], gateways: ["g"]}}]
}
services: c: {
	workload: deployment: "c"
	ports: http: {port: 8090, protocol: "http"}
	allow: [{from: services: ["a"]}]
	routes: [{match: path: exact: "/small", to: [{}], maxRequestBytes: 1000}]
}
external: {
	plain: {hosts: ["p1.example"], ports: http: {port: 9000, protocol: "http"}}
	"by-gateway": {hosts: ["p2.example"], ports: http: {port: 9000, protocol: "http"}, via: "exit"}
}
gateways: g: {
	listeners: http: port: 8080
	routes: [
		{match: path: exact: "/edited", to: [{service: "b"}], headers: response: set: server: "another"},
		{match: path: exact: "/removed", to: [{service: "b"}], headers: response: remove: ["server"]},
		{match: host: "*.example", to: [{service: "b"}]},
		{to: [{service: "b"}]},
	]
	uses: b: {}
}
gateways: exit: {egress: {}, uses: "by-gateway": {}}
`

// asSent are requests, with HOST and PORT for those of a way, what of them arrives, and what does not.
var asSent = []struct{ name, request, arrives, not string }{
	{"host with its port", "GET /k HTTP/1.1\r\nHost: HOST:PORT\r\n\r\n", "host: HOST:PORT\r\n", ""},
	{"host with another port", "GET /k HTTP/1.1\r\nHost: HOST:1\r\n\r\n", "host: HOST:1\r\n", ""},
	{"host without a port", "GET /k HTTP/1.1\r\nHost: HOST\r\n\r\n", "host: HOST\r\n", ""},
	{
		"an address with a port", "GET http://HOST:PORT/k HTTP/1.1\r\nHost: HOST:PORT\r\n\r\n",
		"host: HOST:PORT\r\n", "",
	},
	{"trailers", "POST /k HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 9\r\n\r\n", "abcx-sum: 9\r\n", ""},
	{"an empty query", "GET /k? HTTP/1.1\r\nHost: HOST\r\n\r\n", "GET /k? HTTP", ""},
	{
		"a query of all sorts", "GET /a+b?c=d+e%20f&g=h?i|{}[]^%2F HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"GET /a+b?c=d+e%20f&g=h?i|{}[]^%2F HTTP", "",
	},
	{
		"headers of one name", "GET /k HTTP/1.1\r\nHost: HOST\r\nX-A: 1\r\nX-A: 2\r\nX-Empty:\r\n\r\n",
		"x-a: 1\r\nx-a: 2\r\nx-empty: \r\n", "",
	},
	{"a body of GET", "GET /k HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\nabc", "\r\n\r\nabc", ""},
	{
		"extensions of chunks",
		"POST /k HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: Chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\n\r\n",
		"transfer-encoding: chunked\r\n\r\nabc", "",
	},
	{"no body of GET", "GET /k HTTP/1.1\r\nHost: HOST\r\n\r\n", "GET /k", "content-length"},
	{"no body of DELETE", "DELETE /k HTTP/1.1\r\nHost: HOST\r\n\r\n", "DELETE /k", "content-length"},
	{
		"the absolute form", "GET http://HOST/k HTTP/1.1\r\nHost: HOST\r\n\r\n",
		"GET /k HTTP/1.1\r\nhost: HOST\r\n", "",
	},
	{"no body of POST", "POST /k HTTP/1.1\r\nHost: HOST\r\n\r\n", "content-length: 0\r\n", ""},
	{
		"what a connection keeps to itself",
		"GET /k HTTP/1.1\r\nHost: HOST\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n\r\n",
		"GET /k", "keep-alive",
	},
	{"te: trailers", "GET /k HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\n\r\n", "GET /k", ""},
	{
		"the offer of h2c",
		"GET /k HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", "GET /k", "upgrade",
	},
	{
		"the offer of a WebSocket",
		"GET /k HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n", "GET /k",
		"upgrade",
	},
	{
		"the offer of TLS",
		"GET /k HTTP/1.1\r\nHost: HOST\r\nConnection: upgrade\r\nUpgrade: TLS/1.2, HTTP/2.0\r\n\r\n", "GET /k",
		"upgrade",
	},
	{
		"a body that waits",
		"PUT /k HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
		"expect: 100-continue\r\n", "",
	},
}

// The head and the body of a request arrive as they were sent, on each way: the host with its port, what the client
// asks the application about its body, and trailers. Offers that nobody takes up are ignored.
//
// Users' reports: minio/minio#9169 and #6320 (a signature is of the host with its port), istio/istio#36278,
// istio/istio#21382, projectcontour/contour#5074, envoyproxy/envoy#14890 (a length of requests without a body),
// linkerd/linkerd2#5069 (the absolute form).
func TestRequestsArriveAsSent(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": asSentMesh}))
	for _, way := range waysTo(t, mesh, recording(t)) {
		for _, c := range asSent {
			put := func(text string) string {
				return strings.NewReplacer("HOST", way.host, "PORT", way.port).Replace(text)
			}
			answer, body, _, asked := exchanged(t, way.dial, put(c.request))
			arrives := strings.ToLower(body)
			if answer.StatusCode != http.StatusOK || !strings.Contains(arrives, strings.ToLower(put(c.arrives))) ||
				c.not != "" && strings.Contains(arrives, c.not) {
				t.Errorf("%s, %s: %d\n%s", way.name, c.name, answer.StatusCode, body)
			}
			if answer.Trailer.Get("x-sum") != "7" {
				t.Errorf("%s, %s: the answer has the trailers %v", way.name, c.name, answer.Trailer)
			}
			if waits := strings.Contains(c.name, "waits"); asked != waits {
				t.Errorf("%s, %s: the client is asked for its body: %t", way.name, c.name, asked)
			}
		}
		answer, _, _, asked := exchanged(t, way.dial, "PUT /refuse HTTP/1.1\r\nHost: "+way.host+
			"\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
		if answer.StatusCode != http.StatusUnauthorized || asked {
			t.Errorf("%s: a body that is not wanted is answered %d, and asked for: %t", way.name, answer.StatusCode,
				asked)
		}
	} // A proxy that reads the whole body before it goes on asks for it itself.
	record(t, mesh.Backend("c", "a"), "http")
	dial := func() (net.Conn, error) { return mesh.As("a").Dial(t.Context(), "c:8090") }
	answer, body, _, asked := exchanged(t, dial,
		"PUT /small HTTP/1.1\r\nHost: c\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
	if answer.StatusCode != http.StatusOK || !strings.HasSuffix(body, "abc") || !asked {
		t.Errorf("a body that is bounded: %d, asked for: %t\n%s", answer.StatusCode, asked, body)
	}
}

// A path of a call to an external arrives as the application wrote it, and try says so: nothing in the mesh reads it.
// One to a service is made normal, or refused.
//
// User's report: kgateway-dev/kgateway#14619 (keys of an object store with "//").
func TestPathsOfExternalsArriveAsWritten(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": asSentMesh})
	paths := []string{
		"/b//k", "/b/../k", "/b/a%2Fb", "/b/a%2fb", "/b/%2e%2e/k", "//b", "/", "/b/./k", `/b\k`,
		"/b/a%5Cb", "/b/..;/k", "/%zz", "/b/%00", "/b?x=//..%2F", "/%41%7e", "/*",
	}
	for _, way := range waysTo(t, start(t, m), recording(t)) {
		for _, path := range paths {
			_, body, _, _ := exchanged(t, way.dial, "GET "+path+" HTTP/1.1\r\nHost: "+way.host+"\r\n\r\n")
			line, _, _ := strings.Cut(body, "\r\n")
			got := strings.TrimSuffix(strings.TrimPrefix(line, "GET "), " HTTP/1.1")
			if !strings.Contains(way.name, "external") {
				if strings.ContainsAny(path, "%\\;") && got == path && !strings.Contains(path, "?") && path != "/%zz" {
					t.Errorf("%s: %s arrives as it is", way.name, path)
				}
				continue
			}
			trial, err := try.Try(m, try.Request{
				From: try.Sender{Kind: ir.KindService, Name: "a"}, Method: "GET",
				Scheme: "http", Host: way.host, Port: 9000, Path: path,
			})
			if err != nil {
				t.Fatal(err)
			}
			if got != path || len(trial.Reaches) != 1 || trial.Reaches[0].Path != path {
				t.Errorf("%s: %s arrives as %q, and try says %+v %+v", way.name, path, got, trial.Reaches, trial.Answer)
			}
		}
	}
}

// The same over HTTP/2: the host with its port, and trailers, on the way to an application that speaks HTTP/1.1.
func TestRequestsOfHTTP2ArriveAsSent(t *testing.T) {
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	for _, way := range waysTo(t, start(t, inline(t, map[string]string{"mesh.cue": asSentMesh})), recording(t)) {
		transport := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn,
			error,
		) {
			return way.dial()
		}}
		host := way.host + ":" + way.port
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/k",
			io.NopCloser(strings.NewReader("abc")))
		if err != nil {
			t.Fatal(err)
		}
		r.Trailer = http.Header{"X-Sum": {"9"}}
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s: %v", way.name, err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		transport.CloseIdleConnections()
		if err != nil || answer.ProtoMajor != 2 || !strings.Contains(string(body), "host: "+host+"\r\n") ||
			!strings.Contains(string(body), "abcx-sum: 9\r\n") || answer.Trailer.Get("x-sum") != "7" {
			t.Errorf("%s: %v, %s, %v\n%s", way.name, err, answer.Proto, answer.Trailer, body)
		}
	}
}

// What clients write about themselves, or about proxies of theirs, does not get past a gateway; between members it
// arrives.
//
// Users' reports: openshift/origin#14516 (CVE-2016-5385), projectcontour/contour#4449.
func TestGatewaysDropWhatClientsSay(t *testing.T) {
	for _, way := range waysTo(t, start(t, inline(t, map[string]string{"mesh.cue": asSentMesh})), recording(t)) {
		for _, name := range slices.Concat(ir.EdgeHeaders, ir.ForeignProxyHeaders) {
			_, body, _, _ := exchanged(t, way.dial, "GET /k HTTP/1.1\r\nHost: "+way.host+"\r\n"+name+
				": 10.0.0.1\r\n\r\n")
			if arrives := strings.Contains(body, "\r\n"+name+": "); arrives == strings.HasPrefix(way.name, "gateway") {
				t.Errorf("%s: %s arrives: %t", way.name, name, arrives)
			}
		}
	}
}
