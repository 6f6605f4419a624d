//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// With delivery "static" nothing of meshc runs in the cluster: proxies have all that they need as files, and find pods
// by DNS. A change rolls the pods.
func TestStatic(t *testing.T) {
	r := newRepository(t)
	r.tags = append(r.tags, "-t", "delivery=static")
	r.compile(t)
	t.Cleanup(func() {
		if out, err := commandAfter("kubectl", "delete", "namespace", "shop", "--ignore-not-found",
			"--timeout=2m"); err != nil {
			t.Error(out)
		}
	})
	t.Cleanup(func() { dump(t) }) // while the namespace is there
	rolled := func() {
		t.Helper()
		kubectl(t, "apply", "--server-side", "-k", r.dir+"/out")
		kubectl(t, "apply", "--server-side", "--force-conflicts", "-k", r.dir+"/team")
		kubectl(t, "rollout", "status", "deployment/frontend", "deployment/checkout", "deployment/checkout-v2",
			"deployment/cart", "deployment/public", "statefulset/store", "-n", "shop", "--timeout=4m")
	}
	rolled()
	if out, err := command(t, "", "", "kubectl", "get", "namespace", "shop-system"); err == nil {
		t.Errorf("there is a control plane: %s", out)
	}
	s := newShop(t)
	goes := func(version string) string {
		report, err := ask(http.DefaultClient, s.url("/?via=checkout:/shop.Checkout/Place,cart,store"), nil)
		if err != nil {
			return err.Error()
		}
		if got := report.Calls[0].Report.Version; got != version {
			return "checkout " + got + " answers"
		}
		return ""
	}
	eventually(t, 2*time.Minute, func() string { return goes("v1") })
	// A proxy that looked the pods of a service up before they were ready does so again within seconds; each of the two
	// instances of cart has its own, so the request before this one says nothing about the other.
	eventually(t, time.Minute, s.identities)
	eventually(t, time.Minute, func() string { // pods come and go in DNS with their readiness
		if _, err := ask(http.DefaultClient, s.url("/?via=checkout:/other.Service/Place"), nil); err == nil ||
			!strings.Contains(err.Error(), "PermissionDenied") {
			return fmt.Sprintf("a call that is denied: %v", err)
		}
		return ""
	})

	r.edit(t, "mesh/checkout/service.cue", `routes: [{to: [{version: "v1"}]}]`, `routes: [{to: [{version: "v2"}]}]`)
	r.compile(t)
	rolled()
	eventually(t, 2*time.Minute, func() string { return goes("v2") })
}
