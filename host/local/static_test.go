package local

import (
	"net/http"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// Envoys run from files alone: nobody sends them anything.
//
// Field: mesh.delivery
// Field: uses.bind
func TestStaticDelivery(t *testing.T) {
	mesh := start(t, compile(t, hostsDir))
	if mesh.control != nil {
		t.Fatal("meshc serve runs")
	}
	r := get(t, http.DefaultClient, mesh.Gateway("edge").URL+"/?via=orders:/orders/1,database")
	hops := r.Hops()
	if len(hops) != 3 || hops[1].Peer != "spiffe://hosts.example/ns/default/sa/web" || hops[2].Service != "database" {
		t.Errorf("hops %+v", r)
	}
	if a := send(t, mesh.As("web").
		Client(), http.MethodDelete, "http://orders:8081/orders/1"); a.status != http.StatusForbidden {
		t.Errorf("status %d, want 403", a.status)
	}
	if r := get(t, mesh.As("web").Client(), "http://orders:8081/orders", "x-release", "green"); r.Version != "green" {
		t.Errorf("version %s, want green", r.Version)
	}
}

// The same shop from files alone.
func TestShopUnderStaticDelivery(t *testing.T) {
	shop := compile(t, shopDir).Clone()
	shop.Delivery = ir.DeliveryStatic
	mesh := start(t, shop)
	r := get(t, http.DefaultClient, mesh.Gateway("public").
		URL+"/?via=checkout:/shop.Checkout/Place,payment:POST:/charge,legacy-billing")
	if hops := r.Hops(); len(hops) != 4 || hops[2].Peer != "spiffe://shop.example/ns/shop/sa/checkout" {
		t.Errorf("hops %+v", r)
	}
	if a := send(t, http.DefaultClient, http.MethodDelete, mesh.Gateway("public").
		URL+"/"); a.status != http.StatusForbidden {
		t.Errorf("status %d, want 403", a.status)
	}
}
