package local

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const hung = `package hung

mesh: {name: "hung", trustDomain: "hung.example"}

services: client: {
	workload: deployment: "client"
	uses: {plain: {}, rpc: {}, dead: {}, tries: {}, own: {}}
}
services: [!~"^(client|own)$"]: {
	versions: {a: labels: version: "a", b: labels: version: "b"}
	allow: [{from: services: ["client"]}, {from: gateways: ["edge"]}]
}
services: {
	plain: {workload: deployment: "plain", ports: main: {port: 8081, protocol: "http"}, timeout: "300ms"}
	rpc: {workload: deployment: "rpc", ports: main: {port: 8082, protocol: "grpc"}, timeout: "300ms"}
	dead: {workload: deployment: "dead", ports: main: {port: 8083, protocol: "http2"}, timeout: "300ms"}
	tries: {workload: deployment: "tries", ports: main: {port: 8084, protocol: "http"}, retries: perTryTimeout: "300ms"}
	own: {
		workload: deployment: "own"
		ports: main: {port: 8085, protocol: "grpc"}
		versions: {a: labels: version: "a", b: labels: version: "b"}
		timeout: "20s"
		allow: [{from: services: ["client"]}]
	}
}
gateways: edge: {
	listeners: main: port: 8080
	routes: [
		{match: path: prefix: "/rpc.", to: [{service: "rpc"}]},
		{match: path: prefix: "/dead/", to: [{service: "dead"}]},
		{match: path: prefix: "/tries/", to: [{service: "tries"}]},
		{to: [{service: "plain"}]},
	]
	uses: {plain: {}, rpc: {}, dead: {}, tries: {}}
}
`

// An instance whose application accepts and never answers, and one whose host is gone, are left alone after five
// requests, for HTTP and gRPC, by a caller's proxy and by a gateway, whoever delivers. Users' reports:
// linkerd/linkerd2#13023, istio/istio#33466, envoyproxy/envoy#32948, #15530, #22395 and #41985.
//
// Field: timeout
// Field: retries.perTryTimeout
func TestHungInstanceIsEjected(t *testing.T) {
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		t.Run(string(delivery), func(t *testing.T) {
			m := inline(t, map[string]string{"mesh.cue": hung}).Clone()
			m.Delivery = delivery
			mesh := start(t, m)
			stopped := stopProxy(t, mesh, "dead", "b")
			defer stopped()
			plain := mesh.As("client").Client()
			edge := strings.TrimPrefix(mesh.Gateway("edge").URL, "http://")
			var all sync.WaitGroup
			for name, once := range map[string]func() string{
				"HTTP":                             sending(t, plain, "http://plain:8081/"),
				"HTTP through a gateway":           sending(t, http.DefaultClient, "http://"+edge+"/"),
				"a dead host":                      sending(t, plain, "http://dead:8083/"),
				"a dead host through a gateway":    sending(t, http.DefaultClient, "http://"+edge+"/dead/"),
				"a time for each try":              sending(t, plain, "http://tries:8084/"),
				"a time for each try at a gateway": sending(t, http.DefaultClient, "http://"+edge+"/tries/"),
				"gRPC":                             calling(t, mesh, "rpc:8082", 0),
				"gRPC through a gateway":           calling(t, mesh, edge, 0),
			} {
				all.Go(func() {
					got := map[string]int{}
					for range 40 {
						got[once()]++
					}
					late := got["504"] + got["DeadlineExceeded"]
					if strings.HasPrefix(name, "a dead host") {
						late += got["503"] // those without a connection
					}
					// One or two may be on their way when the fifth fails.
					if good := got["200"] + got["OK"]; late < 5 || late > 7 || good != 40-late {
						t.Errorf("%s: %v, want 5 to 7 that are late and the others answered", name, got)
					}
				})
			}
			all.Wait()
		})
	}
}

// A client has no instance ejected by deadlines that it sets itself: whoever may call could else have all of them left
// alone.
//
// Field: outliers
func TestDeadlinesOfClientsEjectNobody(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": hung}))
	once := calling(t, mesh, "own:8085", 50*time.Millisecond)
	for range 15 {
		if got := once(); got != codes.DeadlineExceeded.String() && got != codes.OK.String() {
			t.Errorf("got %s", got)
		}
	}
	if n := counted(t, mesh, "service/client/a", `own.*ejections_enforced_total`); n != 0 {
		t.Errorf("%d ejections", n)
	}
}

// sending makes a GET that the instance "b" never answers, and returns its status.
func sending(t *testing.T, c *http.Client, url string) func() string {
	return func() string {
		a, err := trySend(t.Context(), c, http.MethodGet, url, "x-delay", "1h", "x-at", "b")
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(a.status)
	}
}

// calling makes a call of gRPC that the instance "b" never answers, and returns its status; with a deadline where one
// is given.
func calling(t *testing.T, mesh *Mesh, target string, deadline time.Duration) func() string {
	conn := connecting(t, mesh, target)
	return func() string {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-delay", "1h", "x-at", "b")
		if deadline > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, deadline)
			defer cancel()
		}
		return status.Code(conn.Invoke(ctx, "/rpc.Any/Call", wrapperspb.String("x"), &wrapperspb.StringValue{})).
			String()
	}
}

// connecting is a connection of gRPC from the client to a host, or from outside to a gateway's address.
func connecting(t *testing.T, mesh *Mesh, target string) *grpc.ClientConn {
	t.Helper()
	dial := mesh.As("client").GRPC
	if strings.HasPrefix(target, "127.") {
		dial = func(target string) (*grpc.ClientConn, error) {
			return grpc.NewClient("passthrough:///"+target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		}
	}
	conn, err := dial(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// stopProxy has the proxy of an instance stand still, as if its host were gone: nothing ends its connections. It goes
// on when the function is called.
func stopProxy(t *testing.T, mesh *Mesh, service, instance string) func() {
	t.Helper()
	for _, p := range mesh.sortedProxies() {
		if p.id != "service/"+service+"/"+instance {
			continue
		}
		if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}
	}
	t.Fatalf("no proxy of %s/%s", service, instance)
	return nil
}
