package local

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
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

const goingMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: {
	caller: {
		workload: deployment: "caller"
		uses: {far: {}, "far-off": {}, callee: retries: {attempts: 1, budget: {percent: 1, minConcurrency: 1}}}
	}
	callee: {workload: deployment: "callee", ports: http: {port: 8080, protocol: "http2"}, allow: [{from: {services: ["caller"], gateways: ["edge"]}}]}
}
external: {
	far: {hosts: ["far.example"], ports: http: {port: 9000, protocol: "http2"}}
	"far-off": {hosts: ["off.example"], ports: http: {port: 9000, protocol: "http2"}, via: "exit"}
}
gateways: {
	edge: {listeners: http: port: 8080, routes: [{to: [{service: "callee"}]}], uses: callee: {}}
	exit: {egress: {}, uses: "far-off": {}}
}
`

// A server that ends its connections of HTTP/2, as nginx does after 1,000 requests and load balancers after 10,000,
// gives back unread what came behind the last request that it took. All of that is sent again, however much it is, to
// services and externals, without any retries written. A small budget of a service's caller does not hold them back,
// as the service's own proxy sends them again. Users' reports: envoyproxy/envoy#36450, istio/istio#13205.
//
// Field: retries.on
func TestRequestsGivenBackAreSentAgain(t *testing.T) {
	const n = 16
	mesh := start(t, inline(t, map[string]string{"mesh.cue": goingMesh}))
	for name, c := range map[string]struct {
		instead *app.App
		client  *http.Client
		url     string
	}{
		"a service":                {mesh.Backend("callee", "a"), mesh.As("caller").Client(), "http://callee:8080/"},
		"an external":              {mesh.External("far"), mesh.As("caller").Client(), "http://far.example:9000/"},
		"an external by a gateway": {mesh.External("far-off"), mesh.As("caller").Client(), "http://off.example:9000/"},
		"a service by a gateway":   {mesh.Backend("callee", "a"), http.DefaultClient, mesh.Gateway("edge").URL + "/"},
	} {
		address := c.instead.Address("http")
		c.instead.Close()
		l, err := listening(address)
		if err != nil {
			t.Fatal(err)
		}
		givesBack(l, n)
		answers := make(chan string, n)
		for range n {
			go func() {
				a, err := trySend(t.Context(), c.client, http.MethodPost, c.url)
				answers <- fmt.Sprintf("%d %s %v", a.status, a.body, err)
			}()
		}
		for range n {
			if got := <-answers; got != "200  <nil>" {
				t.Errorf("%s: %s", name, got)
			}
		}
		l.Close()
	}
}

// givesBack is an application of HTTP/2 that waits for n requests, takes the first one of each connection, and ends
// all of these. On later connections it answers at once.
func givesBack(l net.Listener, n int) {
	var mu sync.Mutex
	came, enough := 0, make(chan struct{})
	serve := func(conn net.Conn) {
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		framer := http2.NewFramer(conn, conn)
		if framer.WriteSettings() != nil {
			return
		}
		var first uint32
		answer := func(id uint32) error {
			return framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: id, EndHeaders: true, EndStream: true, BlockFragment: []byte{0x88}, // :status 200
			})
		}
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			headers, ok := frame.(*http2.HeadersFrame)
			if !ok {
				continue
			}
			mu.Lock()
			came++
			all := came
			mu.Unlock()
			switch {
			case all > n:
				err = answer(headers.StreamID)
			case first == 0:
				first = headers.StreamID
				go func() {
					<-enough
					_ = framer.WriteGoAway(first, http2.ErrCodeNo, nil)
					_ = answer(first)
				}()
			}
			if all == n {
				close(enough)
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
			go serve(conn)
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
	t.Parallel() // it waits more than it works
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
