package local

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A WebSocket goes through two proxies and the gateway, and outlives the timeout
// of requests; the rules hold for it as for any request.
//
// Field: ports.upgrades
func TestWebSocket(t *testing.T) {
	mesh := trafficMesh(t)
	edge := mesh.Gateway("edge").URL
	for _, c := range []struct {
		url    string
		client *http.Client
	}{{"http://upgrades:8080/chat", client(t)}, {edge + "/chat", http.DefaultClient}} {
		conn, _, err := websocket.Dial(t.Context(), c.url, &websocket.DialOptions{HTTPClient: c.client})
		if err != nil {
			t.Fatalf("%s: %v", c.url, err)
		}
		for begun := time.Now(); time.Since(begun) < 600*time.Millisecond; {
			if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
				t.Fatalf("%s: after %s: %v", c.url, time.Since(begun), err)
			}
			if _, message, err := conn.Read(t.Context()); err != nil || string(message) != "hello" {
				t.Fatalf("%s: after %s: %q, %v", c.url, time.Since(begun), message, err)
			}
		}
		if err := conn.CloseNow(); err != nil {
			t.Error(err)
		}
	}
	for url, client := range map[string]*http.Client{
		"http://upgrades:8080/other": client(t),          // no rule lets it in
		edge + "/chatter":            http.DefaultClient, // nor this
	} {
		conn, response, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: client})
		if err == nil {
			conn.CloseNow()
			t.Errorf("%s was upgraded", url)
		} else if response == nil || response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v", url, err)
		}
	}
	if a := send(t, client(t), http.MethodGet,
		"http://upgrades:8080/chat?delay=1s"); a.status != http.StatusGatewayTimeout ||
		!strings.Contains(a.body, "timeout") {
		t.Errorf("a request beside them: %d %s", a.status, a.body)
	}
}
