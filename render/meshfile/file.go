// Package meshfile reads and writes a compiled mesh: mesh.json, which is [ir.Mesh] in JSON,
// or the same in compressed parts, as ConfigMaps carry it and Kubernetes mounts them.
package meshfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/meshc/meshc/compiler/ir"
)

// Name is the file of the compiled mesh in an output directory.
const Name = "mesh.json"

// maxSize bounds a mesh.json, in bytes.
const maxSize = 512 << 20

// File is a compiled mesh on disk: a mesh.json, a directory with one, or a
// directory with its parts, as Kubernetes mounts them.
type File string

// Load reads the file. It also returns the directories whose changes may change the
// mesh, which it knows even when the file cannot be read.
func (f File) Load(context.Context) (*ir.Mesh, []string, error) {
	name := string(f)
	info, err := os.Stat(name)
	if err != nil {
		return nil, []string{filepath.Dir(name)}, err
	}
	directories := []string{filepath.Dir(filepath.Clean(name))}
	var data []byte
	if info.IsDir() {
		directories = append(directories, name)
		data, err = readDir(name)
	} else if info.Size() > maxSize {
		err = fmt.Errorf("%s has more than %d MiB", name, maxSize>>20)
	} else {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, directories, err
	}
	m, err := ir.Unmarshal(data)
	if err != nil {
		return nil, directories, fmt.Errorf("%s: %w", name, err)
	}
	return m, directories, nil
}

func readDir(dir string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		files := os.DirFS(dir)
		return join(func(part string) ([]byte, error) { return fs.ReadFile(files, part) }, maxSize)
	}
	return data, err
}

// IsFile reports whether the name is one that [File] reads, as it is now. A name that does
// not exist is one if it ends in .json.
func IsFile(name string) bool {
	info, err := os.Stat(name)
	if err != nil {
		return filepath.Ext(name) == ".json"
	}
	if !info.IsDir() {
		return true
	}
	for _, inside := range []string{Name, partName(0)} {
		if _, err := os.Stat(filepath.Join(name, inside)); err == nil {
			return true
		}
	}
	return false
}
