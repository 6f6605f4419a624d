package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/watch"
	"github.com/meshc/meshc/render/manifest"
)

// Source is where a mesh comes from.
type Source interface {
	// Load reads the mesh as it is now. It also returns the directories whose
	// changes may change it, which it knows even when the mesh is wrong.
	Load(ctx context.Context) (m *ir.Mesh, directories []string, err error)
}

// Follow loads the mesh, and again whenever its source changes, until the context
// ends. While a changed mesh is wrong the last good one is served. It returns an
// error only when the source cannot be watched.
func (s *Server) Follow(ctx context.Context, source Source) error {
	return follow(ctx, "the mesh", func() []string {
		m, directories, err := source.Load(ctx)
		if err == nil {
			s.setting.Lock()
			if ctx.Err() == nil { // else another source has taken over
				err = s.setMesh(m)
			}
			s.setting.Unlock()
		}
		if err != nil && ctx.Err() == nil {
			s.SetFailure(err.Error())
		}
		return directories
	})
}

// follow loads something, and again whenever one of the directories changes that it came
// from, until the context ends. It returns an error only when they cannot be watched.
func follow(ctx context.Context, what string, load func() (directories []string)) error {
	w, err := watch.New()
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		began := time.Now()
		if err := w.Set(load(), began); err != nil {
			return fmt.Errorf("watch %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.Changes():
		}
	}
}

const meshFile = "mesh.json"

// maxMeshFile bounds a mesh.json, in bytes.
const maxMeshFile = 512 << 20

// File is a compiled mesh on disk: a mesh.json, a directory with one, or a
// directory with its parts, as Kubernetes mounts them.
type File string

// Load reads the file.
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
		data, err = readMeshDir(name)
	} else if info.Size() > maxMeshFile {
		err = fmt.Errorf("%s has more than %d MiB", name, maxMeshFile>>20)
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

func readMeshDir(dir string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, meshFile))
	if errors.Is(err, fs.ErrNotExist) {
		return manifest.Unpack(os.DirFS(dir), meshFile, maxMeshFile)
	}
	return data, err
}

// Joined is the mesh whose parts read returns by their names, or [fs.ErrNotExist].
func Joined(read func(part string) ([]byte, error)) (*ir.Mesh, error) {
	data, err := manifest.Join(read, meshFile, maxMeshFile)
	if err != nil {
		return nil, err
	}
	return ir.Unmarshal(data)
}

// IsFile reports whether the name is one that [File] reads, as it is now.
func IsFile(name string) bool {
	info, err := os.Stat(name)
	if err != nil {
		return filepath.Ext(name) == ".json"
	}
	if !info.IsDir() {
		return true
	}
	for _, inside := range []string{meshFile, meshFile + ".gz.000"} {
		if _, err := os.Stat(filepath.Join(name, inside)); err == nil {
			return true
		}
	}
	return false
}
