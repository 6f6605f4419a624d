package compiler

import (
	"fmt"
	"path"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/similar"
)

// owningNothing finds the paths of mesh.owners of which the module has no file: nobody would be asked about what they
// are meant for.
func owningNothing(m *ir.Mesh, files []string) (found diag.List) {
	for i := range m.Owners {
		o := &m.Owners[i]
		if slices.ContainsFunc(files, o.Covers) {
			continue
		}
		d := diag.New(diag.OwnsNothing, fmt.Sprintf("mesh.owners.%q", o.Path),
			fmt.Sprintf("owners has the path %q, and the module has no file there", o.Path), o.Pos)
		if near := similar.Name(o.Path, directoriesOf(files)); near != "" {
			d = d.WithHint("did you mean %q?", near)
		} else {
			d = d.WithHint("write a file or a directory that has files of the mesh, from the module's root, or delete the path")
		}
		found.Add(d)
	}
	return found
}

// directoriesOf are the files, and the directories that they are in.
func directoriesOf(files []string) []string {
	known := map[string]bool{}
	var out []string
	for _, name := range files {
		for ; name != "." && !known[name]; name = path.Dir(name) {
			known[name] = true
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
