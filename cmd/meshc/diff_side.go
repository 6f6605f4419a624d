package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	textdiff "github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/revision"
	"github.com/meshc/meshc/render"
	"github.com/meshc/meshc/serve"
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
	if len(args) == 1 {
		dir = args[0]
	}
	if f.server != "" {
		if after, err = f.side(cmd, dir); err == nil {
			before, err = servedBy(cmd, f.server)
		}
		return before, after, err
	}
	if serve.IsFile(dir) {
		return nil, nil, usage(fmt.Errorf("%s is a compiled mesh, and of a revision the spec is read", dir))
	}
	known := make(chan *known, 1)
	go func() { known <- f.known(cmd.Context(), dir) }()
	after, err = f.side(cmd, dir)
	kept := <-known
	if err != nil {
		return nil, nil, err
	}
	if kept != nil {
		var r reviewed
		m, err := ir.UnmarshalBeside(kept.data, after.mesh)
		if err == nil && json.Unmarshal(kept.owners, &r) == nil {
			m.Owners, m.Grants = r.Owners, r.Grants
			return &side{revision: kept.revision, root: after.root, mesh: m}, after, nil
		}
	}
	before, err = f.at(cmd.Context(), after.root, f.from)
	return before, after, err
}

// side is a compiled mesh, or the spec in a directory.
func (f *diffFlags) side(cmd *cobra.Command, name string) (*side, error) {
	if serve.IsFile(name) {
		m, _, err := serve.File(name).Load(cmd.Context())
		return &side{mesh: m}, err
	}
	format, err := diag.ParseFormat(f.format)
	if err != nil {
		return nil, usage(err)
	}
	apart, err := f.apart()
	if err != nil {
		return nil, err
	}
	result, err := compiler.Compile(cmd.Context(), compiler.Options{Dir: name, Tags: f.tags, CacheDir: cacheDir(), Apart: apart, Now: always})
	if err != nil {
		return nil, err
	}
	if result.Failing != nil { // a test that fails does not keep anybody from what the change does
		result.Mesh = result.Failing
	}
	if result.Mesh == nil {
		if err := f.specFlags.print(cmd, result, format, true); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("the mesh in %s has errors, so nobody can say what it does", name)
	}
	return &side{mesh: result.Mesh, root: result.Root, files: result.Files, names: result.Names}, nil
}

// known is the mesh of a revision that was compiled before, as JSON.
type known struct {
	revision     *revision.Revision
	data, owners []byte
}

// reviewed is what a mesh says that is for reviews alone.
type reviewed struct {
	Owners []ir.Owner
	Grants map[string][]string
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
	owners, ownersErr := os.ReadFile(kept + ".owners")
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
	apart, err := f.apart()
	if err != nil {
		return nil, err
	}
	result, err := compiler.Compile(ctx, compiler.Options{Dir: dir, Tags: f.tags, CacheDir: cacheDir(), CacheName: root, Apart: apart, Now: always})
	if err != nil {
		return nil, err
	}
	if result.Failing != nil {
		result.Mesh = result.Failing
	}
	switch {
	case result.Root == "":
		return nil, fmt.Errorf("revision %s has no mesh repository there: no cue.mod/module.cue", name)
	case result.Mesh == nil:
		return nil, fmt.Errorf("the mesh of %s has errors: %s", name, summary(result.Diagnostics))
	}
	s.mesh = result.Mesh
	if data, err := ir.Marshal(s.mesh); err == nil && kept != "" && apart == nil {
		if reviewed, err := json.Marshal(reviewed{s.mesh.Owners, s.mesh.Grants}); err == nil {
			keep(kept+".owners", reviewed)
			keep(kept, data)
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
	name := sha256.Sum256([]byte(strings.Join(append([]string{version(), build(), r.Tree}, f.tags...), "\x00")))
	return filepath.Join(dir, "revisions", hex.EncodeToString(name[:16])+".json")
}

// keep writes a file as a whole. Failing to is no fault: it costs time.
func keep(name string, data []byte) {
	if os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if f.Close() != nil || err != nil || os.Rename(f.Name(), name) != nil {
		_ = os.Remove(f.Name())
	}
}

// build tells one meshc from another.
func build() string {
	executable, err := os.Executable()
	if err != nil {
		return ""
	}
	info, err := os.Stat(executable)
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
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
		return before.revision.Changed(ctx)
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

// printManifests prints in what the files differ that two meshes compile to. What a server would send the Envoys is shown
// as it is written for delivery by files.
func printManifests(w io.Writer, before, after *ir.Mesh) error {
	content := [2]map[string][]byte{{}, {}}
	names := map[string]bool{}
	for i, m := range []*ir.Mesh{before, after} {
		static := *m
		static.Delivery = ir.DeliveryStatic
		for _, of := range []*ir.Mesh{m, &static} {
			files, err := render.Files(of)
			if err != nil {
				return err
			}
			for _, f := range files {
				if of == m || strings.HasPrefix(f.Path, "envoy/") {
					content[i][f.Path], names[f.Path] = f.Data, true
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if strings.HasSuffix(name, "mesh.json") || bytes.Contains(content[1][name], []byte("mesh.json.gz")) || bytes.Contains(content[0][name], []byte("mesh.json.gz")) {
			continue // the mesh itself, of which all else is made
		}
		if text := textdiff.Diff("old/"+name, content[0][name], "new/"+name, content[1][name]); len(text) > 0 {
			if _, err := w.Write(append([]byte("\n"), text...)); err != nil {
				return err
			}
		}
	}
	return nil
}
