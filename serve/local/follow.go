package local

import (
	"context"

	"github.com/meshc/meshc/compiler/watch"
	"github.com/meshc/meshc/serve"
)

// Follow updates the mesh whenever its source changes, until the context ends.
// While the changed mesh is wrong, or cannot be run, the last good one runs on
// and the reason is in the [Status]. Tell, if not nil, is called after each try.
// Directories are those to watch for the first change. It returns an error only
// when the source cannot be watched.
func (m *Mesh) Follow(ctx context.Context, source serve.Source, directories []string, tell func(error)) error {
	w, err := watch.New(directories)
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Changes():
		}
		linked, directories, err := source.Load(ctx)
		if err == nil {
			err = m.Update(ctx, linked)
		}
		if ctx.Err() != nil {
			return nil
		}
		m.fail(err)
		if directories != nil {
			if err := w.Set(directories); err != nil {
				return err
			}
		}
		if tell != nil {
			tell(err)
		}
	}
}

// fail records why the last change was not taken, or nil that it was.
func (m *Mesh) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = ""
	if err == nil {
		return
	}
	m.failure = err.Error()
	if m.control != nil {
		m.control.server.SetFailure(m.failure)
	}
}
