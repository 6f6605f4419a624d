//go:build e2e

package e2e

import (
	"os"
	"testing"
	"time"
)

// Git push rolls the mesh out: what follows stands on the shop that the first push
// brought into the cluster.
func TestGitPush(t *testing.T) {
	t.Cleanup(func() { dump(t) })
	r := newRepository(t)
	r.compile(t)
	commit := r.push(t, "The shop")
	t.Cleanup(func() { uninstall(t) })
	kubectl(t, "apply", "-f", r.dir+"/out/flux/source.yaml", "-f", r.dir+"/clusters/bootstrap.yaml")
	began := time.Now()
	settled(t, commit)
	t.Logf("the first push is in the cluster after %v", time.Since(began).Round(time.Second))
	shop := newShop(t)

	t.Run("identities", func(t *testing.T) {
		if wrong := shop.identities(); wrong != "" {
			t.Fatal(wrong)
		}
	})
	t.Run("denied", shop.denied)
	t.Run("workloads", shop.workloads)
	t.Run("applied by kubectl", func(t *testing.T) { sameObjects(t, r) })
	t.Run("shifted", func(t *testing.T) { shifted(t, r, shop) })
	t.Run("broken", func(t *testing.T) { broken(t, r, shop) })
	t.Run("rolled", shop.rolled)
	t.Run("servers killed", shop.serversKilled)
	if os.Getenv("E2E_API_SERVER") != "" { // who may stop it
		t.Run("API server away", shop.apiServerAway)
	}
	t.Run("renewed", func(t *testing.T) { renewed(t, r, shop) })
	t.Run("removed", func(t *testing.T) { removed(t, r) })
	t.Run("root replaced", func(t *testing.T) { rootReplaced(t, r, shop) }) // last: its roots go with it
}
