// Package render turns a linked mesh into files and puts them where they belong.
// The renderers below it return values; this package places them.
package render

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
	"github.com/meshc/meshc/render/flux"
	"github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/ratelimit"
	"github.com/meshc/meshc/render/sink"
)

// MeshFile is the linked mesh in the output directory.
const MeshFile = "mesh.json"

// Files renders everything that a mesh compiles to.
func Files(m *ir.Mesh) ([]manifest.File, error) {
	encoding, err := ir.Encode(m)
	if err != nil {
		return nil, err
	}
	scopes := m.Scopes()
	members, err := renderMembers(scopes, func(int) bool { return true })
	if err != nil {
		return nil, err
	}
	files := slices.Concat(members...)
	whole, err := meshFiles(m, encoding)
	return append(files, whole...), err
}

// meshFiles renders what belongs to no single member.
func meshFiles(m *ir.Mesh, encoding *ir.Encoding) ([]manifest.File, error) {
	data := encoding.JSON()
	files := []manifest.File{{Path: MeshFile, Data: data}}
	manifests, err := kubernetes.Mesh(m, data)
	if err != nil {
		return nil, err
	}
	files = append(files, manifests...)
	requests, err := certificates.Mesh(m)
	if err != nil {
		return nil, err
	}
	files = append(files, requests...)
	limits, err := ratelimit.Mesh(m)
	if err != nil {
		return nil, err
	}
	files = append(files, limits...)
	sources, err := flux.Mesh(m)
	return append(files, sources...), err
}

// renderMembers renders those of the members that are wanted, on every
// processor. The result is in the order of the scopes; nil for the others.
func renderMembers(scopes []ir.Scope, wanted func(i int) bool) ([][]manifest.File, error) {
	out := make([][]manifest.File, len(scopes))
	n := runtime.GOMAXPROCS(0)
	errs := make([]error, n)
	var workers sync.WaitGroup
	for w := range n {
		workers.Go(func() {
			for i := w; i < len(scopes) && errs[w] == nil; i += n {
				if wanted(i) {
					out[i], errs[w] = member(scopes[i])
				}
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Write makes the directory hold what the mesh compiles to and nothing else, as
// a whole or not at all, and returns what changed. A directory that holds other
// files is a [sink.ForeignError]. With a cache directory, members whose Scope did
// not change since the last run are not rendered again.
func Write(dir string, m *ir.Mesh, cacheDir string) ([]sink.Difference, error) {
	kept := stateFile(cacheDir, dir)
	last := readState(kept)
	var tree *sink.Tree
	var encoding *ir.Encoding
	var both errgroup.Group
	both.Go(func() (err error) {
		tree, err = sink.Open(dir, last.Stamps)
		return err
	})
	both.Go(func() (err error) {
		encoding, err = ir.Encode(m)
		return err
	})
	if err := both.Wait(); err != nil {
		return nil, err
	}
	scopes := m.Scopes()
	hashes := scopeHashes(m, encoding)
	next := state{Members: make(map[string]rendered, len(scopes))}
	stale := make([]bool, len(scopes))
	for i, scope := range scopes {
		stale[i] = !last.holds(memberKey(scope), hashes[i], tree)
	}
	members, err := renderMembers(scopes, func(i int) bool { return stale[i] })
	if err != nil {
		return nil, err
	}
	var files []sink.File
	for i, scope := range scopes {
		key := memberKey(scope)
		r := rendered{Scope: hashes[i], Files: last.Members[key].Files}
		if stale[i] {
			r.Files = nil
			for _, f := range members[i] {
				r.Files = append(r.Files, f.Path)
				files = append(files, sink.File{Path: f.Path, Data: f.Data})
			}
		} else {
			for _, name := range r.Files {
				files = append(files, sink.File{Path: name})
			}
		}
		next.Members[key] = r
	}
	whole, err := meshFiles(m, encoding)
	if err != nil {
		return nil, err
	}
	for _, f := range whole {
		files = append(files, sink.File{Path: f.Path, Data: f.Data})
	}
	var spare *sink.Spare
	if kept != "" {
		spare = &sink.Spare{Dir: kept + ".tree", Stale: last.SpareStale}
	}
	differences, stamps, err := tree.Replace(files, spare)
	if err != nil {
		return nil, err
	}
	next.Stamps = stamps
	if spare != nil {
		next.SpareStale = spare.Stale
	}
	if len(differences) > 0 || len(last.Stamps) == 0 {
		writeState(kept, next)
	}
	return differences, nil
}

// holds reports whether the member's files stand in the tree as they were
// rendered from that Scope.
func (s *state) holds(key string, scope [32]byte, tree *sink.Tree) bool {
	r, ok := s.Members[key]
	if !ok || r.Scope != scope {
		return false
	}
	for _, name := range r.Files {
		stamp, known := s.Stamps[name]
		if !known || !tree.Has(name, stamp) {
			return false
		}
	}
	return true
}

func memberKey(scope ir.Scope) string {
	m := scope.Member()
	return string(m.Kind) + "/" + m.Name
}

// Check lists how the directory differs from what the mesh compiles to.
func Check(dir string, m *ir.Mesh) ([]sink.Difference, error) {
	tree, err := sink.Open(dir, nil)
	if err != nil {
		return nil, err
	}
	rendered, err := Files(m)
	if err != nil {
		return nil, err
	}
	files := make([]sink.File, 0, len(rendered))
	for _, f := range rendered {
		files = append(files, sink.File{Path: f.Path, Data: f.Data})
	}
	return tree.Compare(files)
}

// Stream writes all manifests as one YAML stream, in the order in which
// kubectl apply -f - can take them.
func Stream(w io.Writer, m *ir.Mesh) error {
	files, err := Files(m)
	if err != nil {
		return err
	}
	byPath := make(map[string][]byte, len(files))
	for _, f := range files {
		byPath[f.Path] = f.Data
	}
	for i, name := range kubernetes.Applied(m) {
		if i > 0 {
			if _, err := io.WriteString(w, "---\n"); err != nil {
				return err
			}
		}
		data, ok := byPath[name]
		if !ok {
			return fmt.Errorf("no file %s", name)
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}
