package local

import (
	"net/http"
	"testing"
)

// 1,000 requests are split 90 to 10 within three points. A right split misses
// that about once in 600 times (three standard deviations), so it may miss it
// once, and not twice.
//
// Field: routes.to.weight
func TestSplit(t *testing.T) {
	mesh := sharedShop(t)
	for range 2 {
		versions := map[string]int{}
		for range 1000 {
			versions[get(t, mesh.As("frontend").Client(), "http://catalog:3550/products/1").Version]++
		}
		if len(versions) != 2 || versions["v1"]+versions["v2"] != 1000 {
			t.Fatalf("versions %v", versions)
		}
		if v2 := versions["v2"]; v2 >= 70 && v2 <= 130 {
			return
		}
		t.Logf("versions %v", versions)
	}
	t.Error("twice of 1,000 requests not 90 of 100 went to v1, within three points")
}

// A request that a route's match takes goes where that route says, always.
//
// Field: routes.to.version
// Field: versions
func TestMatchedRequestsGoToTheirVersion(t *testing.T) {
	mesh := sharedShop(t)
	frontend := mesh.As("frontend").Client()
	for range 30 {
		if r := get(t, frontend, "http://catalog:3550/products/1?preview=v2"); r.Version != "v2" {
			t.Fatalf("the preview came from %s", r.Version)
		}
		a := send(t, frontend, http.MethodPost, "http://checkout:5050/shop.Checkout/Place", "x-beta", "1")
		if a.report == nil || a.report.Version != "v2" {
			t.Fatalf("a beta tester got %d %s", a.status, a.body)
		}
	}
}
