package serve

import (
	"math"
	"time"
)

// What a proxy costs a server besides its handshake and its configuration, as "make bench-serve" measures it with
// 2,000 proxies of 20 services (docs/benchmarks.md). CPU is in handshakes, as both depend on the machine alike.
const (
	// connectHandshakes are the CPU of a connection until the proxy has everything, its handshake included.
	connectHandshakes = 2.6
	// pushHandshakes are the CPU of a push of endpoints to one proxy, and of its acknowledgement.
	pushHandshakes = 0.25
	// ProxyBytes is the memory of a connected proxy.
	ProxyBytes = 70 << 10
)

// What of a machine is planned with.
const (
	// memoryParts is the part of the memory that is planned with, as Go's heap is at most twice what is in use.
	memoryParts = 0.4
	// steadyParts is the part of the CPU for changes while everything is well.
	steadyParts = 0.5
	// reconnectTime is within how long all proxies are to be connected again, as after a server has come back.
	reconnectTime = 60 * time.Second
)

// Costs are what it takes to serve a mesh on a machine. They are measured by [MeasureCosts].
type Costs struct {
	Members int
	// Callers are the members that call a service, on average of those that are called.
	Callers float64
	// CPUs are those that Go uses, and Memory are the bytes that the process may have; 0 where that is not known.
	CPUs   int
	Memory uint64
	// MeshBytes are the bytes that the mesh takes, and MemberBytes those of one member's configuration.
	MeshBytes, MemberBytes uint64
	// Handshake is the CPU time of the server for a handshake with mutual TLS, and Render that for a configuration.
	Handshake, Render time.Duration
}

// Capacity is what a server can carry.
type Capacity struct {
	// Proxies is how many can be connected; it is the smaller one of ByMemory and ByCPU, how many can connect again
	// within a minute. ByMemory is negative where the memory of the machine is not known.
	Proxies, ByMemory, ByCPU int
	// Connect is the CPU time for one of them, if its configuration is rendered already, and Push that for a change of
	// endpoints.
	Connect, Push time.Duration
	// Events are changes of a service's instances per second, each pushed to one proxy of each of its callers, and
	// Edits changes of a service in the mesh per second.
	Events, Edits float64
}

// Capacity estimates what the machine can carry.
func (c *Costs) Capacity() Capacity {
	of := func(handshakes float64) time.Duration { return time.Duration(handshakes * float64(c.Handshake)) }
	out := Capacity{Connect: of(connectHandshakes), Push: of(pushHandshakes), ByMemory: -1}
	members := float64(c.Members)
	cpu := float64(c.CPUs) * float64(reconnectTime)
	out.ByCPU = count((cpu - members*float64(c.Render)) / float64(out.Connect))
	out.Proxies = out.ByCPU
	if c.Memory > 0 {
		taken := float64(c.MeshBytes) + members*float64(c.MemberBytes)
		out.ByMemory = count((memoryParts*float64(c.Memory) - taken) / ProxyBytes)
		out.Proxies = min(out.Proxies, out.ByMemory)
	}
	steady := float64(c.CPUs) * steadyParts * float64(time.Second)
	out.Events = steady / (max(1, c.Callers) * float64(out.Push))
	out.Edits = steady / ((1 + c.Callers) * float64(c.Render+out.Push))
	return out
}

// count is a number of proxies in two digits, as an estimate has no more.
func count(n float64) int {
	if n < 1 {
		return 0
	}
	digit := math.Pow(10, max(0, math.Floor(math.Log10(n))-1))
	return int(math.Floor(n/digit) * digit)
}
