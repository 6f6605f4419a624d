package local

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/host/app"
)

// record puts, in the place of an application, one that answers each request with the bytes that came of it. It asks
// for a body by "100 Continue" where the client waits for that, but for one of /refuse, to which it answers 401. Its
// answers have headers in mixed case, and a trailer.
func record(t *testing.T, instead *app.App, port string) {
	t.Helper()
	address := instead.Address(port)
	instead.Close()
	l, err := listening(address)
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := make(chan struct{})
			open.Go(func() { <-t.Context().Done(); conn.Close(); close(stop) })
			open.Go(func() {
				for r := bufio.NewReader(conn); recorded(r, conn); {
				}
				conn.Close()
			})
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
}

// recording is [record], for [waysTo].
func recording(t *testing.T) func(*app.App, string) {
	return func(instead *app.App, port string) { record(t, instead, port) }
}

// recorded answers one request; false when there is none any more.
func recorded(r *bufio.Reader, conn net.Conn) bool {
	var head strings.Builder
	chunked, waits, length := false, false, int64(0)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		head.WriteString(line)
		if line == "\r\n" {
			break
		}
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(line)), ": ")
		chunked = chunked || name == "transfer-encoding" && value == "chunked"
		waits = waits || name == "expect"
		if name == "content-length" {
			_, _ = fmt.Sscan(value, &length)
		}
	}
	if waits && strings.Contains(head.String(), "/refuse") {
		_, _ = io.WriteString(conn, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
		return false
	}
	if waits {
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	if chunked {
		body, err := io.ReadAll(httputil.NewChunkedReader(r))
		if err != nil {
			return false
		}
		head.Write(body)
		for { // trailers
			line, err := r.ReadString('\n')
			if err != nil {
				return false
			}
			head.WriteString(line)
			if line == "\r\n" {
				break
			}
		}
	}
	_, _ = io.CopyN(&head, r, length)
	text := head.String()
	_, err := fmt.Fprintf(conn,
		"HTTP/1.1 200 OK\r\nX-Mixed-Case: 1\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nx-sum: 7\r\n\r\n", len(text), text)
	return err == nil
}

// exchanged writes a request of HTTP/1.1 as it stands, whose body waits for "100 Continue" where it has a header
// expect, and returns the last answer, its body, and whether the client was asked for the body.
func exchanged(t *testing.T, dial func() (net.Conn, error), text string) (answer *http.Response, body, raw string,
	asked bool,
) {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(text, "\r\n\r\n")
	var seen strings.Builder
	r := bufio.NewReader(io.TeeReader(conn, &seen))
	if waits := strings.Contains(strings.ToLower(head), "\r\nexpect:"); !waits {
		head, rest = text, ""
	} else {
		head += "\r\n\r\n"
	}
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	for {
		if answer, err = http.ReadResponse(r, nil); err != nil {
			t.Fatalf("%.200q: %v", text, err)
		}
		if answer.StatusCode != http.StatusContinue {
			break
		}
		asked = true
		if _, err := io.WriteString(conn, rest); err != nil {
			t.Fatal(err)
		}
	}
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(data), seen.String(), asked
}

// wayTo is a way by which requests of HTTP/1.1 get to an application that records them.
type wayTo struct {
	name, host, port string
	dial             func() (net.Conn, error)
}

// waysTo are those of [asSentMesh]: from a sidecar and by a gateway to a service, and from a sidecar to an external,
// straight and by an egress gateway. Replace puts something in the place of each application.
func waysTo(t *testing.T, mesh *Mesh, replace func(*app.App, string)) []wayTo {
	t.Helper()
	replace(mesh.Backend("b", "a"), "http")
	replace(mesh.External("plain"), "http")
	replace(mesh.External("by-gateway"), "http")
	edge, err := url.Parse(mesh.Gateway("g").URL)
	if err != nil {
		t.Fatal(err)
	}
	from := func(authority string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return mesh.As("a").Dial(t.Context(), authority) }
	}
	return []wayTo{
		{"sidecar to sidecar", "b", "8080", from("b:8080")},
		{"gateway to sidecar", "shop.example", "8080", func() (net.Conn, error) { return net.Dial("tcp", edge.Host) }},
		{"sidecar to external", "p1.example", "9000", from("p1.example:9000")},
		{"egress gateway to external", "p2.example", "9000", from("p2.example:9000")},
	}
}
