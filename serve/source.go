package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/watch"
)

// Source loads a mesh.
type Source interface {
	// Load reads the present mesh. It also returns the directories to watch for changes, even if the mesh has errors.
	// The less of the mesh is another value than before, the less the server does; see [ir.Reader].
	Load(ctx context.Context) (m *ir.Mesh, directories []string, err error)
}

// Follow loads the mesh, and loads it again whenever its source changes, until the context ends. While the changed
// mesh has errors, the last valid one is served. It returns an error only if the source cannot be watched.
func (s *Server) Follow(ctx context.Context, source Source) error {
	return follow(ctx, "the mesh", func() []string {
		m, directories, err := source.Load(ctx)
		s.Heard(sourceMesh, 0)
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

// follow calls load, and calls it again whenever one of the directories that it returned changes, until the context
// ends. It returns an error only if the directories cannot be watched.
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
