package kubernetes

import "sync"

// touched are the names of what has changed since it was last told. Its zero value is empty.
type touched struct {
	mu    sync.Mutex
	names map[string]bool
}

// note notes that something has changed.
func (t *touched) note(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names = map[string]bool{}
	}
	t.names[name] = true
}

// take returns what has changed, and forgets it. It is called before the present state is read, so that nothing is
// missed.
func (t *touched) take() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := t.names
	t.names = nil
	return names
}
