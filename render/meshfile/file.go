// Package meshfile reads and writes a compiled mesh: mesh.json, which is [ir.Mesh] in JSON,
// or the same in compressed parts, as ConfigMaps carry it and Kubernetes mounts them.
package meshfile

import (
	"context"
	"errors"
	"fmt"
	"io"
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
func (f File) Load(ctx context.Context) (*ir.Mesh, []string, error) {
	return (&Followed{File: f}).Load(ctx)
}

// Followed is a file that is loaded again when it changes: members that have not changed are
// the same values as before ([ir.Reader]). It is for one goroutine.
type Followed struct {
	File
	reader ir.Reader
}

// Follow follows a compiled mesh on disk.
func Follow(name string) *Followed { return &Followed{File: File(name)} }

// Load is that of [File].
func (f *Followed) Load(context.Context) (*ir.Mesh, []string, error) {
	name := string(f.File)
	info, err := os.Stat(name)
	if err != nil {
		return nil, []string{filepath.Dir(name)}, err
	}
	directories := []string{filepath.Dir(filepath.Clean(name))}
	if info.IsDir() {
		directories = append(directories, name)
	}
	var failed error
	m, err := f.reader.Read(func() (in io.ReadCloser, err error) {
		in, failed = f.open(info.IsDir())
		return in, failed
	})
	if err != nil && failed == nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return m, directories, err
}

// open opens the mesh.json, or its parts in a directory.
func (f File) open(isDir bool) (io.ReadCloser, error) {
	name := string(f)
	if isDir {
		name = filepath.Join(name, Name)
	}
	file, err := os.Open(name)
	if isDir && errors.Is(err, fs.ErrNotExist) {
		files := os.DirFS(string(f))
		return join(func(part string) ([]byte, error) { return fs.ReadFile(files, part) }, maxSize)
	}
	if err != nil {
		return nil, err
	}
	return bounded{&io.LimitedReader{R: file, N: maxSize + 1}, file, maxSize}, nil
}

// bounded is a mesh.json that has no more bytes than it may have.
type bounded struct {
	in *io.LimitedReader // of one byte more
	io.Closer
	limit int64
}

func (b bounded) Read(data []byte) (int, error) {
	n, err := b.in.Read(data)
	if b.in.N <= 0 {
		return 0, fmt.Errorf("%s has more than %d bytes", Name, b.limit)
	}
	return n, err
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
