package render_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render"
)

// seeds adds what the tests know of, right and wrong.
func seeds(f *testing.F) {
	for _, pattern := range []string{"../testdata/feature/*.txtar", "../testdata/wrong/*.txtar"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				f.Fatal(err)
			}
			spec := &txtar.Archive{}
			for _, file := range archive.Files {
				if strings.HasSuffix(file.Name, ".cue") {
					spec.Files = append(spec.Files, file)
				}
			}
			f.Add(txtar.Format(spec))
		}
	}
}

// FuzzSpec compiles any files at all. What is wrong with them is told with a code, and
// without the compiler's insides; what is right can be rendered, and read back.
func FuzzSpec(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		archive := txtar.Parse(data)
		archive.Files = append(archive.Files, txtar.File{
			Name: "cue.mod/module.cue",
			Data: []byte("module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n"),
		})
		for _, file := range archive.Files {
			if !filepath.IsLocal(file.Name) {
				return
			}
			path := filepath.Join(dir, file.Name)
			if os.MkdirAll(filepath.Dir(path), 0o755) != nil || os.WriteFile(path, file.Data, 0o644) != nil {
				return // no name of a file
			}
		}
		r, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Diagnostics {
			if d.Code == "" || d.Message == "" {
				t.Errorf("a finding without code or words: %+v", d)
			}
			for _, inside := range []string{dir, "goroutine ", ".go:", "runtime error", "_|_"} {
				if strings.Contains(d.Message+d.Hint, inside) && !strings.Contains(string(data), inside) {
					t.Errorf("%s tells of %q: %s (%s)", d.Code, inside, d.Message, d.Hint)
				}
			}
		}
		if r.Mesh == nil {
			if !r.Diagnostics.HasErrors() {
				t.Error("there is no mesh, and no error")
			}
			return
		}
		rendered(t, r.Mesh)
	})
}

// FuzzMesh reads any mesh.json: it is refused, or can be rendered.
func FuzzMesh(f *testing.F) {
	for _, dir := range []string{"../examples/shop", "../testdata/traffic"} {
		r, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir})
		if err != nil || r.Mesh == nil {
			f.Fatalf("%s: %v", dir, err)
		}
		data, err := ir.Marshal(r.Mesh)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"meshc":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ir.Unmarshal(data)
		if err != nil {
			return
		}
		// A mesh.json may be false in ways that only rendering finds; what it must not
		// do is bring a server down.
		_, _ = render.Files(m)
	})
}

func rendered(t *testing.T, m *ir.Mesh) {
	t.Helper()
	if _, err := render.Files(m); err != nil {
		t.Errorf("a mesh without errors cannot be rendered: %v", err)
	}
	data, err := ir.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ir.Unmarshal(data); err != nil {
		t.Errorf("its own mesh.json cannot be read: %v", err)
	}
}
