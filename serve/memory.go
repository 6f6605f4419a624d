package serve

import (
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

// memory gives what a peak took back to the system, once nothing happens any more: after a large mesh was loaded, or
// when proxies have left. Go's collector runs in proportion to what is allocated, so without it garbage of the peak
// stays until something else happens. While much is allocated, the collector and its scavenger do it by themselves.
type memory struct {
	at        time.Time
	allocated uint64 // bytes, since the start of the process
	floor     uint64 // bytes that were held after the last release
}

const (
	// lookAtMemory is how often it is looked whether there is something to give back: a collection takes CPU.
	lookAtMemory = 30 * time.Second
	// worthReleasing is the least that is given back, in bytes.
	worthReleasing = 32 << 20
)

// The metrics of package runtime/metrics that count here.
const (
	metricAllocated = "/gc/heap/allocs:bytes"
	metricObjects   = "/memory/classes/heap/objects:bytes"
	metricFree      = "/memory/classes/heap/free:bytes"
	metricUnused    = "/memory/classes/heap/unused:bytes"
)

// heap returns how many bytes have been allocated since the start, and how many the heap holds of the system's memory.
func heap() (allocated, held uint64) {
	samples := []runtimemetrics.Sample{
		{Name: metricAllocated}, {Name: metricObjects}, {Name: metricFree}, {Name: metricUnused},
	}
	runtimemetrics.Read(samples)
	for _, s := range samples[1:] {
		held += s.Value.Uint64()
	}
	return samples[0].Value.Uint64(), held
}

// look gives memory back if there was a peak, and little was allocated since the last look. It reports whether it did.
func (m *memory) look(now time.Time) bool {
	if now.Sub(m.at) < lookAtMemory {
		return false
	}
	allocated, held := heap()
	calm := allocated-m.allocated < held/10
	m.at, m.allocated = now, allocated
	if !calm || held < m.floor+max(worthReleasing, m.floor/4) {
		return false
	}
	debug.FreeOSMemory()
	_, m.floor = heap()
	return true
}
