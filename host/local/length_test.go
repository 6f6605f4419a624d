package local

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const long = `package long

mesh: {name: "long", trustDomain: "long.example"}

services: client: {
	workload: deployment: "client"
	uses: {plain: {}, rpc: {}, short: timeout: "none", cut: {}}
}
services: [!="client"]: allow: [{from: services: ["client"]}, {from: gateways: ["edge"]}]
services: {
	plain: {workload: deployment: "plain", ports: main: {port: 8081, protocol: "http"}}
	rpc: {workload: deployment: "rpc", ports: main: {port: 8082, protocol: "grpc"}}
	short: {workload: deployment: "short", ports: main: {port: 8083, protocol: "http2"}, timeout: "300ms", retries: perTryTimeout: "250ms"}
	cut: {workload: deployment: "cut", ports: main: {port: 8084, protocol: "http"}, timeout: "500ms"}
}
gateways: edge: {
	listeners: main: port: 8080
	routes: [
		{match: path: prefix: "/shop.", to: [{service: "rpc"}]},
		{match: path: prefix: "/cut/", to: [{service: "cut"}]},
		{match: path: prefix: "/short/", to: [{service: "short"}], timeout: "none", retries: perTryTimeout: "none"},
		{to: [{service: "plain"}]},
	]
	uses: {plain: {}, rpc: {}, short: {}, cut: {}}
}
`

// longer is more than the 15 seconds in which an answer must begin.
const longer = 16 * time.Second

// What moves is cut by no default: answers that go on, streams of gRPC and uploads, by a caller's proxy and a gateway,
// whoever delivers. "none" undoes a limit that is set farther from the caller. An answer that does not begin is ended
// after 15 seconds, and one that goes on for longer than a timeout that is written is cut. Users' reports:
// envoyproxy/gateway#5446, istio/istio#1667, #6981 and #55831, projectcontour/contour#3692.
//
// Field: timeout
// Field: retries.perTryTimeout
func TestNoDefaultCutsWhatMoves(t *testing.T) {
	t.Parallel() // it waits more than it works
	var all sync.WaitGroup
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		m := inline(t, map[string]string{"mesh.cue": long}).Clone()
		m.Delivery = delivery
		mesh := start(t, m)
		c, edge := mesh.As("client").Client(), mesh.Gateway("edge").URL
		for way, request := range map[string]func() string{
			"events":                   streaming(t, c, "http://plain:8081/?stream="+longer.String()),
			"events at a gateway":      streaming(t, http.DefaultClient, edge+"/?stream="+longer.String()),
			"an upload":                uploading(t, c, "http://plain:8081/?read=true"),
			"an upload at a gateway":   uploading(t, http.DefaultClient, edge+"/?read=true"),
			"none, an upload":          uploading(t, http.DefaultClient, edge+"/short/?read=true&delay=1s"),
			"none, at a use":           streaming(t, c, "http://short:8083/?stream=1s"),
			"none, at a gateway":       streaming(t, http.DefaultClient, edge+"/short/?stream=1s&delay=1s"),
			"gRPC":                     talking(t, mesh, "rpc:8082"),
			"gRPC at a gateway":        talking(t, mesh, strings.TrimPrefix(edge, "http://")),
			"504: no answer":           streaming(t, c, "http://plain:8081/?delay=1h"),
			"504: none, by try":        streaming(t, c, "http://short:8083/?delay=1h"),
			"504: no answer at a gate": streaming(t, http.DefaultClient, edge+"/?delay=1h"),
			"cut: longer than written": streaming(t, c, "http://cut:8084/?stream=1h"),
			"cut: longer at a gateway": streaming(t, http.DefaultClient, edge+"/cut/?stream=1h"),
		} {
			want, _, said := strings.Cut(way, ":")
			if !said {
				want = "whole"
			}
			all.Go(func() {
				if got := request(); got != want {
					t.Errorf("%s, %s: %s", delivery, way, got)
				}
			})
		}
	}
	all.Wait()
}

// streaming reads an answer: "whole", "cut", or another status than 200.
func streaming(t *testing.T, c *http.Client, url string) func() string {
	return func() string { return wholeOf(t, c, http.MethodGet, url, nil) }
}

// uploading sends a body that takes long and moves.
func uploading(t *testing.T, c *http.Client, url string) func() string {
	return func() string {
		r, w := io.Pipe()
		go func() {
			for end := time.Now().Add(longer); time.Now().Before(end); time.Sleep(poll) {
				if _, err := w.Write([]byte("more")); err != nil {
					return
				}
			}
			w.Close()
		}()
		return wholeOf(t, c, http.MethodPost, url, r)
	}
}

func wholeOf(t *testing.T, c *http.Client, method, url string, body io.Reader) string {
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		return err.Error()
	}
	answer, err := c.Do(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	switch text, err := io.ReadAll(answer.Body); {
	case answer.StatusCode != http.StatusOK:
		return fmt.Sprint(answer.StatusCode)
	case err != nil:
		return "cut"
	case answer.Header.Get("content-type") == "text/event-stream" && !strings.HasSuffix(string(text), "data: end\n\n"):
		return "not whole"
	default:
		return "whole"
	}
}

// talking has a stream of gRPC go both ways, then the server's way alone, and end well.
func talking(t *testing.T, mesh *Mesh, target string) func() string {
	conn := connecting(t, mesh, target)
	return func() string {
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
			"/shop.Chat/Talk")
		if err != nil {
			return err.Error()
		}
		var got wrapperspb.StringValue
		for end := time.Now().Add(longer); time.Now().Before(end); time.Sleep(poll) {
			if err := stream.SendMsg(wrapperspb.String("x")); err != nil {
				return err.Error()
			}
			if err := stream.RecvMsg(&got); err != nil {
				return err.Error()
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err.Error()
		}
		if err := stream.RecvMsg(&got); err != io.EOF && status.Code(err) != codes.OK {
			return err.Error()
		}
		return "whole"
	}
}
