package serve_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

// TestAllAtOnce changes everything that the server knows from many sides at once, while proxies come and go and others
// ask how it stands. In the end a proxy that was there all the time has the last mesh and the last pods, and so has
// one that comes then.
func TestAllAtOnce(t *testing.T) {
	const rounds = 40
	r := start(t)
	meshes := []*ir.Mesh{
		compileSpec(t, inCluster), compileSpec(t, strings.Replace(inCluster, "port: 80,", "port: 8000,", 1)),
		compileSpec(t, strings.Replace(inCluster, `allow: [{from: services: ["frontend"]}]`,
			`allow: [{from: services: ["frontend", "other"]}]`, 1)),
	}
	if err := r.SetMesh(meshes[0]); err != nil {
		t.Fatal(err)
	}
	const cart = "cart.default|http"
	pods := func(i int) map[string][]live.Endpoint {
		return map[string][]live.Endpoint{"cart": {podAt("cart-0", fmt.Sprintf("10.0.0.%d", i+1), "eu-1a", false)}}
	}
	frontend := r.proxy(t, "frontend", "frontend-1")
	client := r.connect(t, r.authority, "cart")
	var all sync.WaitGroup
	for name, do := range map[string]func(i int) error{
		"meshes":    func(i int) error { return r.SetMesh(meshes[i%len(meshes)]) },
		"pods":      func(i int) error { r.SetPods("default", pods(i)); return nil },
		"forgotten": func(int) error { r.ForgetPods("elsewhere"); return nil },
		"starting":  func(i int) error { r.SetStarting(map[string][]string{"other": {fmt.Sprint(i)}}); return nil },
		"authority": func(int) error { return r.AuthorityChanged() },
		"asked":     func(int) error { _, _ = r.Status(), r.Rollout(); return nil },
		"failures":  func(i int) error { r.SetFailure(fmt.Sprint(i)); return nil },
		"settled":   func(int) error { r.SettleAll(); return nil },
		"proxies": func(i int) error {
			if i > 20 {
				return nil // more streams than a connection may open
			}
			ctx, end := context.WithCancel(testContext(t))
			defer end()
			stream, err := client.DeltaAggregatedResources(ctx)
			if err == nil {
				err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{
					Node:    node("service/cart/cart-0"),
					TypeUrl: clusters,
				})
			}
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		all.Go(func() {
			for i := range rounds {
				if err := do(i); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := r.SetMesh(meshes[1]); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("[10.0.0.%d:8081/0]", rounds)
	eventually(t, "the proxy has the last pods", func() bool { return frontend.reaches(cart) == want })
	eventually(t, "the proxy has the last mesh",
		func() bool { report := r.Status(); return report.Good() && !report.Loaded.IsZero() })
	late := r.proxy(t, "frontend", "frontend-2")
	eventually(t, "one that comes late has them too", func() bool { return late.reaches(cart) == want })
}
