package local

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	xdscreds "google.golang.org/grpc/credentials/xds"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/xds"
)

const grpcSpec = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}

services: frontend: {
	workload: deployment: "frontend"
	ports: http: {port: 8080, protocol: "http"}
	uses: {checkout: {}, cart: {}}
}
services: checkout: {
	workload: deployment: "checkout"
	ports: grpc: {port: 5050, protocol: "grpc"}
	versions: {v1: labels: version: "v1", v2: labels: version: "v2"}
	routes: [{to: [{version: "v1", weight: 1}, {version: "v2", weight: 1}]}]
	allow: [{from: services: ["frontend"]}]
}
services: cart: {
	workload: deployment: "cart"
	ports: grpc: {port: 5051, protocol: "grpc"}
	allow: [{from: services: ["frontend"], paths: ["/shop.Cart/*"]}]
}
`

// TestGRPCClientReadsTheMesh has gRPC's own xDS client, which shares no code with
// Envoy's, resolve a service from meshc serve and call it through the callee's
// real Envoy, with the identity of a member.
//
// Field: ports.protocol
func TestGRPCClientReadsTheMesh(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"cue.mod/module.cue": "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"mesh.cue":           grpcSpec,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mesh := start(t, compile(t, dir))
	frontend := mesh.Placed().Service("frontend")
	certificates := frontend.Proxy.CertificateDirectory
	files := map[string]string{
		"certificate_file":    filepath.Join(certificates, "tls.crt"),
		"private_key_file":    filepath.Join(certificates, "tls.key"),
		"ca_certificate_file": filepath.Join(certificates, "ca.crt"),
	}
	bootstrap, err := json.Marshal(map[string]any{
		"xds_servers": []any{map[string]any{
			"server_uri":      frontend.Proxy.Server,
			"channel_creds":   []any{map[string]any{"type": "tls", "config": files}},
			"server_features": []string{"xds_v3"},
		}},
		"node": map[string]any{"id": "service/frontend/grpc"},
		"certificate_providers": map[string]any{
			"default": map[string]any{"plugin_name": "file_watcher", "config": files},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := xds.NewXDSResolverWithConfigForTesting(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := xdscreds.NewClientCredentials(xdscreds.ClientOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		t.Fatal(err)
	}
	check := func(target string) error {
		conn, err := grpc.NewClient(target, grpc.WithResolvers(resolver), grpc.WithTransportCredentials(creds))
		if err != nil {
			return err
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		answer, err := healthgrpc.NewHealthClient(conn).
			Check(ctx, &healthgrpc.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err == nil && answer.Status != healthgrpc.HealthCheckResponse_SERVING {
			return status.Errorf(codes.Unknown, "the service answers %v", answer.Status)
		}
		return err
	}
	for _, target := range []string{
		"xds:///checkout:5050", "xds:///checkout.default",
		"xds:///checkout.default.svc.cluster.local:5050",
	} {
		if err := check(target); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	if err := check("xds:///cart:5051"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a method that no rule allows: %v, want PermissionDenied", err)
	}
	for _, p := range mesh.control.server.Status().Proxies {
		if p.Node == "service/frontend/grpc" && p.State() == "refused" {
			t.Errorf("the client has refused something: %+v", p.Types)
		}
	}
}
