package envoy

import (
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	xdscredentials "google.golang.org/grpc/credentials/xds"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/xds"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

// TestProxyless lets grpc-go's own xDS client read the resources and call through
// the callee's real Envoy.
func TestProxyless(t *testing.T) {
	p := newPair(t)
	p.mesh.Service("server").Port("grpc").Number = 5050
	call := func(t *testing.T, m *ir.Mesh, target string) error {
		client := m.Service("client")
		r, err := Proxyless(m.ServiceScope(client), Options{})
		if err != nil {
			t.Fatal(err)
		}
		resolver, err := xds.NewXDSResolverWithConfigForTesting(clientBootstrap(t, serve(t, r),
			client.Proxy.CertificateDirectory))
		if err != nil {
			t.Fatal(err)
		}
		creds, err := xdscredentials.NewClientCredentials(
			xdscredentials.ClientOptions{FallbackCreds: insecure.NewCredentials()})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := grpc.NewClient("xds:///"+target, grpc.WithTransportCredentials(creds),
			grpc.WithResolvers(resolver))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
	for _, target := range []string{
		"server", "server.shop", "server.shop.svc.cluster.local", "server:5050",
		"server.shop:5050",
	} {
		t.Run(target, func(t *testing.T) {
			if err := call(t, p.mesh, target); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a callee with another identity is refused", func(t *testing.T) {
		m := p.mesh.Clone()
		m.Service("server").Identity = identity("stranger")
		if err := call(t, m, "server"); status.Code(err) != codes.Unavailable {
			t.Errorf("got %v", err)
		}
	})
}

// serve is a plain xDS server with these resources for everyone.
func serve(t *testing.T, r *Resources) string {
	t.Helper()
	snapshot, err := cache.NewSnapshot("1", map[resource.Type][]types.Resource{
		resource.ListenerType: resources(r.Listeners), resource.RouteType: resources(r.Routes),
		resource.ClusterType:  resources(r.Clusters),
		resource.EndpointType: resources(Assignments(r.Discovered, nil, live.Written)),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Without the mode "ads", which answers only who asks for everything at once.
	snapshots := cache.NewSnapshotCache(false, everyone{}, nil)
	if err := snapshots.SetSnapshot(t.Context(), "", snapshot); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	s := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, serverv3.NewServer(t.Context(), snapshots, nil))
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func resources[T types.Resource](list []T) []types.Resource {
	var out []types.Resource
	for _, r := range list {
		out = append(out, r)
	}
	return out
}

// clientBootstrap is what a gRPC client starts with (gRFC A27, A29).
func clientBootstrap(t *testing.T, server, dir string) []byte {
	t.Helper()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{
		"xds_servers": []any{map[string]any{
			"server_uri": "passthrough:///" + net.JoinHostPort(host, port), "server_features": []string{"xds_v3"},
			"channel_creds": []any{map[string]any{"type": "insecure"}},
		}},
		"node": map[string]any{"id": NodeID(ir.KindService, "client", "a")},
		"certificate_providers": map[string]any{certificateProvider: map[string]any{
			"plugin_name": "file_watcher",
			"config": map[string]any{
				"certificate_file":    filepath.Join(dir, certificateFile),
				"private_key_file":    filepath.Join(dir, keyFile),
				"ca_certificate_file": filepath.Join(dir, trustFile),
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type everyone struct{}

func (everyone) ID(*corev3.Node) string { return "" }
