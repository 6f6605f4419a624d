package serve_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/meshc/meshc/serve"
)

// TestMemoryAfterAPeak wants what a peak took to be given back to the system as soon as little is allocated, and once.
// It looks at what the runtime has released, and not at when the system takes it.
func TestMemoryAfterAPeak(t *testing.T) {
	const peak, piece = 512 << 20, 1 << 20
	var look serve.Memory
	now := time.Now()
	look.Look(now)
	held := make([][]byte, 0, peak/piece)
	for range peak / piece {
		held = append(held, make([]byte, piece))
	}
	now = now.Add(time.Hour)
	if look.Look(now) {
		t.Error("memory is given back while much is allocated")
	}
	runtime.KeepAlive(held)
	held = nil
	now = now.Add(time.Second)
	if look.Look(now) {
		t.Error("it looks each second")
	}
	now = now.Add(time.Hour)
	if !look.Look(now) {
		t.Error("nothing is given back after a peak")
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if kept := m.HeapSys - m.HeapReleased; kept > peak/2 {
		t.Errorf("after a peak of %d MiB %d MiB are kept", peak>>20, kept>>20)
	}
	if look.Look(now.Add(time.Hour)) {
		t.Error("it is given back twice")
	}
}
