package local

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/meshc/meshc/compiler/ir"
)

const originatesMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: app: {workload: deployment: "app", uses: {partner: {}, "by-gateway": {}, unknown: {}, chat: {}}}
external: [string]: ports: [string]: protocol: _ | *"https"
external: {
	partner: {
		hosts: ["api.partner.example"]
		ports: {http: {port: 80, target: 443}, https: port: 443}
		tls: {serverName: "edge.partner.example", secret: "partner"}
	}
	"by-gateway": {hosts: ["api.far.example", "b.far.example"], ports: https: {port: 80, target: 443}, tls: secret: "far", via: "exit"}
	unknown: {hosts: ["unknown.example"], ports: https: port: 443}
	chat: {
		hosts: ["chat.example"]
		ports: {ws: {port: 80, protocol: "http", upgrades: ["websocket"]}, wss: {port: 81, target: 443, upgrades: ["websocket"]}}
		timeout: "300ms"
	}
}
gateways: exit: {egress: {}, uses: "by-gateway": {}}
`

// An application that calls plain HTTP at port 80 is spoken for by TLS at port 443, with the name and the certificate
// that the spec gives for the external: by its own proxy, or by that of the egress gateway. The header Host arrives as
// it was sent. Whom no certificate is written for is shown none. Users' reports: istio/istio#39501 (the name is
// ignored), istio/istio#31738 (plain HTTP arrives).
//
// Field: ports.target
// Field: external.tls.serverName
// Field: external.tls.secret
func TestExternalsByTLS(t *testing.T) {
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		m := inline(t, map[string]string{"mesh.cue": originatesMesh}).Clone()
		m.Delivery = delivery
		client := start(t, m).As("app").Client()
		for _, c := range []struct{ url, host, sni, shown string }{
			{"http://api.partner.example/a", "api.partner.example", "edge.partner.example", "app.client.example"},
			{
				"http://api.partner.example:443/a", "api.partner.example:443", "edge.partner.example",
				"app.client.example",
			},
			{"http://api.far.example/a", "api.far.example", "api.far.example", "exit.client.example"},
			{"http://b.far.example/a", "b.far.example", "b.far.example", "exit.client.example"},
			{"http://unknown.example:443/a", "unknown.example:443", "unknown.example", ""},
		} {
			a := send(t, client, http.MethodGet, c.url)
			if a.report == nil {
				t.Errorf("%s: %s: %d %s", delivery, c.url, a.status, a.body)
				continue
			}
			var shown []string
			if c.shown != "" {
				shown = []string{c.shown}
			}
			if r := a.report; r.Host != c.host || r.ServerName != c.sni || !slices.Equal(r.ClientNames, shown) {
				t.Errorf("%s: %s: arrives as %q, in the handshake %q, shown %v", delivery, c.url, r.Host, r.ServerName,
					r.ClientNames)
			}
		}
	}
}

// A WebSocket goes to an external, in clear and by TLS, and outlives the timeout of requests beside it.
//
// Field: ports.upgrades
func TestWebSocketsOfExternals(t *testing.T) {
	client := start(t, inline(t, map[string]string{"mesh.cue": originatesMesh})).As("app").Client()
	for _, url := range []string{"http://chat.example/chat", "http://chat.example:81/chat"} {
		conn, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		for i, begun := 0, time.Now(); time.Since(begun) < 600*time.Millisecond; i++ {
			sent := fmt.Sprint(i)
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(sent)); err != nil {
				t.Fatalf("%s: after %s: %v", url, time.Since(begun), err)
			}
			if _, message, err := conn.Read(t.Context()); err != nil || string(message) != sent {
				t.Fatalf("%s: after %s: %q, %v", url, time.Since(begun), message, err)
			}
		}
		if err := conn.CloseNow(); err != nil {
			t.Error(err)
		}
		if a := send(t, client, http.MethodGet, url+"?delay=1s"); a.status != http.StatusGatewayTimeout {
			t.Errorf("%s: a request beside it: %d %s", url, a.status, a.body)
		}
	}
	conn, response, err := websocket.Dial(t.Context(), "http://unknown.example:443/chat",
		&websocket.DialOptions{HTTPClient: client})
	if err == nil {
		conn.CloseNow()
		t.Error("an external that takes no upgrade was asked for one")
	} else if response == nil || response.StatusCode == http.StatusSwitchingProtocols {
		t.Errorf("an external that takes no upgrade: %v", err)
	}
}
