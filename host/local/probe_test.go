package local

import (
	"fmt"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/ir"
)

const looked = `package looked

mesh: {name: "looked", trustDomain: "looked.example"}

services: web: {
	workload: deployment: "web"
	ports: {
		http: {port: 8081, protocol: "http"}
		grpc: {port: 8082, protocol: "grpc"}
		tcp: {port: 8083, protocol: "tcp"}
	}
	probes: [
		{port: 8081, http: path: "/healthz"},
		{port: 8082, grpc: {}},
		{port: 8083, tcp: {}},
	]
	allow: [
		{from: services: ["client"], ports: ["http", "grpc"], methods: ["PUT"]},
		{from: services: ["client"], ports: ["tcp"]},
	]
}
services: client: {workload: deployment: "client", uses: web: {}}
`

// Who has no identity, as the kubelet, gets what is probed and nothing else, however it
// is spelled; a probe by TCP tells whether the application accepts connections.
//
// Field: probes
// Field: proxy.healthPort
func TestProbes(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": looked}))
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	at := "http://" + inbound(mesh, "web", "http")
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/healthz", http.StatusOK},
		{http.MethodHead, "/healthz", http.StatusOK},
		{http.MethodGet, "/healthz?verbose", http.StatusOK},
		{http.MethodPost, "/healthz", http.StatusForbidden},
		{http.MethodPut, "/", http.StatusForbidden},
		{http.MethodGet, "/healthz/", http.StatusForbidden},
		{http.MethodGet, "/healthz/x", http.StatusForbidden},
		{http.MethodGet, "/HEALTHZ", http.StatusForbidden},
		{http.MethodGet, "/healthz;a", http.StatusForbidden},
		{http.MethodGet, "/healthz%2fx", http.StatusBadRequest},
		{http.MethodGet, "/healthz/../admin", http.StatusForbidden},
	} {
		if a := send(t, plain, c.method, at+c.path); a.status != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, a.status, c.want)
		}
	}
	wantRefused(t, "plaintext", "http://"+inbound(mesh, "web", "tcp"), nil)
	conn, err := grpc.NewClient(inbound(mesh, "web", "grpc"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := grpc_health_v1.NewHealthClient(conn).
		Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("the gRPC health service: %v", err)
	}
	stream, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("another method of it: %v", err)
	}

	wantCounted(t, mesh, "web", series{
		"8081 " + ir.RefusedPlaintext: 7, "8082 " + ir.RefusedPlaintext: 1, "8083 " + ir.RefusedPlaintext: 1,
	})

	web := mesh.Placed().Service("web")
	health := fmt.Sprintf("http://%s:%d/tcp/8083", web.Workload.Endpoints[0].Address, web.Proxy.HealthPort)
	answers := func(want int) func() bool {
		return func() bool { return send(t, plain, http.MethodGet, health).status == want }
	}
	eventually(t, "the port to accept connections", answers(http.StatusOK))
	if a := send(t, plain, http.MethodGet, health+"/x"); a.status != http.StatusNotFound {
		t.Errorf("another path: %d", a.status)
	}
	mesh.Backend("web", web.Workload.Endpoints[0].Name).Close()
	eventually(t, "the port to refuse them", answers(http.StatusServiceUnavailable))
}
