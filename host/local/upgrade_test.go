package local

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/telemetry"
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

const upgradesMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: {
	caller: {workload: deployment: "caller", uses: {taken: {}, kept: {}}}
	[N=!="caller"]: {
		workload: deployment: N
		ports: http: {protocol: "http", upgrades: ["websocket", "spdy/3.1"]}
		allow: [{from: {services: ["caller"], gateways: ["edge"]}, methods: ["GET", "POST"]}]
		health: {http: path: "/healthz", interval: "100ms"}
	}
	taken: ports: http: port: 8081
	kept: {ports: http: port: 8082, proxy: requests: headerCase: "preserve"}
}
gateways: edge: {
	listeners: http: port: 8080
	routes: [{match: host: "kept", to: [{service: "kept"}]}, {to: [{service: "taken"}]}]
	uses: {taken: {}, kept: {}}
}
`

// upgrading takes an upgrade to any protocol, with one line sent back, or answers as the path says. It tells the method
// that it was asked with in the header x-method.
func upgrading(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-method", r.Method)
	switch r.URL.Path {
	case "/ordinary":
		_, _ = io.WriteString(w, "an ordinary answer")
	case "/moved":
		w.Header().Set("location", "/ordinary")
		w.WriteHeader(http.StatusFound)
	case "/login":
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "who are you?")
	case "/chat":
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			_, _, _ = conn.Read(r.Context()) // until the other side ends it
			_ = conn.CloseNow()
		}
	case "/taken":
		conn, both, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn,
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Method: %s\r\n\r\n",
			r.Header.Get("upgrade"), r.Method)
		line, err := both.ReadString('\n')
		if err == nil {
			_, _ = io.WriteString(conn, line)
		}
	}
}

// A request that offers an upgrade arrives with its method, and what the application answers is the answer: also an
// ordinary one, which takes up no offer. So it is on each way, whatever the protocol, and beside it health checks and
// requests of HTTP/2 go on. Users' reports: envoyproxy/gateway#5276 (kubectl sends POST), istio/istio#50980,
// pomerium/pomerium#2126, envoyproxy/envoy#38645.
//
// Field: ports.upgrades
func TestUpgradesArriveAsAsked(t *testing.T) {
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		m := inline(t, map[string]string{"mesh.cue": upgradesMesh}).Clone()
		m.Delivery = delivery
		mesh := start(t, m)
		for name, port := range map[string]int{"taken": 8081, "kept": 8082} {
			play(t, mesh, name, "a", upgrading)
			for id, by := range map[string]func() (net.Conn, error){
				"service/caller/a": func() (net.Conn, error) {
					return mesh.As("caller").Dial(t.Context(), fmt.Sprintf("%s:%d", name, port))
				},
				"gateway/edge/a": func() (net.Conn, error) {
					return net.Dial("tcp", strings.TrimPrefix(mesh.Gateway("edge").URL, "http://"))
				},
			} {
				way := fmt.Sprintf("%s, %s by %s", delivery, name, id)
				eventually(t, "a healthy instance for "+way, func() bool {
					return counted(t, mesh, id, `^cluster\.`+name+`_default\|http\.membership_healthy$`) == 1
				})
				upgradesAnswered(t, way, name, by)
			}
		}
	}
}

func upgradesAnswered(t *testing.T, way, host string, dial func() (net.Conn, error)) {
	t.Helper()
	for path, want := range map[string]string{
		"/ordinary": "200 an ordinary answer", "/moved": "302 ", "/login": "401 who are you?", "/taken": "101 hello\n",
	} {
		for _, upgrade := range []string{"websocket", "WebSocket", "SPDY/3.1"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				answer, body := upgraded(t, dial, method+" "+path+" HTTP/1.1\r\nHost: "+host+
					"\r\nConnection: Upgrade\r\nUpgrade: "+upgrade+"\r\n\r\n")
				want := want
				if path == "/ordinary" && strings.EqualFold(upgrade, "websocket") {
					want = "200 " // Envoy drops the body of an answer below 400 that takes no WebSocket up
				}
				if got := fmt.Sprintf("%d %s", answer.StatusCode, body); got != want ||
					answer.Header.Get("x-method") != method {
					t.Errorf("%s: %s %s to %s: %q to %s, want %q", way, method, path, upgrade, got,
						answer.Header.Get("x-method"), want)
				}
			}
		}
	}
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/ordinary", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := sentByHTTP2(conn, r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("x-method") != http.MethodPost {
		t.Errorf("%s, over HTTP/2: %d to %s", way, answer.StatusCode, answer.Header.Get("x-method"))
	}
}

// upgraded sends a request that offers an upgrade, and a line where that is taken up. The body is what came then, or
// that of the answer.
func upgraded(t *testing.T, dial func() (net.Conn, error), request string) (*http.Response, string) {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	read := bufio.NewReader(conn)
	answer, err := http.ReadResponse(read, nil)
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatalf("%.60q: %v", request, err)
		}
		return answer, string(body)
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	line, err := read.ReadString('\n')
	if err != nil {
		t.Errorf("%.60q: %v", request, err)
	}
	return answer, line
}

// What is upgraded is counted and is in no duration, at either end and by a gateway: of a WebSocket that lasts an hour
// nobody waited an hour for an answer. An ordinary answer beside it is. Users' reports: istio/istio#17424,
// apache/apisix#12661.
//
// Field: ports.upgrades
func TestUpgradesAreNoDurations(t *testing.T) {
	t.Parallel() // it waits more than it works
	mesh := start(t, inline(t, map[string]string{"mesh.cue": upgradesMesh}))
	play(t, mesh, "taken", "a", upgrading)
	for _, way := range []struct {
		url    string
		client *http.Client
	}{{"http://taken:8081", mesh.As("caller").Client()}, {mesh.Gateway("edge").URL, http.DefaultClient}} {
		eventually(t, "a healthy instance behind "+way.url, func() bool {
			return send(t, way.client, http.MethodGet, way.url+"/ordinary").body == "an ordinary answer"
		})
		for range 3 {
			conn, _, err := websocket.Dial(t.Context(), way.url+"/chat", &websocket.DialOptions{HTTPClient: way.client})
			if err != nil {
				t.Fatalf("%s: %v", way.url, err)
			}
			if err := conn.CloseNow(); err != nil {
				t.Error(err)
			}
		}
	}
	eventuallyRight(t, func() string {
		wrong, seen := "", 0
		for _, e := range mesh.control.server.Edges(telemetry.Kept).Edges {
			if e.Callee != "service taken" || e.Client == nil || e.Server == nil {
				continue
			}
			seen++
			for _, end := range []*telemetry.End{e.Client, e.Server} {
				if ordinary := end.Requests - 3; end.Requests < 4 || end.Latency.Samples != ordinary {
					wrong = fmt.Sprintf("%s → %s, %s: %d requests, of which %d have a duration", e.Caller, e.Callee,
						end.Kind, end.Requests, end.Latency.Samples)
				}
			}
		}
		if seen != 2 {
			return fmt.Sprintf("%d edges to it are told", seen)
		}
		return wrong
	})
}
