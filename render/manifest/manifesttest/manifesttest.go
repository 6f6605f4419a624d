// Package manifesttest has what tests of renderers share: a mesh with one of
// everything that has manifests, golden files, and a strict reader of objects.
package manifesttest

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// Mesh compiles the mesh of testdata with these CUE tags: delivery, issuer, flux.
func Mesh(t testing.TB, tags ...string) *ir.Mesh {
	t.Helper()
	dir := filepath.Join(root(t), "render", "manifest", "manifesttest", "testdata", "bazaar")
	result, err := compiler.Compile(t.Context(), compiler.Options{Dir: dir, Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	if result.Mesh == nil {
		t.Fatalf("the mesh of the tests does not compile: %v", result.Diagnostics)
	}
	return result.Mesh
}

// root is the top of the module whose tests run: the nearest directory above the test's own that has a go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// Golden demands that the directory testdata/NAME of the calling package has
// exactly these files. With update it writes them.
func Golden(t *testing.T, name string, files []manifest.File, update *bool) {
	t.Helper()
	dir := filepath.Join("testdata", name)
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		Write(t, dir, files)
	}
	wanted := map[string]bool{}
	for _, f := range files {
		wanted[filepath.Join(dir, filepath.FromSlash(f.Path))] = true
		want, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil {
			t.Errorf("%v: run the test with -update", err)
			continue
		}
		if !bytes.Equal(f.Data, want) {
			t.Errorf("%s is not as in %s; got\n%s", f.Path, dir, f.Data)
		}
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !wanted[path] {
			t.Errorf("%s is not rendered", path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// Update is the flag -update of a package's tests.
func Update() *bool { return flag.Bool("update", false, "write the golden files") }

// Write puts files below a directory.
func Write(t testing.TB, dir string, files []manifest.File) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Documents are those of a file below its header, each as it was written.
func Documents(t testing.TB, f manifest.File) [][]byte {
	t.Helper()
	data, ok := bytes.CutPrefix(f.Data, []byte(manifest.Header))
	if !ok {
		t.Fatalf("%s does not begin with the header", f.Path)
	}
	return bytes.Split(data, []byte("\n---\n"))
}

// Kind is the apiVersion and kind of a document.
func Kind(t testing.TB, document []byte) string {
	t.Helper()
	var meta struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(document, &meta); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	return meta.APIVersion + " " + meta.Kind
}

// Decode reads a document into a new value of into's type. A field that the type
// does not have fails the test.
func Decode(t testing.TB, document []byte, into any) any {
	t.Helper()
	v := reflect.New(reflect.TypeOf(into).Elem()).Interface()
	if err := yaml.UnmarshalStrict(document, v); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	return v
}
