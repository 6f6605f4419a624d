package main

import (
	"cmp"
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
	"github.com/meshc/meshc/compiler/revision"
)

// known is the mesh of a revision that was compiled before, as JSON.
type known struct {
	revision     *revision.Revision
	data, owners []byte
}

// known is nil when the mesh of the revision was not compiled before.
func (f *diffFlags) known(ctx context.Context, dir string) *known {
	root, found := load.Root(dir)
	if !found {
		return nil
	}
	r, err := revision.Open(ctx, root, f.from)
	if err != nil {
		return nil
	}
	kept := f.kept(r)
	data, err := os.ReadFile(kept)
	owners, ownersErr := os.ReadFile(kept + ".review")
	if kept == "" || err != nil || ownersErr != nil {
		return nil
	}
	return &known{r, data, owners}
}

// at is the spec as it was at a revision. What it compiles to is kept by the content of its files.
func (f *diffFlags) at(ctx context.Context, root, name string) (*side, error) {
	r, err := revision.Open(ctx, root, name)
	if err != nil {
		return nil, err
	}
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
	s.mesh = cmp.Or(result.Mesh, result.Failing)
	switch {
	case result.Root == "":
		return nil, fmt.Errorf("revision %s has no mesh repository there: no cue.mod/module.cue", name)
	case s.mesh == nil:
		return nil, fmt.Errorf("the mesh of %s has errors: %s", name, summary(result.Diagnostics))
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
