package local

import (
	"context"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/watch"
	"github.com/meshc/meshc/serve"
)

// Follow updates the mesh whenever its source changes, until the context ends.
// The directories are those that the mesh was loaded from, and since is when that
// began. While the changed mesh is wrong, or cannot be run, the last good one runs
// on and the reason is in the [Status]. Tell is called after each try; files that
// change nothing of the mesh are not one. An error
// means that the source cannot be watched. A proxy that ends by itself is started
// anew.
func (m *Mesh) Follow(ctx context.Context, source serve.Source, directories []string, since time.Time,
	tell func(error),
) error {
	w, err := watch.New()
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		if directories != nil {
			if err := w.Set(directories, since); err != nil {
				return err
			}
		}
		if !m.wait(ctx, w) {
			return nil
		}
		var linked *ir.Mesh
		since = time.Now()
		linked, directories, err = source.Load(ctx)
		if err == nil && m.runs(linked) {
			continue // as where what is told is written into a file beside the spec
		}
		if err == nil {
			err = m.update(ctx, linked)
		}
		if ctx.Err() != nil {
			return nil
		}
		m.fail(err)
		tell(err)
	}
}

// wait waits for a change, and looks after the proxies meanwhile; false when the
// context has ended.
func (m *Mesh) wait(ctx context.Context, w *watch.Watcher) bool {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-w.Changes():
			return true
		case <-tick.C:
			if err := m.revive(); err != nil {
				m.log.Error("a proxy ended and cannot be started", "error", err)
			}
		}
	}
}

// updateTime bounds how long a change may take to arrive.
const updateTime = time.Minute

func (m *Mesh) update(ctx context.Context, linked *ir.Mesh) error {
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	return m.Update(ctx, linked)
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
