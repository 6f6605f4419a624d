package local

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

const drained = `package drained

mesh: {name: "drained", trustDomain: "drained.example"}

services: client: {
	workload: deployment: "client"
	uses: target: {}
	proxy: drainTime: "1s"
}
services: target: {
	workload: deployment: "target"
	ports: http: {port: 8081, protocol: "http"}
	allow: [{from: services: ["client"]}]
	%s
}
`

// A connection to a listener that changed is ended between two requests, which
// its client is told, and in time.
//
// Field: proxy.drainTime
func TestDraining(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": fmt.Sprintf(drained, "")}))
	conn, err := mesh.As("client").Dial(t.Context(), "target:8081")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	reader := bufio.NewReader(conn)
	ask := func(conn net.Conn, reader *bufio.Reader) (told bool) {
		t.Helper()
		if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: target\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", answer, err)
		}
		defer answer.Body.Close()
		if _, err := io.ReadAll(answer.Body); err != nil {
			t.Fatal(err)
		}
		return answer.Close
	}
	if ask(conn, reader) {
		t.Fatal("the connection is ended before anything changed")
	}
	// The first fault of a route adds a filter to the client's listener.
	changed := fmt.Sprintf(drained, `routes: [{match: path: exact: "/never", fault: abort: status: 503}]`)
	if err := mesh.Update(t.Context(), inline(t, map[string]string{"mesh.cue": changed})); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for !ask(conn, reader) {
		if time.Since(begun) > 3*time.Second {
			t.Fatal("the connection is not ended")
		}
	}
	if _, err := reader.ReadByte(); err == nil {
		t.Error("something came after the last answer")
	}
	get(t, mesh.As("client").Client(), "http://target:8081/")
}
