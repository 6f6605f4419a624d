package kubernetes

import (
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/manifest/manifesttest"
)

var update = manifesttest.Update()

const bootstrap = "admin:\n  address: 127.0.0.1\n"

// secretFiles stand for those that say where the certificate is.
var secretFiles = map[string][]byte{"identity.yaml": []byte("resources: []\n"), "trust.yaml": []byte("resources: []\n")}

// render is all that the mesh has for a cluster.
func render(t testing.TB, m *ir.Mesh) []manifest.File {
	t.Helper()
	var files []manifest.File
	for _, scope := range m.Scopes() {
		made, err := Member(scope, Proxy{Bootstrap: []byte(bootstrap), Secrets: secretFiles})
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := certificates.Member(scope)
		if err != nil {
			t.Fatal(err)
		}
		files = append(append(files, made...), certificate)
	}
	for _, of := range []func() ([]manifest.File, error){
		func() ([]manifest.File, error) { return Mesh(m, []byte(`{"meshc":1}`+"\n")) },
		func() ([]manifest.File, error) { return certificates.Mesh(m) },
	} {
		made, err := of()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, made...)
	}
	return files
}

// own are the files of this package alone.
func own(files []manifest.File) []manifest.File {
	var out []manifest.File
	for _, f := range files {
		if len(f.Path) < len(certificates.Directory) || f.Path[:len(certificates.Directory)] != certificates.Directory {
			out = append(out, f)
		}
	}
	return out
}

func TestGolden(t *testing.T) {
	for name, tags := range map[string][]string{
		"xds":      nil,
		"static":   {"delivery=static", "issuer=file"},
		"embedded": {"issuer=embedded"},
	} {
		t.Run(name, func(t *testing.T) {
			files := own(render(t, manifesttest.Mesh(t, tags...)))
			if name == "embedded" { // the control plane differs, and how a pod gets its certificate
				files = append(only(files, "kubernetes/bazaar-system/server.yaml"),
					only(files, "kubernetes/stalls/sidecar/fruit.yaml")...)
			}
			manifesttest.Golden(t, name, files, update)
		})
	}
}

func only(files []manifest.File, path string) []manifest.File {
	for _, f := range files {
		if f.Path == path {
			return []manifest.File{f}
		}
	}
	return nil
}

func TestPathsAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range render(t, manifesttest.Mesh(t)) {
		if seen[f.Path] {
			t.Errorf("two files have the path %s", f.Path)
		}
		seen[f.Path] = true
	}
}

func TestMembersOutsideTheClusterHaveNoManifests(t *testing.T) {
	m := manifesttest.Mesh(t)
	for _, name := range []string{"bank", "ledger", "courier"} {
		files, err := Member(m.ServiceScope(m.Service(name)), Proxy{Bootstrap: []byte(bootstrap), Secrets: secretFiles})
		if err != nil || files != nil {
			t.Errorf("%s: %v, %v", name, files, err)
		}
	}
	m.Gateways, m.Services = nil, []*ir.Service{m.Service("bank")}
	files, err := Mesh(m, nil)
	if err != nil || files != nil {
		t.Errorf("a mesh without a cluster has %v, %v", files, err)
	}
}
