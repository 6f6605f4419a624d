package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/importer"
)

// wrongIn compiles what import writes. Its errors are findings at the objects that the wrong parts are made of; where
// none is, they have the place in the spec.
func wrongIn(ctx context.Context, m *importer.Mesh) (diag.List, error) {
	files, err := moduleFiles(m.Name + ".example/mesh")
	if err != nil {
		return nil, err
	}
	imported, err := m.Files()
	if err != nil {
		return nil, err
	}
	maps.Copy(files, imported)
	dir, err := os.MkdirTemp("", "meshc-import-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return nil, err
		}
	}
	r, err := compiler.Compile(ctx, compiler.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	var out diag.List
	for _, d := range r.Diagnostics {
		if d.Severity == diag.Error { // meshc vet tells the warnings
			out.Add(atObject(m, d))
		}
	}
	return out, nil
}

// atObject is an error of the compiler at the objects that it is about.
func atObject(m *importer.Mesh, d diag.Diagnostic) diag.Diagnostic {
	var positions []source.Position
	subject := "what is written"
	for _, p := range d.Positions {
		if o := m.Origin(p.File); o != nil {
			if len(positions) == 0 {
				subject = "what is written of " + o.String()
			}
			p = o.Position()
		}
		positions = append(positions, p)
	}
	out := diag.New(d.Code, d.Path, fmt.Sprintf("%s does not compile: %s", subject, d.Message), positions...)
	if d.Hint != "" {
		out = out.WithHint("%s", d.Hint)
	}
	return out
}
