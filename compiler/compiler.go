// Package compiler turns a mesh repository into one linked mesh.
package compiler

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/link"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// Options say what is compiled.
type Options struct {
	// Dir is where patterns are relative to; it stands in the module. Empty for
	// the current directory.
	Dir string
	// Patterns choose units, as with cue; none for "./...", which is the whole module. The mesh is always that of the
	// whole module: what they choose is whose findings are wanted.
	Patterns []string
	// Tags are injected, as with cue's -t.
	Tags []string
	// CacheDir keeps evaluated units between runs; empty for none.
	CacheDir string
	// CacheName is whose units are kept; empty for the module's directory. A copy of a module shares those of the
	// module by its directory.
	CacheName string
	// Apart has the spec evaluated in a process of its own, as one that is not trusted;
	// nil for in this one. Nothing is cached then.
	Apart *load.Apart
	// FailUndecided makes tests that are not decided errors, as those that fail.
	FailUndecided bool
	// Version is the tag of meshc's own image, where mesh.images names none: that of this build. Empty for
	// a development build, of which no registry has one.
	Version string
	// Qualified are plain names of members that have their namespace in the mesh (NAME.NAMESPACE) although no other has
	// the same: so two meshes can be compared when only one of them has a second member of a name.
	Qualified []string
	// Now is when rules must still be in force; zero for the time of day.
	Now time.Time
}

// Result is what a compilation came to.
type Result struct {
	// Mesh is nil when there are errors, of the part or of the rest.
	Mesh *ir.Mesh
	// Part is what the patterns chose, when that is not the whole module; else nil.
	Part *source.Part
	// Failing is the mesh when nothing is wrong with it but that its tests fail, or are not decided and must be.
	Failing *ir.Mesh
	// Diagnostics are those of the part, sorted. That the rest has errors is one of them, a warning.
	Diagnostics diag.List
	// Root is the absolute directory of the module; empty when there is none.
	Root string
	// Directories hold the module's files: watch them for changes.
	Directories []string
	// Files are the module's files as they were read, to show lines of them; nil
	// when there is no module. Names are theirs, sorted.
	Files fs.FS
	Names []string
	// Target is the path of what stands at the end of a file that is a symbolic link; nil when there is no module.
	Target func(name string) string
}

// Compile reads, evaluates, links and checks a mesh. What is wrong with the
// mesh is in the result; an error is a fault of meshc or of its surroundings.
func Compile(ctx context.Context, o Options) (*Result, error) {
	if o.Dir == "" {
		o.Dir = "."
	}
	module, found, err := load.Open(o.Dir)
	if err != nil || module == nil {
		return &Result{Diagnostics: found}, err
	}
	defer module.Close()
	var cache *load.Cache
	var both sync.WaitGroup
	both.Go(func() { found = module.Read() })
	both.Go(func() {
		if o.Apart == nil {
			cache = load.OpenCache(o.CacheDir, cmp.Or(o.CacheName, module.Dir), o.Tags)
		}
	})
	both.Wait()
	result := &Result{
		Root: module.Dir, Directories: module.Directories(), Files: module.FS(), Names: module.Names(),
		Target: module.Target,
	}

	units, part, problems := module.Units(o.Patterns)
	found.Add(problems...)
	result.Part = part
	evaluated, err := module.Evaluate(ctx, units, o.Tags, cache, o.Apart)
	if err != nil {
		return nil, err
	}
	var own diag.List // of the part, wherever it was written
	var specs []*spec.Unit
	lost, lostAll := map[string]bool{}, false
	for _, e := range evaluated {
		found.Add(e.Found...)
		if part.HasDirectory(e.Dir) {
			own.Add(e.Found...)
		}
		if e.Spec != nil {
			specs = append(specs, e.Spec)
		}
		lostAll = lostAll || e.LostAll
		for _, name := range e.Lost {
			lost[name] = true
		}
	}

	now := o.Now
	if now.IsZero() {
		now = time.Now()
	}
	mesh, silences, problems := link.Link(specs, link.Options{
		Lost: func(name string) bool { return lostAll || lost[name] }, Now: now, Version: cmp.Or(o.Version, "devel"),
		Qualified: o.Qualified,
	})
	found.Add(slices.DeleteFunc(problems, silences.Covers)...)
	if mesh != nil {
		found.Add(owningNothing(mesh, result.Names)...)
		for _, d := range check.Run(mesh, !found.HasErrors()) {
			if silences.Covers(d) {
				continue
			}
			if o.FailUndecided && d.Code == diag.TestUndecided {
				d.Severity = diag.Error
			}
			found.Add(d)
		}
	}
	cache.Save() // a cache that cannot be kept costs time, not correctness
	result.conclude(mesh, own, found)
	return result, nil
}

// Part is what patterns choose of the module that a directory stands in; nil for all of it, and where there is no
// module.
func Part(dir string, patterns []string) (*source.Part, error) {
	module, _, err := load.Open(dir)
	if err != nil || module == nil {
		return nil, err
	}
	defer module.Close()
	module.Read()
	_, part, _ := module.Units(patterns)
	return part, nil
}

// conclude divides what was found, and says whether there is a mesh.
func (r *Result) conclude(mesh *ir.Mesh, own, found diag.List) {
	var rest diag.List
	for _, d := range found {
		if d.Code == diag.OverLimit || r.Part.Concerns(d.Positions) {
			own.Add(d) // where a limit is reached, nothing is known
		} else {
			rest.Add(d)
		}
	}
	// A test of the rest says nothing of what the part is.
	broken := slices.DeleteFunc(rest, func(d diag.Diagnostic) bool { return d.Severity != diag.Error || ofTest(d) })
	if broken.Sort(); len(broken) > 0 {
		own.Add(diag.New(diag.RestIsWrong, "", fmt.Sprintf("the mesh outside %s has %s", r.Part, broken.Summary()),
			broken[0].Positions...).
			WithHint("what depends on it was not checked, and a mesh with errors is not compiled; list them with: meshc vet"))
	}
	own.Sort()
	r.Diagnostics = own
	switch {
	case len(broken) > 0:
	case !own.HasErrors():
		r.Mesh = mesh
	case !slices.ContainsFunc(own, func(d diag.Diagnostic) bool { return d.Severity == diag.Error && !ofTest(d) }):
		r.Failing = mesh
	}
}

// ofTest reports whether a finding is about how a test ends: the mesh is what it is all the same.
func ofTest(d diag.Diagnostic) bool { return d.Code == diag.TestFails || d.Code == diag.TestUndecided }
