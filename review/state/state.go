// Package state gets the meshes that are compared: as a work tree has them, as they were at a revision of Git, as they
// were compiled before, or as a server serves them. Of two of them it says which files differ, and whose files are.
package state

import (
	"bytes"
	"cmp"
	"context"
	"io/fs"
	"maps"
	"slices"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/meshfile"
	"github.com/meshc/meshc/review/revision"
)

// State is a mesh with what it was made of.
type State struct {
	Mesh *ir.Mesh
	// Root is the directory of its module; empty for a mesh that was compiled before.
	Root string
	// files are the module's, by their names; nil and empty for a mesh that was compiled before.
	files fs.FS
	names []string
	// target is the path of what stands at the end of a file that is a symbolic link.
	target func(name string) string
	// revision is nil unless it is of one.
	revision *revision.Revision
}

// Compiled is a mesh that was compiled before, from a mesh.json or a directory that holds it.
func Compiled(ctx context.Context, name string) (*State, error) {
	m, _, err := meshfile.File(name).Load(ctx)
	return &State{Mesh: m}, err
}

// take takes what a compilation came to. A test that fails does not keep anybody from what the change does.
func (s *State) take(result *compiler.Result) {
	s.Mesh = cmp.Or(result.Mesh, result.Failing)
	s.files, s.names, s.target = result.Files, result.Names, result.Target
}

// read are the files of the module as they were read.
func (s *State) read() []revision.File {
	var out []revision.File
	for _, name := range s.names {
		if data, err := fs.ReadFile(s.files, name); err == nil { // else it is a finding
			out = append(out, revision.File{Path: name, Target: s.target(name), Data: data})
		}
	}
	return out
}

// all are the files of the module: those that were read, and without their content those that could not be.
func (s *State) all() []revision.File {
	out := s.read()
	for _, name := range s.names {
		if _, err := fs.Stat(s.files, name); err != nil {
			out = append(out, revision.File{Path: name, Target: s.target(name)})
		}
	}
	return out
}

// Files are those of the module that either of two states has, sorted, relative to its root.
func Files(before, after *State) []string {
	all := map[string]bool{}
	for _, s := range []*State{before, after} {
		for _, name := range s.names {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Changed are the files of a module that two states do not have alike, sorted, relative to its root. It is nil when
// the one before was compiled before, and has no files.
func Changed(ctx context.Context, before, after *State) ([]string, error) {
	if before.revision != nil {
		return before.revision.Changed(ctx, after.read())
	}
	if before.files == nil {
		return nil, nil
	}
	var changed []string
	for _, name := range Files(before, after) {
		a, errA := fs.ReadFile(before.files, name)
		b, errB := fs.ReadFile(after.files, name)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			changed = append(changed, name)
		}
	}
	return changed, nil
}
