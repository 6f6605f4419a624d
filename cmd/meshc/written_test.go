package main

import (
	"os"
	"path/filepath"
	"testing"
)

// writeAll writes files by their names below a directory.
func writeAll(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// moduleText is the cue.mod/module.cue of a mesh.
const moduleText = "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n"
