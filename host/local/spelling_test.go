package local

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/meshc/meshc/host/app"
)

// spelling is how a request is written, and the status that answers it.
type spelling struct {
	line, headers string
	status        int
}

var spellings = []spelling{
	{"POST /charge HTTP/1.1", "", 200},
	{"POST //charge HTTP/1.1", "", 200},
	{"POST /./charge HTTP/1.1", "", 200},
	{"POST /admin/../charge HTTP/1.1", "", 200},
	{"POST /%63harge HTTP/1.1", "", 200},
	{"POST https://payment/charge HTTP/1.1", "", 200},
	{"POST /charge?to=/../admin HTTP/1.1", "", 200},
	{
		"POST /charge HTTP/1.1",
		"X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /admin\r\nX-Envoy-Original-Path: /admin\r\n", 200,
	},

	{"POST /charge/ HTTP/1.1", "", 403},
	{"POST /CHARGE HTTP/1.1", "", 403},
	{"POST /charge;v=1 HTTP/1.1", "", 403},
	{"POST /charge%20 HTTP/1.1", "", 403},
	{"POST /charge/../admin HTTP/1.1", "", 403},
	{"POST /charge/%2e%2e/admin HTTP/1.1", "", 403},
	{"POST /charge/..;/admin HTTP/1.1", "", 403},
	{`POST /charge\..\admin HTTP/1.1`, "", 403},
	{"POST /charge%252f..%252fadmin HTTP/1.1", "", 403},
	{"POST /%2563harge HTTP/1.1", "", 403},
	{"POST https://payment/admin HTTP/1.1", "", 403},
	{"GET /charge HTTP/1.1", "X-HTTP-Method-Override: POST\r\n", 403},
	{"TRACE /charge HTTP/1.1", "", 403},
	{"CONNECT payment:9000 HTTP/1.1", "", 403},
	{
		"POST /charge HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n",
		200,
	}, // nothing in the mesh upgrades, and the offer is ignored

	{"POST /charge%2f HTTP/1.1", "", 400},
	{"POST /charge%5c HTTP/1.1", "", 400},
	{"POST /charge%00 HTTP/1.1", "", 400},
	{"POST /charge\x01 HTTP/1.1", "", 400},
	{"POST /admin#/charge HTTP/1.1", "", 400},
	{"post /charge HTTP/1.1", "", 400},
	{"POST charge HTTP/1.1", "", 400},
	{"POST /charge HTTP/1.1", "x_http_method: DELETE\r\n", 200}, // dropped between proxies
	{"POST /charge HTTP/1.1", "Content-Length: 0\r\nContent-Length: 5\r\n", 400},
	{"POST /charge HTTP/1.1", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", 400},
	{"OPTIONS * HTTP/1.1", "", 501}, // and no 404, which could be the application's
	{"POST /charge HTTP/1.0", "", 426},
}

// payment lets checkout in with POST on /charge and /refund alone. Whatever the
// spelling, the proxy and the application mean the same request by it, or it is
// refused. The bytes go straight to payment's inbound listener, with checkout's
// certificate: no proxy of the caller's puts them in order first.
func TestSpellingsOfARequest(t *testing.T) {
	mesh := sharedShop(t)
	config := asMember(t, mesh, "service/checkout")
	config.NextProtos = []string{"http/1.1"}
	for _, s := range spellings {
		t.Run(fmt.Sprintf("%s %.30q", s.line, s.headers), func(t *testing.T) { s.send(t, mesh, config) })
	}
}

// send sends payment a request that is spelled so: the answer has the status, and the application sees a charge or
// nothing.
func (s spelling) send(t *testing.T, mesh *Mesh, config *tls.Config) {
	t.Helper()
	conn, err := tls.Dial("tcp", inbound(mesh, "payment", "http"), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	total := mesh.Backend("payment", "a").Total()
	if _, err := fmt.Fprintf(conn, "%s\r\nHost: payment\r\n%s\r\n", s.line, s.headers); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != s.status {
		t.Errorf("status %d, want %d", answer.StatusCode, s.status)
	}
	if s.status != http.StatusOK {
		if mesh.Backend("payment", "a").Total() != total {
			t.Error("it reached the application")
		}
		return
	}
	var report app.Report
	if err := json.NewDecoder(answer.Body).Decode(&report); err != nil {
		t.Fatal(err)
	}
	if report.Method != http.MethodPost || report.Path != "/charge" && report.Path != "/charge?to=/../admin" {
		t.Errorf("the application saw %s %s", report.Method, report.Path)
	}
}
