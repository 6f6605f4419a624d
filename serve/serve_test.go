package serve_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const spec = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}

services: frontend: {
	workload: deployment: "frontend"
	ports: http: {port: 8080, protocol: "http"}
	uses: cart: {}
}
services: cart: {
	workload: endpoints: [{address: "10.0.0.1"}]
	ports: http: {port: 8081, protocol: "http"}
	allow: [{from: services: ["frontend"]}]
}
`

func compileSpec(t testing.TB, source string) *ir.Mesh {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"cue.mod/module.cue": "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"mesh.cue":           source,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir})
	if err != nil || r.Mesh == nil {
		t.Fatalf("compile: %v %v", err, r.Diagnostics)
	}
	return r.Mesh
}

// running is a server with the authority that signs for its clients.
type running struct {
	*serve.Server
	authority *ca.Authority
	stop      func() error
}

func start(t testing.TB, change ...func(*serve.Config)) *running {
	t.Helper()
	authority, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	config := serve.Config{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Authority: authority}
	for _, c := range change {
		c(&config)
	}
	s, err := serve.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r := &running{Server: s, authority: authority}
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			t.Error("the server does not stop")
			return nil
		}
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// connect dials with a certificate of that service account, signed by the
// authority; a nil authority gives none.
func (r *running) connect(t *testing.T, signer *ca.Authority,
	account string,
) discoveryv3.AggregatedDiscoveryServiceClient {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.authority.Bundle())
	config := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", NextProtos: []string{"h2"}}
	if signer != nil {
		id := spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/" + account)
		c, err := signer.Certificate(id, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{*c}
	}
	conn, err := grpc.NewClient(r.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
}

func node(id string) *corev3.Node { return &corev3.Node{Id: id, UserAgentName: "envoy"} }

// testContext is a context that ends with the test or soon.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

func fetch(t testing.TB, r *running, path string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + r.AdminAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestHealthFollowsTheMesh(t *testing.T) {
	r := start(t)
	if code, _ := fetch(t, r, "/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}
	if code, body := fetch(t, r, "/readyz"); code != 503 || !strings.Contains(body, "no mesh") {
		t.Errorf("/readyz without a mesh: %d %s", code, body)
	}
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	if code, _ := fetch(t, r, "/readyz"); code != 200 {
		t.Errorf("/readyz: %d", code)
	}
	if _, body := fetch(t, r, "/metrics"); !strings.Contains(body, "meshc_mesh_info{hash=") ||
		!strings.Contains(body, "meshc_connected_proxies 0") {
		t.Errorf("/metrics: %s", body)
	}
	if _, body := fetch(t, r, "/status"); !strings.Contains(body, `"node":"service/cart/`) ||
		strings.Contains(body, "PRIVATE") {
		t.Errorf("/status: %s", body)
	}
}

func TestDrain(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	stream, err := r.connect(t, r.authority, "frontend").StreamAggregatedResources(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DiscoveryRequest{
		Node:    node("service/frontend/a"),
		TypeUrl: clusters,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := stream.Recv()
		ended <- err
	}()
	if err := r.stop(); err != nil {
		t.Errorf("Run returns %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("the stream goes on")
	}
}
