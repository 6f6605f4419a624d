package envoy

import (
	"fmt"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/ir"
)

// TestEnvoyTakesEveryBootstrap gives each to "envoy --mode validate": as it is
// written, and with its xDS resources inlined.
func TestEnvoyTakesEveryBootstrap(t *testing.T) {
	a := newAuthority(t)
	dir := a.directory(t, identity("any").String())
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		m := shop(delivery)
		for _, s := range m.Services {
			s.Proxy.CertificateDirectory = dir
		}
		for _, g := range m.Gateways {
			g.Proxy.CertificateDirectory = dir
		}
		for _, e := range m.Externals {
			e.Roots = filepath.Join(dir, trustFile)
		}
		for _, v := range variants(m) {
			if v.TrustBundle != nil {
				v.TrustBundle = a.bundle()
			}
			t.Run(fmt.Sprintf("%s/%s", delivery, v.name), func(t *testing.T) {
				t.Parallel()
				boot, err := Bootstrap(v.scope, v.Options)
				if err != nil {
					t.Fatal(err)
				}
				validate(t, boot)
				if delivery == ir.DeliveryStatic {
					return // it has everything already
				}
				r, err := Build(v.scope, v.Options)
				if err != nil {
					t.Fatal(err)
				}
				inlined, err := Inline(boot, r, v.scope.Endpoint(v.Instance))
				if err != nil {
					t.Fatal(err)
				}
				validate(t, inlined)
			})
		}
	}
}

// TestMessagesAreValid runs the rules that Envoy's own API definitions carry, also
// on the messages inside Anys.
func TestMessagesAreValid(t *testing.T) {
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		for _, v := range variants(shop(delivery)) {
			boot, err := Bootstrap(v.scope, v.Options)
			if err != nil {
				t.Fatal(err)
			}
			checkMessage(t, v.name, boot)
			for _, build := range []func(ir.Scope, Options) (*Resources, error){Build, Proxyless} {
				r, err := build(v.scope, v.Options)
				if err != nil {
					t.Fatal(err)
				}
				for kind, list := range all(r, v.scope.Endpoint(v.Instance)) {
					for _, m := range list {
						checkMessage(t, v.name+" "+kind, m)
					}
				}
			}
		}
	}
}

func checkMessage(t *testing.T, path string, m proto.Message) {
	t.Helper()
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	eachMessage(m.ProtoReflect(), func(inner protoreflect.Message) {
		if packed, ok := inner.Interface().(*anypb.Any); ok {
			unpacked, err := packed.UnmarshalNew()
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return
			}
			checkMessage(t, path+" "+packed.TypeUrl, unpacked)
		}
	})
}

// eachMessage visits every message inside m; an Any is not opened.
func eachMessage(m protoreflect.Message, visit func(protoreflect.Message)) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		each := func(v protoreflect.Value) {
			visit(v.Message())
			eachMessage(v.Message(), visit)
		}
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { each(v); return true })
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				each(v.List().Get(i))
			}
		case !f.IsMap() && !f.IsList() && f.Message() != nil:
			each(v)
		}
		return true
	})
}
