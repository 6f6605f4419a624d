package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/review/revision"
)

// past is the revision that a work tree is compared with, resolved once for all that is asked of it.
type past struct {
	repository *revision.Repository
	revision   *revision.Revision
	// data is its mesh, as JSON, and owners are what it says for reviews, if it was compiled before; else nil.
	data, owners []byte
	err          error
}

// past finds the revision of the mesh repository that a directory is in.
func (f *diffFlags) past(ctx context.Context, dir string) (p past) {
	root, found := load.Root(dir)
	if !found {
		p.err = fmt.Errorf("%s is in no mesh repository", dir)
		return p
	}
	if p.repository, p.err = revision.Find(root); p.err != nil {
		return p
	}
	if f.untrusted {
		if p.err = p.repository.Own(ctx); p.err != nil {
			return p
		}
	}
	if p.revision, p.err = p.repository.Open(ctx, f.from, f.fromTip); p.err != nil {
		return p
	}
	kept := f.kept(p.revision)
	data, err := os.ReadFile(kept)
	owners, ownersErr := os.ReadFile(kept + ".review")
	if kept != "" && err == nil && ownersErr == nil {
		p.data, p.owners = data, owners
	}
	return p
}

// at is the spec as it was at a revision. What it compiles to is kept by the content of its files.
func (f *diffFlags) at(ctx context.Context, root string, r *revision.Revision) (*side, error) {
	s := &side{revision: r, root: root}
	kept := f.kept(r)
	dir, err := os.MkdirTemp("", "meshc-revision-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := r.Write(ctx, dir); err != nil {
		return nil, err
	}
	result, err := f.compiled(ctx, compiler.Options{Dir: dir, CacheName: root, Now: always})
	if err != nil {
		return nil, err
	}
	if result.Root == "" {
		return nil, fmt.Errorf("revision %s has no mesh repository there: no cue.mod/module.cue", r.Name)
	}
	s.of(result)
	found, err := r.Check(ctx, s.read())
	if err != nil {
		return nil, err
	}
	if s.mesh == nil || found.HasErrors() {
		found.Add(result.Diagnostics...)
		return nil, fmt.Errorf("the mesh of %s has errors: %s", r.Name, summary(found))
	}
	if data, err := ir.Marshal(s.mesh); err == nil && kept != "" {
		if review, err := json.Marshal(s.mesh.Review); err == nil {
			load.Keep(kept+".review", review)
			load.Keep(kept, data)
		}
	}
	return s, nil
}

// kept is the file that has the mesh of a revision; "" for none.
func (f *diffFlags) kept(r *revision.Revision) string {
	dir := cacheDir()
	if dir == "" || f.untrusted {
		return ""
	}
	name := sha256.Sum256([]byte(strings.Join(append([]string{version(), load.Build(), r.Tree}, f.tags...), "\x00")))
	return filepath.Join(dir, "revisions", hex.EncodeToString(name[:16])+".json")
}
