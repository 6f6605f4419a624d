package state

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/atomicfile"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/program"
	"github.com/meshc/meshc/review/revision"
)

// Since are the mesh of a revision of Git and that of the work tree in a directory: of the commit in which the work
// tree's commit has parted from the revision, or with tip of the revision itself. That a file of either is not what
// Git commits is an error: then the same commit would be another mesh elsewhere.
func (c *Compiler) Since(ctx context.Context, dir, name string, tip bool) (before, after *State, err error) {
	found := make(chan past, 1)
	go func() { found <- c.past(ctx, dir, name, tip) }()
	after, err = c.WorkTree(ctx, dir)
	p := <-found
	var wrongToo *WrongError
	if errors.As(err, &wrongToo) && p.err == nil {
		// What Git has made of a file may be why there are errors.
		s := &State{}
		s.take(wrongToo.Result)
		converted, err := p.repository.Check(ctx, s.all())
		if err != nil {
			return nil, nil, err
		}
		wrongToo.Result.Diagnostics.Add(converted...)
		wrongToo.Result.Diagnostics.Sort()
	}
	if err = cmp.Or(err, p.err); err != nil {
		return nil, nil, err
	}
	wrong, err := p.repository.Check(ctx, after.read())
	if err != nil {
		return nil, nil, err
	}
	if wrong.HasErrors() {
		return nil, nil, &WrongError{
			&compiler.Result{Diagnostics: wrong, Root: after.Root, Files: after.files},
			fmt.Sprintf("the mesh in %s is not the one that Git commits, so nobody can say what the change does", dir),
		}
	}
	if p.data != nil {
		var r ir.Review
		m, err := ir.UnmarshalBeside(p.data, after.Mesh)
		if err == nil && json.Unmarshal(p.review, &r) == nil {
			m.Review = r
			return &State{revision: p.revision, Root: after.Root, Mesh: m}, after, nil
		}
	}
	before, err = c.stateAt(ctx, after.Root, p.revision)
	return before, after, err
}

// past is the revision that a work tree is compared with, resolved once for all that is asked of it.
type past struct {
	repository *revision.Repository
	revision   *revision.Revision
	// data is its mesh, as JSON, and review what it says for reviews, if it was compiled before; else nil.
	data, review []byte
	err          error
}

// past finds the revision of the mesh repository that a directory is in.
func (c *Compiler) past(ctx context.Context, dir, name string, tip bool) (p past) {
	root, found := load.Root(dir)
	if !found {
		p.err = fmt.Errorf("%s is not in a mesh repository", dir)
		return p
	}
	if p.repository, p.err = revision.Find(root); p.err != nil {
		return p
	}
	if c.Untrusted {
		if p.err = p.repository.Own(ctx); p.err != nil {
			return p
		}
	}
	if p.revision, p.err = p.repository.Open(ctx, name, tip); p.err != nil {
		return p
	}
	kept := c.kept(p.revision)
	data, err := os.ReadFile(kept)
	review, reviewErr := os.ReadFile(kept + ".review")
	if kept != "" && err == nil && reviewErr == nil {
		p.data, p.review = data, review
	}
	return p
}

// stateAt is the spec as it was at a revision. What it compiles to is kept by the content of its files and the
// attributes that Git gives them.
func (c *Compiler) stateAt(ctx context.Context, root string, r *revision.Revision) (*State, error) {
	s := &State{revision: r, Root: root}
	dir, err := os.MkdirTemp("", "meshc-revision-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := r.Write(ctx, dir); err != nil {
		return nil, err
	}
	result, err := c.Compile(ctx, compiler.Options{Dir: dir, CacheName: root, Now: always})
	if err != nil {
		return nil, err
	}
	if result.Root == "" {
		return nil, fmt.Errorf("revision %s has no mesh repository there: no cue.mod/module.cue", r.Name)
	}
	s.take(result)
	found, err := r.Check(ctx, s.read())
	if err != nil {
		return nil, err
	}
	if s.Mesh == nil || found.HasErrors() {
		found.Add(result.Diagnostics...)
		return nil, fmt.Errorf("the mesh of %s has errors: %s", r.Name, found.FirstError())
	}
	c.keep(r, s.Mesh)
	return s, nil
}

// keep keeps the mesh of a revision, where it can be.
func (c *Compiler) keep(r *revision.Revision, m *ir.Mesh) {
	kept := c.kept(r)
	data, err := ir.Marshal(m)
	if err != nil || kept == "" {
		return
	}
	if review, err := json.Marshal(m.Review); err == nil {
		atomicfile.Keep(kept+".review", review)
		atomicfile.Keep(kept, data)
	}
}

// kept is the file that has the mesh of a revision; "" for none.
func (c *Compiler) kept(r *revision.Revision) string {
	if c.Cache == "" {
		return ""
	}
	name := sha256.Sum256([]byte(strings.Join(append([]string{program.Build(), r.Tree, r.Above}, c.Inputs...), "\x00")))
	return filepath.Join(c.Cache, "revisions", hex.EncodeToString(name[:16])+".json")
}
