package local

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// Below HTTP rules by address decide before the service is told of a connection, behind a load balancer too. Rules
// about requests do not hold there, and do not let anybody in: at Istio one for HTTP closed a gateway's listener of TLS
// (istio/istio#29119).
func TestGatewayRulesBelowHTTP(t *testing.T) {
	mesh, _, _ := clientRules(t)
	for _, c := range []struct {
		listener, from string
		begins         func(string) string
		client         string
		good           bool
	}{
		{"tcp", theProxy, bare, "", true},
		{"tcp", someProxy, bare, "", false},
		{"tcp", someProxy, proxyV1, aClient, false},
		{"ends", someProxy, proxyV1, aClient, true},
		{"ends", someProxy, proxyV2, aClient, true},
		{"ends", theProxy, proxyV2, another, false},
		{"ends", someProxy, proxyV2, "203.0.113.66", false},
	} {
		_, address, _ := strings.Cut(mesh.Gateway("edge").Listeners[c.listener], "://")
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, c.begins(c.client)) // the reading says whether it arrives
		if c.listener == "ends" {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		}
		_, _ = io.WriteString(conn, "hello\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		if good := strings.HasPrefix(line, "bytes "); good != c.good {
			t.Errorf("%s from %s for %q: %q, %v", c.listener, c.from, c.client, line, err)
		}
	}
}

// A gateway without rules of allow is open, and one whose rules are only audited too: then its log says what they would
// do. A rule that is added holds for the requests of connections that are open, and what it denies is counted by it.
func TestGatewayRulesChange(t *testing.T) {
	with := func(rules string) *ir.Mesh {
		return inline(t, map[string]string{"mesh.cue": `package m

mesh: {name: "m", trustDomain: "m.example", silence: {MC1701: "-", MC1702: "-"}}
services: shop: {workload: deployment: "shop", ports: http: {port: 8080, protocol: "http"}, allow: [{from: gateways: ["edge"]}]}
gateways: edge: {
	listeners: http: port: 8080
	routes: [{match: path: prefix: "/a", to: [{service: "shop"}]}]
	uses: shop: {}
	` + rules + `
}
`})
	}
	mesh := start(t, with(""))
	dialed := 0
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialed++
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}}
	defer client.CloseIdleConnections()
	url := mesh.Gateway("edge").Listeners["http"]
	const gateway = "gateway/edge/"
	for _, c := range []struct {
		rules        string
		get, other   int // of a path with a route, and of one without
		denied, seen string
	}{
		{"", 200, 404, "", ""},
		{`deny: [{name: "none", from: anyone: true, paths: ["/a"]}]`, 403, 404, "none", ""},
		{`allow: [{from: anyone: true, methods: ["POST"]}]`, 403, 403, "", ""},
		{`allow: [{from: anyone: true, methods: ["GET"]}]`, 200, 404, "", ""},
		{"", 200, 404, "", ""},
		{`allow: [{name: "aud", from: ipRanges: ["192.0.2.0/24"], mode: "audit"}], deny: [{name: "would", from: anyone: true, methods: ["GET"], mode: "audit"}]`, 200, 404, "", "would"},
	} {
		if err := mesh.Update(t.Context(), with(c.rules)); err != nil {
			t.Fatal(err)
		}
		eventuallyRight(t, func() string {
			if a := send(t, client, "GET", url+"/a"); a.status != c.get {
				return fmt.Sprintf("with %s: %d, want %d", c.rules, a.status, c.get)
			}
			return ""
		})
		if a := send(t, client, "GET", url+"/b"); a.status != c.other {
			t.Errorf("with %s a path without a route: %d, want %d", c.rules, a.status, c.other)
		}
		if c.seen == "" && dialed != 1 {
			t.Errorf("with %s the client has made %d connections", c.rules, dialed)
		}
		if c.denied != "" {
			eventually(t, "the gateway counts what the rule denies", func() bool {
				for name := range scraped(t, mesh, gateway+onlyInstance, "envoy_meshc_http_client_failures") {
					if strings.HasPrefix(labels(name)["rule"], c.denied+" mesh.cue:") {
						return true
					}
				}
				return false
			})
		}
		if c.seen != "" {
			eventually(t, "a line of audit", func() bool {
				log, err := os.ReadFile(filepath.Join(mesh.Directory(), gateway+onlyInstance, "envoy.log"))
				return err == nil && strings.Contains(string(log), `"gateway":"edge"`) &&
					strings.Contains(string(log), `"rule":"`+c.seen+" mesh.cue:")
			})
		}
	}
}
