// Package render turns a linked mesh into files and puts them where they belong.
// The renderers below it return values; this package places them.
package render

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render/certificates"
	"github.com/meshc/meshc/render/flux"
	"github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/meshfile"
	"github.com/meshc/meshc/render/observability"
	"github.com/meshc/meshc/render/ratelimit"
	"github.com/meshc/meshc/render/sink"
)

// Files renders everything that a mesh compiles to.
func Files(m *ir.Mesh) ([]manifest.File, error) { return filesOf(m, nil) }

// filesOf renders a mesh, or of a part the files of its members.
func filesOf(m *ir.Mesh, part *source.Part) ([]manifest.File, error) {
	scopes := m.Scopes()
	members, err := renderMembers(scopes, func(i int) bool { return part.Has(scopes[i].Pos()) })
	if err != nil {
		return nil, err
	}
	files := slices.Concat(members...)
	if part != nil {
		return files, nil
	}
	encoding, err := ir.Encode(m)
	if err != nil {
		return nil, err
	}
	whole, err := meshFiles(m, encoding)
	return append(files, whole...), err
}

// meshFiles renders what belongs to no single member.
func meshFiles(m *ir.Mesh, encoding *ir.Encoding) ([]manifest.File, error) {
	data := encoding.JSON()
	files := []manifest.File{{Path: meshfile.Name, Data: data}}
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
	observed, err := observability.Mesh(m)
	if err != nil {
		return nil, err
	}
	files = append(files, observed...)
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
//
// Of a part, the files of its members are written, and all others stay as they are.
func Write(dir string, m *ir.Mesh, part *source.Part, cacheDir string) ([]sink.Difference, error) {
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
	files, next, err := renderStale(m, part, &last, tree)
	if err != nil {
		return nil, err
	}
	if part == nil {
		whole, err := meshFiles(m, encoding)
		if err != nil {
			return nil, err
		}
		files = append(files, toWrite(whole)...)
	} else {
		files = besides(tree, files)
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

// renderStale renders the members of the part whose files are not in the tree as they are wanted, and keeps those that
// are.
func renderStale(m *ir.Mesh, part *source.Part, last *state, tree *sink.Tree) ([]sink.File, state, error) {
	scopes := m.Scopes()
	hashes := scopeHashes(scopes)
	next := state{Members: make(map[string]rendered, len(scopes))}
	if part != nil { // what is known of the others stays true
		maps.Copy(next.Members, last.Members)
	}
	stale := make([]bool, len(scopes))
	for i, scope := range scopes {
		stale[i] = part.Has(scope.Pos()) && !last.holds(memberKey(scope), hashes[i], tree)
	}
	members, err := renderMembers(scopes, func(i int) bool { return stale[i] })
	if err != nil {
		return nil, next, err
	}
	var files []sink.File
	for i, scope := range scopes {
		if !part.Has(scope.Pos()) {
			continue
		}
		key := memberKey(scope)
		r := rendered{Scope: hashes[i], Files: last.Members[key].Files}
		if stale[i] {
			r.Files = nil
			for _, f := range members[i] {
				r.Files = append(r.Files, f.Path)
			}
			files = append(files, toWrite(members[i])...)
		} else {
			for _, name := range r.Files {
				files = append(files, sink.File{Path: name})
			}
		}
		next.Members[key] = r
	}
	return files, next, nil
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
	return m.Ref().ID()
}

// Check lists how the directory differs from what the mesh compiles to; of a part, from what its members do.
func Check(dir string, m *ir.Mesh, part *source.Part) ([]sink.Difference, error) {
	tree, err := sink.Open(dir, nil)
	if err != nil {
		return nil, err
	}
	rendered, err := filesOf(m, part)
	if err != nil {
		return nil, err
	}
	files := toWrite(rendered)
	if part != nil {
		files = besides(tree, files)
	}
	return tree.Compare(files)
}

// Stream writes all manifests as one YAML stream, in the order in which
// kubectl apply -f - can take them; of a part, those of its members.
func Stream(w io.Writer, m *ir.Mesh, part *source.Part) error {
	files, err := filesOf(m, part)
	if err != nil {
		return err
	}
	byPath := make(map[string][]byte, len(files))
	for _, f := range files {
		byPath[f.Path] = f.Data
	}
	separator := ""
	for _, name := range kubernetes.Applied(m) {
		data, ok := byPath[name]
		if !ok && part != nil {
			continue
		}
		if !ok {
			return fmt.Errorf("no file %s", name)
		}
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		separator = "---\n"
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}
