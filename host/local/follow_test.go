package local

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
)

// An account is given another name: the proxy shows the new identity and is let in
// by it.
func TestIdentityChanges(t *testing.T) {
	shop := compile(t, shopDir)
	mesh := start(t, shop)
	renamed := shop.Clone()
	id := spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/other")
	renamed.Service("cart").Account, renamed.Service("cart").Identity = "other", id
	if err := mesh.Update(t.Context(), renamed); err != nil {
		t.Fatal(err)
	}
	if r := get(t, http.DefaultClient, mesh.Gateway("public").URL+"/?via=cart"); len(r.Hops()) != 2 {
		t.Errorf("hops %+v", r)
	}
	for _, p := range mesh.Status().Proxies {
		if p.State != "current" {
			t.Errorf("%s is %s", p.ID, p.State)
		}
	}
}

// The mesh is given another name, by which its server has another identity.
func TestMeshIsRenamed(t *testing.T) {
	shop := compile(t, shopDir)
	mesh := start(t, shop)
	renamed := shop.Clone()
	renamed.Name = "market"
	if err := mesh.Update(t.Context(), renamed); err != nil {
		t.Fatal(err)
	}
	if r := get(t, http.DefaultClient, mesh.Gateway("public").URL+"/?via=cart"); len(r.Hops()) != 2 {
		t.Errorf("hops %+v", r)
	}
}

// A proxy that is killed is started anew.
func TestProxyIsRevived(t *testing.T) {
	shop := followShop(t)
	var killed int
	for _, p := range shop.sortedProxies() {
		if p.id == "service/cart/a" {
			killed = p.cmd.Process.Pid
		}
	}
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	url := shop.Gateway("public").URL + "/?via=cart"
	eventually(t, "the proxy's end", func() bool { return !alive(killed) })
	eventually(t, "cart's answer", func() bool {
		a, err := trySend(t.Context(), http.DefaultClient, http.MethodGet, url)
		return err == nil && a.report != nil && len(a.report.Hops()) == 2
	})
}

// What Envoy refuses is known at once, and under static delivery the good proxies
// run on.
func TestRefusalIsToldAtOnce(t *testing.T) {
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		t.Run(string(delivery), func(t *testing.T) {
			shop := compile(t, shopDir).Clone()
			shop.Delivery = delivery
			mesh := start(t, shop)
			list := pids(mesh)
			bad := shop.Clone()
			bad.Service("cart").
				Routes[0].Match.Path = ir.PathMatch{
				Kind:  ir.MatchRegex,
				Value: `\p{LC}`,
			} // as if the compiler had let it through
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			begun := time.Now()
			err := mesh.Update(ctx, bad)
			if err == nil || !strings.Contains(err.Error(), `\p{LC}`) {
				t.Errorf("the update ends with %v", err)
			}
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("after %s", took)
			}
			if delivery == ir.DeliveryStatic {
				for _, pid := range list {
					if !alive(pid) {
						t.Errorf("proxy %d is gone", pid)
					}
				}
			}
			if r := get(t, http.DefaultClient, mesh.Gateway("public").URL+"/?via=cart"); len(r.Hops()) != 2 {
				t.Errorf("hops %+v", r)
			}
			if err := mesh.Update(t.Context(), shop); err != nil {
				t.Errorf("the good mesh again: %v", err)
			}
		})
	}
}
