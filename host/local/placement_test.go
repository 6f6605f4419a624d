package local

import (
	"net"
	"reflect"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

func reserve(t *testing.T) *Loopback {
	t.Helper()
	l, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func place(t *testing.T, p *Placement, m *ir.Mesh) *ir.Mesh {
	t.Helper()
	placed, err := p.Place(m)
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

func TestBlocksAreApart(t *testing.T) {
	a, b := reserve(t), reserve(t)
	if a.Server() == b.Server() {
		t.Errorf("two meshes have the address %s", a.Server())
	}
}

func TestPortInUseElsewhere(t *testing.T) {
	busy, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	wanted := uint16(busy.Addr().(*net.TCPAddr).Port)
	l := reserve(t)
	port, err := l.Port(l.Next(), wanted, map[uint16]bool{})
	if err != nil || port == wanted {
		t.Errorf("port %d, %v, though something listens on it at all addresses", port, err)
	}
}

// Everything that listens at an address listens on a port of its own.
func TestNoListenerTwice(t *testing.T) {
	m := place(t, NewPlacement(reserve(t), t.TempDir(), "stub.crt"), compile(t, shopDir))
	who := map[string]string{}
	listen := func(address, by string) {
		t.Helper()
		if other := who[address]; other != "" {
			t.Errorf("%s and %s both listen at %s", other, by, address)
		}
		who[address] = by
	}
	for _, s := range m.Services {
		scope := m.ServiceScope(s)
		for _, e := range s.Workload.Endpoints {
			loopback := scope.Loopback(e.Name)
			id := s.Name + " " + e.Name
			listen(join(loopback, s.Proxy.AdminPort), id+" admin")
			for _, p := range s.Ports {
				listen(join(e.Address, e.Ports[p.Name]), id+" inbound "+p.Name)
				listen(join(loopback, e.Targets[p.Name]), id+" target "+p.Name)
			}
			for _, u := range s.Uses {
				for _, port := range u.Ports {
					listen(u.Bind(port, loopback), id+" bind "+u.To)
				}
			}
		}
	}
	for _, g := range m.Gateways {
		listen(join(g.Address, g.Proxy.AdminPort), g.Name+" admin")
		for _, l := range g.Listeners {
			listen(join(g.Address, l.Port), g.Name+" "+l.Name)
		}
	}
	for _, e := range m.Externals {
		for _, p := range e.Ports {
			listen(join(e.Endpoints[0].Address, e.Endpoints[0].Ports[p.Name]), e.Name)
		}
	}
	if len(who) < 40 {
		t.Errorf("only %d listeners: %v", len(who), who)
	}
}

func TestOneInstanceForEachVersion(t *testing.T) {
	m := place(t, NewPlacement(reserve(t), t.TempDir(), "stub.crt"), compile(t, shopDir))
	for name, want := range map[string][]string{"catalog": {"v1", "v2"}, "frontend": {"a"}, "payment": {"a"}} {
		var got []string
		for _, e := range m.Service(name).Workload.Endpoints {
			got = append(got, e.Name)
			if v := m.Service(name).Version(e.Name); v != nil && !e.Carries(v) {
				t.Errorf("instance %s of %s is not of its version", e.Name, name)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("instances of %s are %v, want %v", name, got, want)
		}
	}
}

// A change of one service moves no other, and what is new gets a place of its own.
func TestPlaceIsKept(t *testing.T) {
	shop := compile(t, shopDir)
	p := NewPlacement(reserve(t), t.TempDir(), "stub.crt")
	before := place(t, p, shop)

	changed := shop.Clone()
	cart := changed.Service("cart")
	cart.Versions = []ir.Version{{Name: "blue", Labels: map[string]string{"color": "blue"}}}
	after := place(t, p, changed)

	for _, s := range after.Services {
		if s.Name != "cart" && !reflect.DeepEqual(s, before.Service(s.Name)) {
			t.Errorf("%s moved:\n%+v\n%+v", s.Name, before.Service(s.Name), s)
		}
	}
	if !reflect.DeepEqual(after.Gateways, before.Gateways) || !reflect.DeepEqual(after.Externals, before.Externals) {
		t.Error("a gateway or an external moved")
	}
	old, moved := before.Service("cart").Workload.Endpoints[0], after.Service("cart").Workload.Endpoints[0]
	if moved.Name != "blue" || moved.Address == old.Address {
		t.Errorf("the new instance %+v stands where %+v did", moved, old)
	}
}
