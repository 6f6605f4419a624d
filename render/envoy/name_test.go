package envoy

import (
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

func TestNodeID(t *testing.T) {
	for _, instance := range []string{"", "v1", "10.0.0.1:8080", "a/b"} {
		id := NodeID(ir.KindService, "checkout", instance)
		kind, name, got, err := ParseNodeID(id)
		if err != nil || kind != ir.KindService || name != "checkout" || got != instance {
			t.Errorf("%s: got %s %s %s %v", id, kind, name, got, err)
		}
	}
	for _, id := range []string{
		"", "service", "service/", "service//a", "service/checkout", "external/x/a",
		"Service/checkout/a",
	} {
		if _, _, _, err := ParseNodeID(id); err == nil {
			t.Errorf("%q is taken", id)
		}
	}
}

// TestNamesAreOfThings makes sure that reordering the spec renames nothing.
func TestNamesAreOfThings(t *testing.T) {
	names := func(m *ir.Mesh) map[string]bool {
		out := map[string]bool{}
		for _, v := range variants(m) {
			r, err := Build(v.scope, v.Options)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range r.Listeners {
				out[v.name+" listener "+l.Name] = true
			}
			for _, c := range r.Clusters {
				out[v.name+" cluster "+c.Name+" "+c.GetEdsClusterConfig().GetServiceName()] = true
			}
			for _, c := range r.Routes {
				for _, h := range c.VirtualHosts {
					for _, route := range h.Routes {
						out[v.name+" route "+c.Name+" "+h.Name+" "+route.Name] = true
					}
				}
			}
		}
		return out
	}
	m := shop(ir.DeliveryXDS)
	before := names(m)
	reverse(m.Service("checkout").Routes)
	reverse(m.Service("cart").Allow)
	reverse(m.Gateway("public").Routes)
	after := names(m)
	for name := range before {
		if !after[name] {
			t.Errorf("%s is gone", name)
		}
	}
	for name := range after {
		if !before[name] {
			t.Errorf("%s is new", name)
		}
	}
}

func reverse[T any](list []T) {
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
}
