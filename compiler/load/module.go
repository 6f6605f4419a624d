// Package load reads a mesh repository and evaluates its units.
//
// It reads all files once into memory, and only files below the root of the module; CUE sees only what was read. A
// unit is a directory with files of the mesh's package; as usual in CUE, it also contains the files of that package
// in the directories above. Units are evaluated independently and in parallel, and the results are cached by the hash
// of all inputs.
package load

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"cuelang.org/go/mod/modfile"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

const moduleFile = "cue.mod/module.cue"

// Module is a CUE module whose files are in memory. Call [Module.Close] when it is no longer needed.
type Module struct {
	// Dir is the absolute path of the module's root.
	Dir string
	// Path is the module path, without its major version.
	Path string
	// start is the directory that patterns are relative to, below Dir.
	start string
	files map[string]*file // by path below Dir
	dirs  map[string][]fs.DirEntry
	// packages are the files of a directory and package, once they were asked
	// for.
	packages map[[2]string][]string
	root     *os.Root
	// tell is called when the evaluation of a unit begins and ends; it may be nil.
	tell func(word, dir string)
	// broken is true if the module file is not valid, or if the module is too large; then nothing can be evaluated.
	broken bool
}

// Close closes the module's directory.
func (m *Module) Close() error { return m.root.Close() }

// Root returns the absolute path of the root of the module that contains dir; false if there is none.
func Root(dir string) (string, bool) {
	top, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	for {
		if info, err := os.Stat(filepath.Join(top, moduleFile)); err == nil && info.Mode().IsRegular() {
			return top, true
		}
		parent := filepath.Dir(top)
		if parent == top {
			return "", false
		}
		top = parent
	}
}

// Open opens the module that contains dir. If there is none, or if it is not valid, the module is nil and the
// findings say why.
func Open(dir string) (*Module, diag.List, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, err
	}
	if info, err := os.Stat(start); err != nil || !info.IsDir() {
		return nil, diag.List{diag.New(diag.NotAModule, "", fmt.Sprintf("%s is not a directory", dir)).
			WithHint("give the directory of a mesh repository, or make one with: meshc init DIR")}, nil
	}
	top, found := Root(start)
	if !found {
		return nil, diag.List{diag.New(diag.NotAModule, "",
			fmt.Sprintf("%s is not in a CUE module: no cue.mod/module.cue here or above", dir)).
			WithHint("name the directory of a mesh with -C DIR, or make one with: meshc init DIR")}, nil
	}
	root, err := os.OpenRoot(top)
	if err != nil {
		return nil, diag.List{unreadable("cue.mod", err)}, nil
	}
	below, err := filepath.Rel(top, start)
	if err != nil {
		return nil, nil, errors.Join(err, root.Close())
	}
	return &Module{
		Dir: top, start: filepath.ToSlash(below), root: root,
		files: map[string]*file{}, dirs: map[string][]fs.DirEntry{}, packages: map[[2]string][]string{},
	}, nil, nil
}

// readModuleFile takes the module's path from cue.mod/module.cue.
func (m *Module) readModuleFile() diag.List {
	f := m.files[moduleFile]
	if f == nil {
		return nil // what is wrong with it is already said
	}
	parsed, err := modfile.ParseNonStrict(f.data, moduleFile)
	if err != nil {
		return m.badModuleFile(err)
	}
	if parsed.Module == "" {
		m.broken = true
		return diag.List{diag.New(diag.NotAModule, "", "cue.mod/module.cue names no module",
			source.Position{File: moduleFile, Line: 1, Column: 1}).
			WithHint(`write module: "shop.example/mesh@v0"`)}
	}
	m.Path, _, _ = strings.Cut(parsed.Module, "@")
	return nil
}

// badModuleFile says what is wrong with cue.mod/module.cue.
func (m *Module) badModuleFile(err error) diag.List {
	m.broken = true
	pos := source.Position{File: moduleFile, Line: 1, Column: 1}
	message := "cue.mod/module.cue is not a valid module file"
	if found := fromCUE(err, diag.NotAModule, ""); len(found) > 0 {
		if found[0].Message != "" {
			message += ": " + found[0].Message
		}
		if len(found[0].Positions) > 0 {
			pos = found[0].Positions[0]
		}
	}
	return diag.List{diag.New(diag.NotAModule, "", message, pos).
		WithHint(`write module: "shop.example/mesh@v0"`)}
}

// Directories returns the directories with the module's files, absolute and sorted. Watch them for changes.
func (m *Module) Directories() []string {
	dirs := []string{}
	for _, dir := range sortedKeys(m.dirs) {
		dirs = append(dirs, filepath.Join(m.Dir, filepath.FromSlash(dir)))
	}
	return dirs
}

// FS returns the module's files as they were read.
func (m *Module) FS() fs.FS { return moduleFS{m} }

// Names returns the paths of the files that were read, below the root, sorted.
func (m *Module) Names() []string { return sortedKeys(m.files) }

// Target returns the path of the file that a symbolic link leads to; for any other file it returns its own name.
func (m *Module) Target(name string) string {
	if f := m.files[name]; f != nil && f.target != "" {
		return f.target
	}
	return name
}

// unreadable says that a file or directory cannot be read, and why.
func unreadable(name string, err error) diag.Diagnostic {
	return diag.New(diag.Unreadable, "", fmt.Sprintf("%s cannot be read: %s", name, cause(err)),
		source.Position{File: path.Clean(name)})
}

// cause is the innermost reason of a file error, without the path.
func cause(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return err.Error()
}
