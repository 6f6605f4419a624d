package local

import (
	"net/http"
	"testing"
)

// A request goes gateway → frontend → checkout → payment → the external, and
// every proxy tells its application who called.
func TestThreeHopsWithIdentities(t *testing.T) {
	mesh := sharedShop(t)
	r := get(t, http.DefaultClient, mesh.Gateway("public").
		URL+"/start?via=checkout:/shop.Checkout/Place,payment:POST:/charge,stripe-api:/v1/charges")
	want := []struct{ service, peer string }{
		{"frontend", "spiffe://shop.example/ns/shop/sa/public"},
		{"checkout", "spiffe://shop.example/ns/shop/sa/frontend"},
		{"payment", "spiffe://shop.example/ns/shop/sa/checkout"},
		{"stripe-api", ""}, // it is not in the mesh, and sees no identity
	}
	hops := r.Hops()
	if len(hops) != len(want) {
		t.Fatalf("%d hops, want %d: %+v", len(hops), len(want), r)
	}
	for i, hop := range hops {
		if hop.Service != want[i].service || hop.Peer != want[i].peer {
			t.Errorf("hop %d is %s called by %q, want %s called by %q", i, hop.Service, hop.Peer, want[i].service,
				want[i].peer)
		}
	}
	if host := hops[3].Host; host != "api.stripe.com:443" {
		t.Errorf("the external was called as %q", host)
	}
	if id := hops[0].Headers["x-request-id"]; id == "" || hops[2].Headers["x-request-id"] != id {
		t.Errorf("the request has the id %q at the first hop and %q at the third", id, hops[2].Headers["x-request-id"])
	}
}

// What a caller says of itself is not believed: neither who it is, nor that the
// mesh's own policy does not hold for it.
func TestHeadersOfTheCallerAreNotBelieved(t *testing.T) {
	mesh := sharedShop(t)
	forged := "By=spiffe://shop.example/x;URI=spiffe://shop.example/ns/shop/sa/checkout"
	if r := get(t, http.DefaultClient, mesh.Gateway("public").URL+"/", "x-forwarded-client-cert",
		forged); r.Peer != "spiffe://shop.example/ns/shop/sa/public" {
		t.Errorf("the frontend was told that %q calls", r.Peer)
	}
	if r := get(t, mesh.As("frontend").Client(), "http://cart:7070/", "x-forwarded-client-cert",
		forged); r.Peer != "spiffe://shop.example/ns/shop/sa/frontend" {
		t.Errorf("cart was told that %q calls", r.Peer)
	}
	a := send(t, mesh.As("frontend").Client(), http.MethodGet, "http://cart:7070/?fail=9&key=forged",
		"x-envoy-max-retries", "3", "x-envoy-retry-on", "5xx")
	if n := len(seen(mesh.Backend("cart", "a"), "/?fail=9&key=forged")); a.status != http.StatusServiceUnavailable ||
		n != 1 {
		t.Errorf("status %d after %d tries, though no retries are written", a.status, n)
	}
	if a := send(t, mesh.As("frontend").Client(), http.MethodGet, "http://cart:7070/?delay=100ms",
		"x-envoy-upstream-rq-timeout-ms", "10"); a.status != http.StatusOK {
		t.Errorf("status %d: the caller's header changed the timeout", a.status)
	}
}
