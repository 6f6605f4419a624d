package local

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/serve"
)

const tapMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1307: "-", MC1701: "-", MC1704: "-"}
	operators: identities: ["spiffe://shop.example/ns/ops/sa/oncall"]
}
services: {
	oncall: {namespace: "ops", workload: deployment: "oncall"}
	client: {namespace: "shop", workload: deployment: "client", uses: {server: {}, other: {}, bytes: {}}}
	server: {
		namespace: "shop"
		workload: deployment: "server"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: {services: ["client"], gateways: ["edge"]}}]
		deny: [{from: services: ["client"], paths: ["/secret/*"]}]
		routes: [
			{name: "broken", match: path: prefix: "/broken", fault: abort: status: 503},
			{name: "shared", match: path: prefix: "/shared", to: [{service: "server", weight: 50}, {service: "other", weight: 50}]},
		]
	}
	other: {
		namespace: "shop"
		workload: deployment: "other"
		ports: http: {port: 8081, protocol: "http"}
		allow: [{from: {services: ["client"], gateways: ["edge"]}}]
	}
	bytes: {
		namespace: "shop"
		workload: deployment: "bytes"
		ports: bytes: {port: 9000, protocol: "tcp"}
		allow: [{from: services: ["client"]}]
	}
}
gateways: edge: {
	namespace: "shop"
	listeners: http: port: 80
	routes: [{name: "all", match: {host: "shop.example", path: prefix: "/"}, to: [{service: "server", port: "http"}]}]
	uses: server: {}
}
`

// tapping is a tap of a test, until it is stopped.
type tapping struct {
	events chan *serve.TapEvent
	stop   context.CancelFunc
	ended  chan error
}

// operator is a client that has an identity of that account, "ops/oncall".
func operator(t *testing.T, m *Mesh, account string) *serve.OperatorClient {
	t.Helper()
	namespace, name, _ := strings.Cut(account, "/")
	certificate, err := m.authority.Certificate(
		spiffeid.RequireFromString("spiffe://shop.example/ns/"+namespace+"/sa/"+name), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(m.authority.Bundle())
	return &serve.OperatorClient{Address: m.control.server.Addr(), Certificate: certificate, Roots: roots}
}

// tapped begins a tap, and waits until all proxies know of it, which must be that many.
func tapped(t *testing.T, m *Mesh, r serve.TapRequest, proxies int) *tapping {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &tapping{events: make(chan *serve.TapEvent, 10_000), stop: cancel, ended: make(chan error, 1)}
	client := operator(t, m, "ops/oncall")
	go func() {
		out.ended <- client.Tap(ctx, &r, func(e *serve.TapEvent) error { out.events <- e; return nil })
	}()
	t.Cleanup(cancel)
	if e := out.next(t); e.Tapped == nil || *e.Tapped != proxies {
		t.Fatalf("%+v: it begins with %+v, want %d proxies", r, e, proxies)
	}
	return out
}

func (o *tapping) next(t *testing.T) *serve.TapEvent {
	t.Helper()
	select {
	case e := <-o.events:
		return e
	case err := <-o.ended:
		t.Fatalf("the tap ended: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("nothing more is shown")
	}
	return nil
}

func inShort(e *serve.TapEvent) string {
	f := e.Fields
	return strings.Join(strings.Fields(fmt.Sprint(e.Proxy, " ", f["kind"], " ", f["callee"], ":", f["server.port"], " ",
		f["http.request.method"], " ", f["url.path"], " ", f["http.response.status_code"], " ", f["http.route"], " ",
		f["rule"], " ", f["source"])), " ")
}

// TestTapShowsRequests looks at requests of real Envoys from either end: those that were asked for, and no others. No
// listener of a proxy changes for it.
//
// Field: mesh.operators.identities
func TestTapShowsRequests(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": tapMesh}))
	client, before := m.As("client").Client(), listenersOf(t, m)
	caller := tapped(t, m, serve.TapRequest{From: "service client", To: "server"}, 1)
	callee := tapped(t, m, serve.TapRequest{To: "server", Port: "http", At: "callee"}, 1)
	failed := tapped(t, m, serve.TapRequest{From: "client", Status: "5xx", Method: "get", Path: "/broken"}, 1)
	edge := tapped(t, m, serve.TapRequest{From: "gateway edge", Route: "all"}, 1)
	all := tapped(t, m, serve.TapRequest{To: "bytes", At: "caller"}, 1)
	get(t, client, "http://other:8081/none")
	get(t, client, "http://server:8080/items/1?token=secret", "authorization", "Bearer secret", "cookie", "secret")
	send(t, client, http.MethodGet, "http://server:8080/secret/1")
	send(t, client, http.MethodGet, "http://server:8080/broken/1")
	get(t, http.DefaultClient, m.Gateway("edge").URL+"/items/2", "host", "shop.example")
	someBytes(t, m, "client", "bytes:9000")
	const rule = "service client, gateway edge mesh.cue:15:11 mesh.cue:14:10"
	for _, c := range []struct {
		tap   *tapping
		shows []string
	}{
		{caller, []string{
			"service/client/a http.client server.shop:8080 GET /items/1 200 (rest) mesh.cue:11:2",
			"service/client/a http.client server.shop:8080 GET /secret/1 403 (rest) mesh.cue:11:2",
			"service/client/a http.client server.shop:8080 GET /broken/1 503 broken mesh.cue:18:4",
		}},
		{callee, []string{
			"service/server/a http.server server.shop:8080 GET /items/1 200 " + rule,
			"service/server/a http.server server.shop:8080 GET /secret/1 403 " +
				"service client: /secret/* mesh.cue:16:10 mesh.cue:14:10",
			"service/server/a http.server server.shop:8080 GET /items/2 200 " + rule,
		}},
		{failed, []string{"service/client/a http.client server.shop:8080 GET /broken/1 503 broken mesh.cue:18:4"}},
		{edge, []string{"gateway/edge/a http.client server.shop:8080 GET /items/2 200 all mesh.cue:38:11"}},
		{all, []string{"service/client/a tcp.client bytes.shop:9000 mesh.cue:10:92"}},
	} {
		for _, want := range c.shows {
			e := c.tap.next(t)
			if got := inShort(e); got != want {
				t.Errorf("it shows\n%s\nwant\n%s", got, want)
			}
			if text := fmt.Sprint(e); strings.Contains(text, "secret") != strings.Contains(want, "secret") ||
				strings.Contains(text, "Bearer") || strings.Contains(text, "token") {
				t.Errorf("it shows %s", text)
			}
		}
		c.tap.stop()
		if err := <-c.tap.ended; err != nil || len(c.tap.events) > 0 {
			t.Errorf("it ends with %v, and showed %d more", err, len(c.tap.events))
		}
	}
	if after := listenersOf(t, m); after != before {
		t.Errorf("listeners changed: %s, before %s", after, before)
	}
	restarted := tapped(t, m, serve.TapRequest{To: "server"}, 1)
	restart(t, m, "service/server/a")
	eventually(t, "a proxy that was started again shows requests", func() bool {
		get(t, client, "http://server:8080/items/3")
		return len(restarted.events) > 0
	})
}

// listenersOf counts how often listeners of all proxies were changed.
func listenersOf(t *testing.T, m *Mesh) string {
	t.Helper()
	var out []string
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.proxies)) {
		r, err := http.Get("http://" + m.proxies[id].admin +
			"/stats?filter=listener_manager.*(added|modified|removed|in_place)")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			t.Fatal(err)
		}
		out = append(out, id+" "+string(text))
	}
	return strings.Join(out, " ")
}

// TestTapIsBounded sends more than a proxy may show: what it leaves out it counts itself, and the operator is told.
func TestTapIsBounded(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": tapMesh}))
	tap := tapped(t, m, serve.TapRequest{From: "client", To: "server"}, 1)
	client := m.As("client").Client()
	const sent, at = 600, 8
	begun := time.Now()
	var all sync.WaitGroup
	for range at {
		all.Go(func() {
			for range sent / at {
				send(t, client, http.MethodGet, "http://server:8080/items/1")
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	shown, omitted := 0, uint64(0)
	for shown+int(omitted) < sent {
		if e := tap.next(t); e.Omitted > 0 {
			omitted += e.Omitted
		} else {
			shown++
		}
	}
	// The bucket is full at first, and gets as much again each second.
	if most := 100 * (2 + int(took/time.Second)); shown > most || shown < 100 || shown+int(omitted) != sent {
		t.Errorf("%d shown, %d left out of %d in %v; at most %d may be shown", shown, omitted, sent, took, most)
	}
}

// TestTapsAreForOperators refuses everybody else, and counts it.
func TestTapsAreForOperators(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": tapMesh}))
	for _, account := range []string{"shop/client", "shop/server", "shop/edge", "shop-system/meshc"} {
		err := operator(t, m, account).Tap(t.Context(), &serve.TapRequest{To: "server"}, func(e *serve.TapEvent) error {
			return fmt.Errorf("it shows %+v", e)
		})
		if err == nil || !strings.Contains(err.Error(), "is not an operator of the mesh shop") {
			t.Errorf("%s: %v", account, err)
		}
	}
}
