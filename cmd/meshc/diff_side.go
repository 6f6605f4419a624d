package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/meshfile"
	"github.com/meshc/meshc/review/revision"
)

// always is a time at which no rule is over: one that is lets nobody in, and is no error of the comparison.
var always = time.Unix(1, 0)

// side is one of two meshes that are compared.
type side struct {
	mesh *ir.Mesh
	// root is the directory of its module, and files are the module's; empty and nil of a mesh that was compiled before.
	root  string
	files fs.FS
	names []string
	// target is the path of what stands at the end of a file that is a symbolic link.
	target func(name string) string
	// revision is set when it is of one.
	revision *revision.Revision
}

// sides are what is compared.
func (f *diffFlags) sides(cmd *cobra.Command, args []string) (before, after *side, err error) {
	if len(args) == 2 {
		if before, err = f.side(cmd, args[0]); err == nil {
			after, err = f.side(cmd, args[1])
		}
		return before, after, err
	}
	dir := "."
	if len(args) == 1 && args[0] != "./..." {
		dir = args[0]
	}
	if f.server != "" {
		if after, err = f.side(cmd, dir); err == nil {
			before, err = servedBy(cmd, f.server)
		}
		return before, after, err
	}
	if meshfile.IsFile(dir) {
		return nil, nil, usage(fmt.Errorf("%s is a compiled mesh, and of a revision the spec is read", dir))
	}
	return f.withPast(cmd, dir)
}

// withPast are the revision and the work tree. That a file of either is not what Git commits is an error: then the same
// commit would be another mesh elsewhere.
func (f *diffFlags) withPast(cmd *cobra.Command, dir string) (before, after *side, err error) {
	ctx := cmd.Context()
	found := make(chan past, 1)
	go func() { found <- f.past(ctx, dir) }()
	after, err = f.side(cmd, dir)
	p := <-found
	if err = cmp.Or(err, p.err); err != nil {
		return nil, nil, err
	}
	wrong, err := p.repository.Check(ctx, after.read())
	if err != nil {
		return nil, nil, err
	}
	if wrong.HasErrors() {
		format, err := diag.ParseFormat(f.format)
		if err != nil {
			return nil, nil, usage(err)
		}
		if err := f.specFlags.print(cmd, &compiler.Result{Diagnostics: wrong, Root: after.root, Files: after.files}, format, true); err != nil {
			return nil, nil, err
		}
		return nil, nil, fmt.Errorf("the mesh in %s is not the one that Git commits, so nobody can say what the change does", dir)
	}
	if p.data != nil {
		var r ir.Review
		m, err := ir.UnmarshalBeside(p.data, after.mesh)
		if err == nil && json.Unmarshal(p.owners, &r) == nil {
			m.Review = r
			return &side{revision: p.revision, root: after.root, mesh: m}, after, nil
		}
	}
	before, err = f.at(ctx, after.root, p.revision)
	return before, after, err
}

// of takes what a compilation came to. A test that fails does not keep anybody from what the change does.
func (s *side) of(result *compiler.Result) {
	s.mesh = cmp.Or(result.Mesh, result.Failing)
	s.files, s.names, s.target = result.Files, result.Names, result.Target
}

// read are the files of the module as they were read.
func (s *side) read() []revision.File {
	var out []revision.File
	for _, name := range s.names {
		if data, err := fs.ReadFile(s.files, name); err == nil { // else it is a finding
			out = append(out, revision.File{Path: name, Target: s.target(name), Data: data})
		}
	}
	return out
}

// side is a compiled mesh, or the spec in a directory.
func (f *diffFlags) side(cmd *cobra.Command, name string) (*side, error) {
	if meshfile.IsFile(name) {
		m, _, err := meshfile.File(name).Load(cmd.Context())
		return &side{mesh: m}, err
	}
	format, err := diag.ParseFormat(f.format)
	if err != nil {
		return nil, usage(err)
	}
	result, err := f.compiled(cmd.Context(), compiler.Options{Dir: name, Now: always})
	if err != nil {
		return nil, err
	}
	if root, err := filepath.Abs(name); err == nil && name != "." && result.Root != "" && actual(root) != actual(result.Root) {
		return nil, usage(fmt.Errorf("diff compares whole meshes, and %s is a part of the one in %s\n  hint: name that directory, or none", name, result.Root))
	}
	after := &side{root: result.Root}
	after.of(result)
	if after.mesh == nil {
		if err := f.specFlags.print(cmd, result, format, true); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("the mesh in %s has errors, so nobody can say what it does", name)
	}
	return after, nil
}

// servedBy is the mesh that a server serves.
func servedBy(cmd *cobra.Command, server string) (*side, error) {
	data, err := ask(cmd, server, "/mesh")
	if err != nil {
		return nil, err
	}
	m, err := ir.Unmarshal(data)
	if err != nil {
		return nil, errors.New("what answers at " + server + " serves no mesh")
	}
	return &side{mesh: m}, nil
}

// changedFiles are the files of a module that two meshes do not have alike, relative to its root.
func changedFiles(ctx context.Context, before, after *side) ([]string, error) {
	if before.revision != nil {
		return before.revision.Changed(ctx, after.read())
	}
	if before.files == nil {
		return nil, nil
	}
	all := map[string]bool{}
	for _, s := range []*side{before, after} {
		for _, name := range s.names {
			all[name] = true
		}
	}
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, errA := fs.ReadFile(before.files, name)
		b, errB := fs.ReadFile(after.files, name)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			changed = append(changed, name)
		}
	}
	return changed, nil
}
