package envoy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/render/manifest"
)

var update = flag.Bool("update", false, "write what is rendered to testdata")

// variant is one of the ways to render a member.
type variant struct {
	name  string
	scope ir.Scope
	Options
}

func variants(m *ir.Mesh) []variant {
	var out []variant
	for _, scope := range m.Scopes() {
		out = append(out, variant{scope.Member().Name, scope, Options{}})
	}
	return append(out, variant{
		"cart-b", m.ServiceScope(m.Service("cart")),
		Options{Instance: "b", TrustBundle: []byte("PEM\n")},
	})
}

func TestGolden(t *testing.T) {
	for _, v := range variants(shop(ir.DeliveryXDS)) {
		r, err := Build(v.scope, v.Options)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "resources/"+v.name, resourcesYAML(t, r, v.scope.Endpoint(v.Instance)))
		boot, err := Bootstrap(v.scope, v.Options)
		if err != nil {
			t.Fatal(err)
		}
		data, err := YAML(boot)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "bootstrap/"+v.name, data)
	}
	static := shop(ir.DeliveryStatic)
	for _, name := range []string{"frontend", "cart"} {
		boot, err := Bootstrap(static.ServiceScope(static.Service(name)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := YAML(boot)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "static/"+name, data)
	}
	xds := shop(ir.DeliveryXDS)
	r, err := Proxyless(xds.ServiceScope(xds.Service("frontend")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "proxyless/frontend", resourcesYAML(t, r, nil))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".yaml")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is rendered; run the test with -update and look at the difference:\n%s", file, got)
	}
}

// all are the resources in the order that the goldens have.
func all(r *Resources, own *ir.Endpoint) map[string][]proto.Message {
	return map[string][]proto.Message{
		"listeners": messages(r.Listeners), "routes": messages(r.Routes), "clusters": messages(r.Clusters),
		"endpoints": messages(Assignments(r.Discovered, own, live.Written)), "secrets": messages(r.Secrets),
	}
}

func messages[T proto.Message](list []T) []proto.Message {
	var out []proto.Message
	for _, m := range list {
		out = append(out, m)
	}
	return out
}

func resourcesYAML(t *testing.T, r *Resources, own *ir.Endpoint) []byte {
	t.Helper()
	doc := map[string][]json.RawMessage{}
	for kind, list := range all(r, own) {
		for _, m := range list {
			data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			doc[kind] = append(doc[kind], data)
		}
	}
	data, err := manifest.YAML(doc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
