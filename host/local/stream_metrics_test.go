package local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// callsOf are the counters of what a proxy has counted between a caller and a callee, by name and cause.
func callsOf(t *testing.T, m *Mesh, id, callee string) series {
	t.Helper()
	out := series{}
	for name, n := range scraped(t, m, id, "envoy_meshc_") {
		metric, _, _ := strings.Cut(strings.TrimPrefix(name, "envoy_meshc_"), "{")
		l := labels(name)
		if l["caller"] != "spiffe://"+m.Placed().TrustDomain+"/ns/default/sa/client" || l["callee"] != callee {
			continue
		}
		if strings.HasSuffix(metric, "_requests") || strings.HasSuffix(metric, "_connections") ||
			strings.HasSuffix(metric, "_failures") {
			words := strings.Fields(metric + " " + l["http_response_status_class"] + " " + l["error_type"])
			out[strings.Join(words, " ")] += n
		}
	}
	return out
}

// A stream of gRPC is one request however many messages it has, and one that its client leaves is a failure of it. A
// connection below HTTP through an egress gateway is one at the caller's proxy, and one at the gateway's, for its
// caller.
func TestStreamsAndEgressAreCountedOnce(t *testing.T) {
	m := trafficMesh(t)
	grows := func(id, callee string, want series, does func()) {
		t.Helper()
		before := callsOf(t, m, id, callee)
		does()
		eventuallyRight(t, func() string {
			if got := callsOf(t, m, id, callee).since(before); !maps.Equal(got, want) {
				return fmt.Sprintf("%s counts\n%swant\n%s", id, listed(got), listed(want))
			}
			return ""
		})
	}
	conn, err := m.As("client").GRPC("fault-grpc:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk := func(leaves bool) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/shop.Chat/Talk")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			if err := stream.SendMsg(wrapperspb.String(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			if err := stream.RecvMsg(&wrapperspb.StringValue{}); err != nil {
				t.Fatal(err)
			}
		}
		want := io.EOF
		if leaves {
			cancel()
		} else if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&wrapperspb.StringValue{}); err != want && status.Code(err) != codes.Canceled {
			t.Fatal(err)
		}
	}
	const callee = "fault-grpc.default"
	grows("service/client/a", callee, series{"http_client_requests 2xx": 1}, func() { talk(false) })
	grows("service/client/a", callee, series{
		"http_client_requests 2xx": 1, "http_client_failures DownstreamRemoteReset": 1,
	}, func() { talk(true) })
	leave := func() {
		conn := greets(t, m, "tcp.example:9000")
		defer conn.Close()
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	grows("service/client/a", "outside-tcp", series{"tcp_client_connections": 1}, leave)
	grows("gateway/exit/a", "outside-tcp", series{"tcp_server_connections": 1}, leave)
}
