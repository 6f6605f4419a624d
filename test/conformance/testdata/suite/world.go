// Package suite answers the requests of the conformance suite by what `meshc import` makes of its manifests.
package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/gatewayapi"
)

// world is the mesh that is made of the objects in the cluster at one time.
type world struct {
	imported *importer.Mesh
	mesh     *ir.Mesh
	// findings are what import could not carry over, and wrong why the mesh does not compile.
	findings []string
	wrong    string
}

// made imports objects, as YAML, and compiles the result.
func made(manifests []byte, only func(o *importer.Object) bool) (*world, error) {
	objects, found := importer.Read("manifests.yaml", manifests, "default")
	var chosen []*importer.Object
	for _, o := range objects {
		if only(o) {
			chosen = append(chosen, o)
		}
	}
	m := gatewayapi.Import(chosen, importer.Options{Name: "conformance", TrustDomain: "cluster.local"})
	w := &world{imported: m}
	for _, d := range append(found, m.Found...) {
		w.findings = append(w.findings, d.Message)
	}
	files := map[string][]byte{}
	text, err := m.File()
	if same := (*importer.SameNameError)(nil); errors.As(err, &same) {
		files, err = m.Files()
	} else {
		files["mesh.cue"] = text
	}
	if err != nil {
		return nil, err
	}
	files["cue.mod/module.cue"] = []byte("module: \"conformance.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n")
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return nil, err
		}
	}
	if keep := os.Getenv("MESHC_CONFORMANCE_KEEP"); keep != "" {
		_ = os.CopyFS(filepath.Join(keep, filepath.Base(dir)), os.DirFS(dir))
		_ = os.WriteFile(filepath.Join(keep, filepath.Base(dir), "in.yaml"), manifests, 0o600)
	}
	r, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	var wrong []string
	for _, d := range r.Diagnostics {
		if d.Severity == diag.Error {
			wrong = append(wrong, fmt.Sprintf("%s %s", d.Code, d.Message))
		}
	}
	w.mesh, w.wrong = r.Mesh, strings.Join(wrong, "; ")
	return w, nil
}

// gateway is the name of the gateway that a Gateway became; "" for none.
func (w *world) gateway(namespace, name string) string {
	for _, g := range w.mesh.Gateways {
		if g.Namespace == namespace && (g.Name == name || strings.HasPrefix(g.Name, importer.NameOf(name))) {
			return g.Name
		}
	}
	return ""
}

// service is the service that callers in a namespace reach by a host; nil for none.
func (w *world) service(namespace, name string) *importer.Service {
	return w.imported.Service(namespace, name)
}
