package local

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/meshc/meshc/host/app"
)

// writes puts, in the place of an application, one that answers a request of /NAME with the bytes of that name, and
// hangs up.
func writes(t *testing.T, instead *app.App, port string, answers map[string]string) {
	t.Helper()
	address := instead.Address(port)
	instead.Close()
	l, err := listening(address)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			head := make([]byte, 64<<10)
			n, _ := conn.Read(head)
			_, rest, _ := strings.Cut(string(head[:n]), " /")
			name, _, _ := strings.Cut(rest, " ")
			_, _ = io.WriteString(conn, answers[name])
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
}

// Answers of HTTP/1.1 that applications write in old or odd forms arrive as they are meant, by each way.
//
// Users' reports: envoyproxy/envoy#9016 and envoyproxy/envoy#11398 (a length and chunks), envoyproxy/envoy#3775 (HEAD),
// envoyproxy/envoy#16071 (304 without a length),
// projectcontour/contour#4458 (204 with a length), istio/istio#13861 and istio/istio#56211 (the header server).
func TestAnswersArriveAsMeant(t *testing.T) {
	const form = "x-form: it\r\n"
	answers := map[string]string{
		"both": "HTTP/1.1 200 OK\r\n" + form +
			"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"closed": "HTTP/1.1 200 OK\r\n" + form + "Connection: close\r\n\r\nok",
		"old":    "HTTP/1.0 200 OK\r\n" + form + "\r\nok",
		"early": "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n" + form +
			"Content-Length: 2\r\n\r\nok",
		"odd": "HTTP/1.1 299\r\n" + form + "x_under: \xc3\xbc\r\nContent-Length: 2\r\n\r\nok",
		"cookies": "HTTP/1.1 200 OK\r\n" + form +
			"Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
		"head":   "HTTP/1.1 200 OK\r\n" + form + "Content-Length: 1234\r\n\r\n",
		"none":   "HTTP/1.1 204 No Content\r\n" + form + "Content-Length: 0\r\n\r\n",
		"folded": "HTTP/1.1 200 OK\r\n" + form + "X-Long: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
		"offers": "HTTP/1.1 200 OK\r\n" + form +
			"Upgrade: h2,h2c\r\nConnection: Upgrade, close\r\nContent-Length: 2\r\n\r\nok",
		"kept": "HTTP/1.1 200 OK\r\n" + form +
			"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
		"server": "HTTP/1.1 200 OK\r\n" + form +
			"Server: own/1\r\nDate: Tue, 01 Jan 2019 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok",
		"edited":  "HTTP/1.1 200 OK\r\nServer: own/1\r\nContent-Length: 2\r\n\r\nok",
		"removed": "HTTP/1.1 200 OK\r\nServer: own/1\r\nContent-Length: 2\r\n\r\nok",
		"same":    "HTTP/1.1 304 Not Modified\r\n" + form + "ETag: \"e\"\r\nContent-Length: 55\r\n\r\n",
		"bare":    "HTTP/1.1 304 Not Modified\r\n" + form + "ETag: \"e\"\r\n\r\n",
	}
	holds := map[string]string{
		"odd": "x_under: \xc3\xbc\r\n", "cookies": "set-cookie: a=1; Path=/\r\nset-cookie: b=2\r\n",
		"early": "link: </a>\r\n", "folded": "x-long: a b\r\n",
		"server": "server: own/1\r\ndate: Tue, 01 Jan 2019 00:00:00 GMT\r\n",
		"head":   "content-length: 1234\r\n", "same": "content-length: 55\r\n",
	}
	mesh := start(t, inline(t, map[string]string{"mesh.cue": asSentMesh}))
	ways := waysTo(t, mesh, func(instead *app.App, port string) { writes(t, instead, port, answers) })
	for _, way := range ways {
		for name := range answers {
			method, status, body := http.MethodGet, "200", "ok"
			switch name {
			case "head":
				method, body = http.MethodHead, ""
			case "odd":
				status = "299"
			case "same", "bare":
				status, body = "304", ""
			case "none":
				status, body = "204", ""
			case "edited", "removed":
				continue
			}
			got := whole(t, way.dial, method+" /"+name+" HTTP/1.1\r\nHost: "+way.host+"\r\nConnection: close\r\n\r\n")
			if !strings.Contains(got, "HTTP/1.1 "+status+" ") || !strings.Contains(got, form) ||
				!strings.Contains(got, holds[name]) || !strings.Contains(got, body) {
				t.Errorf("%s, %s: %q", way.name, name, got)
			}
			length := strings.Contains(got, "content-length") || strings.Contains(got, "transfer-encoding")
			if name == "bare" && length {
				t.Errorf("%s: an answer without a length gets one: %q", way.name, got)
			}
		}
	}
	// The name of the software is the application's, unless a gateway's route says otherwise.
	for path, want := range map[string]string{"edited": "server: another\r\n", "removed": ""} {
		got := whole(t, ways[1].dial, "GET /"+path+" HTTP/1.1\r\nHost: "+ways[1].host+"\r\nConnection: close\r\n\r\n")
		if !strings.Contains(got, "HTTP/1.1 200 ") || !strings.Contains(got, want) ||
			strings.Contains(got, "server: ") != (want != "") {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// whole is all that comes back for a request, until the connection ends.
func whole(t *testing.T, dial func() (net.Conn, error), request string) string {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%.100q: %v", data, err)
	}
	return string(data)
}
