package render

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/sink"
)

// Members counts the members of the mesh that are of the part, and all.
func Members(m *ir.Mesh, part *source.Part) (of, all int) {
	for _, s := range m.Scopes() {
		if all++; part.Has(s.Pos()) {
			of++
		}
	}
	return of, all
}

// besides are the files of a part, and all that stands in the tree beside them: what a part says nothing of stays.
func besides(tree *sink.Tree, files []sink.File) []sink.File {
	written := make(map[string]bool, len(files))
	for _, f := range files {
		written[f.Path] = true
	}
	for _, name := range tree.Names() {
		if !written[name] {
			files = append(files, sink.File{Path: name})
		}
	}
	return files
}

func toWrite(rendered []manifest.File) []sink.File {
	files := make([]sink.File, len(rendered))
	for i, f := range rendered {
		files[i] = sink.File{Path: f.Path, Data: f.Data}
	}
	return files
}
