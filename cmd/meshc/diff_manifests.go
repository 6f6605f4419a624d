package main

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"

	textdiff "github.com/rogpeppe/go-internal/diff"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render"
)

// printManifests prints in what the files differ that two meshes compile to. What a server would send the Envoys is
// shown as it is written for delivery by files.
func printManifests(w io.Writer, before, after *ir.Mesh) error {
	content := [2]map[string][]byte{{}, {}}
	names := map[string]bool{}
	for i, m := range []*ir.Mesh{before, after} {
		static := *m
		static.Delivery = ir.DeliveryStatic
		for _, of := range []*ir.Mesh{m, &static} {
			files, err := render.Files(of)
			if err != nil {
				return err
			}
			for _, f := range files {
				if of == m || strings.HasPrefix(f.Path, "envoy/") {
					content[i][f.Path], names[f.Path] = f.Data, true
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if strings.HasSuffix(name, "mesh.json") || bytes.Contains(content[1][name], []byte("mesh.json.gz")) ||
			bytes.Contains(content[0][name], []byte("mesh.json.gz")) {
			continue // the mesh itself, of which all else is made
		}
		if text := textdiff.Diff("old/"+name, content[0][name], "new/"+name, content[1][name]); len(text) > 0 {
			if _, err := w.Write(append([]byte("\n"), text...)); err != nil {
				return err
			}
		}
	}
	return nil
}
