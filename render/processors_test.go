package render_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/meshc/meshc/render"
)

// inProcessors compiles a mesh on so many processors and returns what was
// written.
func inProcessors(t *testing.T, n int, dir string) map[string][]byte {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	out := filepath.Join(t.TempDir(), "out")
	if _, err := render.Write(out, compileDir(t, dir), nil, ""); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	if err := walk(os.DirFS(out), func(name string, data []byte) { files[name] = data }); err != nil {
		t.Fatal(err)
	}
	return files
}

// walk calls yield with every file.
func walk(files fs.FS, yield func(name string, data []byte)) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err == nil {
			yield(name, data)
		}
		return err
	})
}
