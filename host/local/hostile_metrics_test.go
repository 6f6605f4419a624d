package local

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/try/trytest"
)

// metricsMesh has a caller with a route of its callee, a port of bytes, and a gateway.
const metricsMesh = `package shop

mesh: {name: "shop", trustDomain: "shop.example", silence: {MC1701: "-", MC1704: "-"}}
services: {
	client: {namespace: "shop", workload: deployment: "client", uses: {server: {}, silent: {}}}
	server: {
		namespace: "shop"
		workload: deployment: "server"
		ports: {http: {port: 8080, protocol: "http"}, bytes: {port: 9000, protocol: "tcp"}}
		allow: [{from: {services: ["client"], gateways: ["edge"]}}]
		deny: [{from: services: ["client"], paths: ["/secret/*"]}]
		routes: [{name: "items", match: path: prefix: "/items/", to: [{service: "server"}]}]
	}
	silent: {
		namespace: "shop"
		workload: deployment: "silent"
		ports: http: {port: 8081, protocol: "http"}
		allow: [{from: services: ["client"], paths: ["/a"]}]
	}
}
gateways: edge: {
	namespace: "shop"
	listeners: http: port: 80
	routes: [{match: {host: "shop.example", path: prefix: "/"}, to: [{service: "server", port: "http"}]}]
	uses: server: {}
}
`

// TestRequestsMakeNoSeries sends random hosts, paths, methods and headers, which no label of a metric may tell, and
// which make no more series than the few edges have.
func TestRequestsMakeNoSeries(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": metricsMesh}))
	random := rand.New(rand.NewPCG(trytest.Seed(t), 1))
	const mark = "q7x"
	word := func() string { return fmt.Sprintf("%s%x", mark, random.Uint64()) }
	proxies := []string{"service/client/a", "service/server/a", "service/silent/a", "gateway/edge/a"}
	for range trytest.Amount("", 400) {
		host := pick(random, "server:8080", "server.shop", "silent", "shop.example", word(), word()+".shop",
			"["+word()+"]")
		path := pick(random, "/items/", "/secret/", "/a", "/", "//", "/%2f", "*") + word() + "?token=" + word()
		raw := fmt.Sprintf("%s %s HTTP/1.1\r\nhost: %s\r\nuser-agent: %s\r\nx-forwarded-client-cert: URI=spiffe://shop.example/ns/shop/sa/%s\r\n"+
			"x-envoy-original-path: /%s\r\nauthorization: Bearer %s\r\n%s: %s\r\ncontent-type: %s\r\nconnection: close\r\n\r\n",
			pick(random, "GET", "POST", "DELETE", "OPTIONS", strings.ToUpper(word())), path, host, word(), word(),
			word(), word(), word(), word(),
			pick(random, "application/grpc+"+word(), word()))
		conn := hostileDial(t, m, random.IntN(3))
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		if answer, err := http.ReadResponse(bufio.NewReader(conn),
			nil); err == nil { // else it is too hostile for an answer
			answer.Body.Close()
		}
		conn.Close()
	}
	for _, id := range proxies {
		all := scraped(t, m, id, "envoy_meshc_")
		t.Logf("%s has %d series", id, len(all))
		if len(all) > 120 {
			t.Errorf("%s has %d series", id, len(all))
		}
		for name := range scraped(t, m, id, "") {
			if strings.Contains(name, mark) {
				t.Errorf("%s: a request chose a label of %s", id, name)
			}
		}
	}
}

func pick(random *rand.Rand, list ...string) string { return list[random.IntN(len(list))] }

// hostileDial connects to the gateway, or to one of the client's own listeners.
func hostileDial(t *testing.T, m *Mesh, to int) net.Conn {
	t.Helper()
	at := strings.TrimPrefix(m.Gateway("edge").URL, "http://")
	if to > 0 {
		s := m.Placed().Service("client")
		use := &s.Uses[to-1]
		scope := m.Placed().ServiceScope(s)
		at = use.Bind("http", scope.Loopback(s.Workload.Endpoints[0].Name))
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
