package local

import (
	"net/http"
	"testing"
)

// A gateway sends requests by host and path.
//
// Field: routes.match.host
func TestGatewayRoutes(t *testing.T) {
	mesh := sharedShop(t)
	url := mesh.Gateway("public").URL
	for _, c := range []struct{ path, host, service string }{
		{"/", "", "frontend"},
		{"/anything", "www.shop.example", "frontend"},
		{"/products/7", "", "catalog"},
		{"/products", "www.shop.example", "catalog"},
	} {
		var headers []string
		if c.host != "" {
			headers = []string{"host", c.host}
		}
		if r := get(t, http.DefaultClient, url+c.path, headers...); r.Service != c.service {
			t.Errorf("%s%s went to %s, want %s", c.host, c.path, r.Service, c.service)
		}
	}
}

// A service is called by each of its names, and by no other.
//
// Field: uses
func TestNamesOfAService(t *testing.T) {
	mesh := sharedShop(t)
	frontend := mesh.As("frontend").Client()
	for _, name := range []string{"cart", "cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local", "CART.shop"} {
		if r := get(t, frontend, "http://"+name+":7070/"); r.Service != "cart" {
			t.Errorf("%s is %s", name, r.Service)
		}
	}
	if call := mesh.As("cart").Call(t.Context(), "payment:POST:/charge", nil); call.Error == "" {
		t.Errorf("cart has a way to payment, which it does not use: %+v", call)
	}
}

// Every protocol of the shop, from end to end.
//
// Field: ports.protocol
// Field: external.hosts
func TestProtocols(t *testing.T) {
	mesh := sharedShop(t)
	for _, c := range []struct{ caller, chain, service, protocol string }{
		{"frontend", "cart", "cart", "HTTP/1.1"},
		{"checkout", "payment:POST:/charge", "payment", "HTTP/2.0"},
		{"frontend", "checkout:/shop.Checkout/Place", "checkout", "HTTP/2.0"},
		{"checkout", "cart.admin", "cart", "TCP"},
		{"payment", "legacy-billing", "legacy-billing", "HTTP/1.1"}, // inside its own TLS
		{"payment", "stripe-api", "stripe-api", "HTTP/1.1"},         // inside the proxy's TLS
	} {
		call := mesh.As(c.caller).Call(t.Context(), c.chain, nil)
		if call.Report == nil || call.Report.Service != c.service || call.Report.Protocol != c.protocol {
			t.Errorf("%s → %s: %+v, want %s over %s", c.caller, c.chain, call, c.service, c.protocol)
		}
	}
}

// The certificate of an external is checked: another authority's is not enough.
//
// Field: external.tls.roots
func TestExternalOfAnotherAuthorityIsRefused(t *testing.T) {
	mesh := start(t, compile(t, shopDir))
	other, err := newStubAuthority(t.TempDir() + "/other.crt")
	if err != nil {
		t.Fatal(err)
	}
	if call := mesh.As("payment").Call(t.Context(), "stripe-api", nil); call.Status != http.StatusOK {
		t.Fatalf("before: %+v", call)
	}
	mesh.applications.close()
	mesh.applications.stubs = other
	if err := mesh.applications.keep(mesh.Placed()); err != nil {
		t.Fatal(err)
	}
	call := mesh.As("payment").Call(t.Context(), "stripe-api", nil)
	if call.Status != http.StatusServiceUnavailable || mesh.External("stripe-api").Total() != 0 {
		t.Errorf("%+v, after %d requests", call, mesh.External("stripe-api").Total())
	}
}
