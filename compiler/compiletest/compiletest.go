// Package compiletest compiles specs for tests of what reads meshes.
package compiletest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meshc/meshc/compiler"
)

// Compile lays files out in a directory, with a module around them, and compiles them.
func Compile(t testing.TB, dir string, files map[string]string) *compiler.Result {
	t.Helper()
	put(t, dir, "cue.mod/module.cue", "module: \"inline.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n")
	for name, text := range files {
		put(t, dir, name, text)
	}
	r, err := compiler.Compile(t.Context(), compiler.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
