package importer_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/consul"
	"github.com/meshc/meshc/importer/gatewayapi"
	"github.com/meshc/meshc/importer/istio"
	"github.com/meshc/meshc/importer/kubernetes"
	"github.com/meshc/meshc/importer/linkerd"
	"github.com/meshc/meshc/importer/together"
)

// FuzzImport wants CUE of whatever objects, or findings, and no fault.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("../testdata/import/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatalf("there is nothing to import: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var all []string
		for _, part := range archive.Files {
			if strings.HasPrefix(part.Name, "in/") {
				all = append(all, string(part.Data))
			}
		}
		f.Add([]byte(strings.Join(all, "---\n")))
		for _, part := range strings.Split(strings.Join(all, "---\n"), "---\n") {
			f.Add([]byte(part))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		objects, _ := importer.Read("objects.yaml", stream, "default")
		for _, name := range []string{"entries.hcl", "entries.json"} {
			more, _, _ := consul.Read(name, stream)
			objects = append(objects, more...)
		}
		for _, read := range []func([]*importer.Object, importer.Options) *importer.Mesh{
			istio.Import,
			gatewayapi.Import, kubernetes.Import, linkerd.Import, consul.Import, together.Import,
		} {
			m := read(objects, importer.Options{Name: "shop", TrustDomain: "cluster.local"})
			_, err := m.File()
			if same := (*importer.SameNameError)(nil); errors.As(err, &same) {
				_, err = m.Files()
			}
			if err != nil {
				t.Errorf("what is written is not CUE: %v", err)
			}
		}
	})
}
