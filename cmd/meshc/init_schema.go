package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/schema"
)

// schemaDir is where a repository keeps the schema: CUE finds a package there by
// its import path, without a registry.
const schemaDir = "cue.mod/pkg/github.com/meshc/meshc/schema"

// moduleFiles are what makes a directory a module of CUE that knows the schema, by path.
func moduleFiles(module string) (map[string][]byte, error) {
	files, err := schemaFiles()
	if err == nil {
		files["cue.mod/module.cue"] = fmt.Appendf(nil, "module: %q\nlanguage: version: \"v0.17.0\"\n", module+"@v0")
	}
	return files, err
}

// schemaFiles are the copy of the schema in a module, by path.
func schemaFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	names, err := fs.Glob(schema.FS, "*.cue")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := fs.ReadFile(schema.FS, name)
		if err != nil {
			return nil, err
		}
		files[path.Join(schemaDir, name)] = data
	}
	return files, nil
}

// upgradeSchema makes the copy of the schema in the module that a directory stands in that of this meshc. The copy's
// directory is the schema's own: files that the schema no longer has are deleted there. What a link leads to outside
// the module is not touched.
func upgradeSchema(cmd *cobra.Command, dir string) error {
	top, found := load.Root(dir)
	if !found {
		return usage(fmt.Errorf("%s is not in a CUE module: no cue.mod/module.cue here or above\n  hint: make one with: meshc init DIR",
			cmp.Or(dir, ".")))
	}
	files, err := schemaFiles()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(top)
	if err != nil {
		return err
	}
	defer root.Close()
	written, removed := 0, 0
	for name, data := range files {
		if old, err := root.ReadFile(name); err == nil && bytes.Equal(old, data) {
			continue
		}
		if err := replaceIn(root, name, data); err != nil {
			return err
		}
		written++
	}
	old, err := fs.Glob(root.FS(), schemaDir+"/*.cue")
	if err != nil {
		return err
	}
	for _, name := range old {
		if _, known := files[name]; !known {
			if err := root.Remove(name); err != nil {
				return err
			}
			removed++
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s written, %d removed\n", filepath.Join(top, filepath.FromSlash(schemaDir)),
		diag.Count(written, "file"), removed)
	return err
}

// replaceIn writes a file below a root as a whole.
func replaceIn(root *os.Root, name string, data []byte) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	next := name + ".new"
	if err := root.WriteFile(next, data, 0o644); err != nil { // #nosec G306 -- a spec is no secret
		return errors.Join(err, root.Remove(next))
	}
	return root.Rename(next, name)
}
