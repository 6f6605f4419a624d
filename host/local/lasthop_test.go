package local

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"golang.org/x/net/http2"

	"github.com/meshc/meshc/compiler/ir"
)

// A stream that the application refuses goes to the other instance, without any retries written.
//
// Field: retries.on
func TestRefusedStreamIsSentAgain(t *testing.T) {
	f := startFailures(t, ir.DeliveryXDS)
	f.let(func(http.ResponseWriter, *http.Request) {})
	for _, service := range []string{"http2", "grpc"} {
		f.stop[service+"/a"]()
		refuseStreams(t, listenAs(t, f.Mesh, service, "a"))
		for _, by := range []string{"client", "edge"} {
			for range 20 {
				if got := failed(f.ask(t, by, service, http.MethodPost, "/")); got != "200" {
					t.Errorf("%s by %s: %s", service, by, got)
				}
			}
		}
	}
}

// refuseStreams is an application that refuses every stream of HTTP/2.
func refuseStreams(t *testing.T, l net.Listener) {
	t.Helper()
	refuse := func(conn net.Conn) {
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		framer := http2.NewFramer(conn, conn)
		if framer.WriteSettings() != nil {
			return
		}
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.HeadersFrame:
				err = framer.WriteRSTStream(frame.StreamID, http2.ErrCodeRefusedStream)
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					err = framer.WriteSettingsAck()
				}
			}
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go refuse(conn)
		}
	}()
}

// An application ends each connection when a second request comes on it, as one does whose idle time is just over.
// Requests that change nothing are sent again; the others tell their caller. Users' reports: istio/istio#55138,
// istio/istio#13205 and envoyproxy/envoy#1979.
//
// Field: connections.idleTimeout
func TestApplicationThatEndsConnections(t *testing.T) {
	f := startFailures(t, ir.DeliveryXDS)
	for _, instance := range []string{"a", "b"} {
		f.stop["http/"+instance]()
		l := listenAs(t, f.Mesh, "http", instance)
		go answerOncePerConnection(l)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost} {
		statuses := map[int]int{}
		for range 20 {
			statuses[f.ask(t, "client", "http", method, "/").StatusCode]++
		}
		if safe := method != http.MethodPost; safe != (statuses[200] == 20) || statuses[200]+statuses[503] != 20 {
			t.Errorf("%s: %v", method, statuses)
		}
	}
}

func answerOncePerConnection(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			read := bufio.NewReader(conn)
			if _, err := http.ReadRequest(read); err != nil {
				return
			}
			if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"); err != nil {
				return
			}
			_, _ = http.ReadRequest(read) // and no answer
		}()
	}
}

// Connections to the application end before it would end them: after what the service says of them.
//
// Field: connections.idleTimeout
func TestIdleConnectionsToTheApplicationEnd(t *testing.T) {
	f := startFailures(t, ir.DeliveryXDS)
	f.let(func(http.ResponseWriter, *http.Request) {})
	for _, service := range []string{"http", "http2"} {
		f.ask(t, "client", service, http.MethodGet, "/brief/")
	}
	for _, service := range []string{"http", "http2"} {
		eventually(t, "the end of connections to "+service, func() bool {
			return counted(t, f.Mesh, "service/"+service+"/a", `^cluster\.inbound\|main\.upstream_cx_idle_timeout$`)+
				counted(t, f.Mesh, "service/"+service+"/b", `^cluster\.inbound\|main\.upstream_cx_idle_timeout$`) == 1
		})
	}
}
