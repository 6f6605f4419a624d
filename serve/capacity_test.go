package serve_test

import (
	"testing"
	"time"

	"github.com/meshc/meshc/serve"
)

// TestCapacity estimates from costs: what there is more of carries more, and the scarcer one decides.
func TestCapacity(t *testing.T) {
	costs := serve.Costs{
		Members: 1000, Callers: 3, CPUs: 2, Memory: 4 << 30, MeshBytes: 100 << 20, MemberBytes: 50 << 10,
		Handshake: time.Millisecond, Render: 2 * time.Millisecond,
	}
	c := costs.Capacity()
	// 0.4 of 4 GiB without the mesh and 1,000 configurations, at 70 KiB; and 118 seconds of CPU at 2.6 ms.
	if c.ByMemory != 21000 || c.ByCPU != 45000 || c.Proxies != c.ByMemory {
		t.Errorf("%+v: want 21000 by memory and 45000 by CPU", c)
	}
	if c.Connect != 2600*time.Microsecond || c.Push != 250*time.Microsecond {
		t.Errorf("%+v: a connection or a push has another price", c)
	}
	if c.Events < 1333 || c.Events > 1334 || c.Edits < 111 || c.Edits > 112 {
		t.Errorf("%+v: want a second of CPU for three pushes each, or for four configurations", c)
	}
	for name, change := range map[string]func(*serve.Costs){
		"more memory":       func(c *serve.Costs) { c.Memory *= 8 },
		"a smaller mesh":    func(c *serve.Costs) { c.MeshBytes = 0 },
		"nothing to render": func(c *serve.Costs) { c.MemberBytes = 0 },
	} {
		other := costs
		change(&other)
		if more := other.Capacity(); more.Proxies <= c.Proxies {
			t.Errorf("%s carries %d proxies, and without it %d fit", name, more.Proxies, c.Proxies)
		}
	}
	costs.Memory = 0
	if c := costs.Capacity(); c.Proxies != c.ByCPU || c.ByMemory >= 0 {
		t.Errorf("%+v where the memory is not known", c)
	}
	costs.Memory = 1 << 20
	if c := costs.Capacity(); c.Proxies != 0 {
		t.Errorf("%+v where the mesh does not fit", c)
	}
}

// TestMeasureCosts measures what a mesh costs here.
func TestMeasureCosts(t *testing.T) {
	costs, err := serve.MeasureCosts(compileSpec(t, databases))
	if err != nil {
		t.Fatal(err)
	}
	// one is called by app and lone, and two by app
	if costs.Members != 4 || costs.Callers != 1.5 {
		t.Errorf("%+v: want 4 members, and 3 uses of 2 services", costs)
	}
	if costs.CPUs == 0 || costs.MeshBytes == 0 || costs.Handshake <= 0 || costs.Render <= 0 {
		t.Errorf("%+v: something costs nothing", costs)
	}
	if costs.MemberBytes < 1<<10 || costs.MemberBytes > 1<<20 {
		t.Errorf("a configuration has %d bytes", costs.MemberBytes)
	}
}
