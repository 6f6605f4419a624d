package importer_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/consul"
	"github.com/meshc/meshc/importer/gatewayapi"
	"github.com/meshc/meshc/importer/istio"
	"github.com/meshc/meshc/importer/kubernetes"
	"github.com/meshc/meshc/importer/linkerd"
	"github.com/meshc/meshc/importer/together"
)

var update = flag.Bool("update", false, "write what the tests got as what they want")

// TestImport imports the objects of each archive of testdata/import, istio_*, gateway_api_*, kubernetes_*, linkerd_*,
// consul_* or together_*, and wants the mesh, what is not carried over, and what the compiler says of it; and of the
// requests in promised the answers that stand there, see keepsPromises. A line "calls: web=cart,payment" of its comment
// is an option.
func TestImport(t *testing.T) {
	files, err := filepath.Glob("../testdata/import/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("there is nothing to import: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := imported(t, file, archive)
			var rest []txtar.File
			for _, f := range archive.Files {
				if strings.HasPrefix(f.Name, "in/") || f.Name == "promised" {
					rest = append(rest, f)
				} else if string(f.Data) != got[f.Name] && !*update {
					t.Errorf("%s is\n%s\nand should be\n%s", f.Name, got[f.Name], f.Data)
				}
			}
			for _, name := range slices.Sorted(maps.Keys(got)) {
				if !slices.ContainsFunc(archive.Files, func(f txtar.File) bool { return f.Name == name }) && !*update {
					t.Errorf("%s is not wanted, and is\n%s", name, got[name])
				}
				rest = append(rest, txtar.File{Name: name, Data: []byte(got[name])})
			}
			if *update {
				archive.Files = rest
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func imported(t *testing.T, file string, archive *txtar.Archive) map[string]string {
	o := importer.Options{Name: "shop", TrustDomain: "cluster.local"}
	for line := range strings.Lines(string(archive.Comment)) {
		if domain, ok := strings.CutPrefix(strings.TrimSpace(line), "cluster domain: "); ok {
			o.ClusterDomain = domain
		}
		if action, ok := strings.CutPrefix(strings.TrimSpace(line), "default intentions: "); ok {
			o.DefaultIntentions = action
		}
		if call, ok := strings.CutPrefix(strings.TrimSpace(line), "calls: "); ok {
			caller, callees, _ := strings.Cut(call, "=")
			if o.Calls == nil {
				o.Calls = map[string][]string{}
			}
			o.Calls[caller] = strings.Split(callees, ",")
		}
	}
	var objects []*importer.Object
	var told strings.Builder
	for _, f := range archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "in/"); ok {
			read, found, ok := consul.Read(name, f.Data)
			if !ok {
				read, found = importer.Read(name, f.Data, "default")
			}
			objects = append(objects, read...)
			for _, d := range found {
				fmt.Fprintf(&told, "%v %s %s\n", d.Positions[0], d.Code, d.Message)
			}
		}
	}
	m := readerOf(filepath.Base(file))(objects, o)
	m.Found.Sort()
	for _, d := range m.Found {
		fmt.Fprintf(&told, "%v %s %s\n", d.Positions[0], d.Code, d.Message)
	}
	files := map[string][]byte{}
	text, err := m.File()
	if same := (*importer.SameNameError)(nil); errors.As(err, &same) {
		if files, err = m.Files(); err == nil {
			text = joined(files)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		files["mesh.cue"] = text
	}
	r := compiled(t, files)
	for _, f := range archive.Files {
		if f.Name == "promised" && r.Mesh == nil {
			t.Errorf("it does not compile: %v", r.Diagnostics)
		} else if f.Name == "promised" {
			keepsPromises(t, r.Mesh, string(f.Data))
		}
	}
	var warned strings.Builder
	for _, d := range r.Diagnostics {
		fmt.Fprintf(&warned, "%s %s\n", d.Code, d.Message)
	}
	return map[string]string{
		"want/mesh.cue": string(text), "want/not-carried": told.String(),
		"want/compiled": warned.String(),
	}
}

// readerOf is what reads an archive, by the beginning of its name.
func readerOf(name string) func([]*importer.Object, importer.Options) *importer.Mesh {
	for beginning, read := range map[string]func([]*importer.Object, importer.Options) *importer.Mesh{
		"gateway_api_": gatewayapi.Import, "kubernetes_": kubernetes.Import, "consul_": consul.Import,
		"linkerd_": linkerd.Import, "together_": together.Import,
	} {
		if strings.HasPrefix(name, beginning) {
			return read
		}
	}
	return istio.Import
}

// compiled compiles the files of a mesh.
func compiled(t *testing.T, files map[string][]byte) *compiler.Result {
	files["cue.mod/module.cue"] = []byte("module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n")
	dir := t.TempDir()
	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := compiler.Compile(t.Context(), compiler.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// joined are several files, each below its name.
func joined(files map[string][]byte) []byte {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		out = fmt.Appendf(out, "// %s\n%s\n", name, files[name])
	}
	return out
}
