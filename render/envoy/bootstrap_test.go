package envoy

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
)

func TestDeterministic(t *testing.T) {
	render := func() (out []byte) {
		for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
			for _, v := range variants(shop(delivery)) {
				boot, err := Bootstrap(v.scope, v.Options)
				if err != nil {
					t.Fatal(err)
				}
				text, err := YAML(boot)
				if err != nil {
					t.Fatal(err)
				}
				r, err := Build(v.scope, v.Options)
				if err != nil {
					t.Fatal(err)
				}
				out = append(append(out, text...), resourcesYAML(t, r, v.scope.Endpoint(v.Instance))...)
			}
		}
		return out
	}
	first := render()
	for range 5 {
		if !bytes.Equal(render(), first) {
			t.Fatal("the same mesh was rendered in two ways")
		}
	}
}

func TestInlineLeavesItsArgumentsAlone(t *testing.T) {
	m := shop(ir.DeliveryXDS)
	scope := m.ServiceScope(m.Service("frontend"))
	boot, err := Bootstrap(scope, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Build(scope, Options{})
	if err != nil {
		t.Fatal(err)
	}
	bootBefore, before := proto.Clone(boot), resourcesYAML(t, r, nil)
	if _, err := Inline(boot, r, nil); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(boot, bootBefore) || !bytes.Equal(resourcesYAML(t, r, nil), before) {
		t.Error("Inline changed what it was given")
	}
}

func TestBadServer(t *testing.T) {
	m := shop(ir.DeliveryXDS)
	for _, server := range []string{"", "host", "host:", "host:99999", "host:x"} {
		m.Service("cart").Proxy.Server = server
		if _, err := Bootstrap(m.ServiceScope(m.Service("cart")), Options{}); err == nil {
			t.Errorf("%q is taken", server)
		}
	}
}

// A member of a mesh of thousands must take well under half a millisecond.
func BenchmarkBootstrap(b *testing.B) {
	m := shop(ir.DeliveryXDS)
	scope := m.ServiceScope(m.Service("frontend"))
	for b.Loop() {
		boot, err := Bootstrap(scope, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := YAML(boot); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	m := shop(ir.DeliveryXDS)
	scope := m.ServiceScope(m.Service("frontend"))
	for b.Loop() {
		if _, err := Build(scope, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
