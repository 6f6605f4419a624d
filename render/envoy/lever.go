package envoy

import (
	"strconv"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// LeverLayer is the layer of the runtime that meshc serve sets for what operators change for a time (meshc lever).
// Envoy itself asks its runtime for these keys at each request, so nothing in a proxy's configuration changes, and what
// they change ends with the layer (docs/decisions/0059-levers-end-by-themselves.md).
const LeverLayer = "meshc.lever"

// noRetries is the key for the share of failed requests that are sent again at all.
const noRetries = "upstream.use_retry"

// Calls are what a layer of the runtime changes of the calls of a proxy to one callee.
type Calls struct {
	// Refuse is the share of requests that the proxy refuses, in percent. With 100 it refuses connections below HTTP
	// too.
	Refuse uint32
	// AtOnce is how many requests, or connections below HTTP, may be open; 0 for as many as the configuration says.
	AtOnce uint32
	// NoRetries says that nothing is sent again.
	NoRetries bool
}

// NoRetries has a proxy send nothing again, wherever it was for.
func NoRetries(layer map[string]any) { layer[noRetries] = 0 }

// ToService adds what changes of calls to a service.
func (c *Calls) ToService(layer map[string]any, u *ir.Upstream) {
	for i := range u.Ports {
		p := &u.Ports[i]
		names := []string{upstreamCluster(u, p.Name, "")}
		for _, number := range []uint16{p.Number, u.InstancePort(p)} {
			direct := join(names[0], "direct")
			names = append(names, direct, join(direct, strconv.Itoa(int(number))))
		}
		for _, v := range u.Versions {
			names = append(names, upstreamCluster(u, p.Name, v.Name))
		}
		c.add(layer, names, p.Protocol)
	}
}

// ToExternal adds what changes of calls to an external.
func (c *Calls) ToExternal(layer map[string]any, e *ir.External) {
	for i := range e.Ports {
		name := externalCluster(e, e.Ports[i].Name)
		c.add(layer, []string{name, join(name, "direct")}, e.Ports[i].Protocol)
	}
}

// add adds what changes of calls by these clusters, each of which may be made of two ([builder.byName]). The proxy has
// some of them: nobody asks for the others.
func (c *Calls) add(layer map[string]any, clusters []string, protocol ir.Protocol) {
	for _, cluster := range clusters {
		if c.Refuse > 0 && protocol.IsHTTP() {
			layer["upstream.maintenance_mode."+cluster] = c.Refuse
		}
		for _, name := range []string{cluster, join(cluster, "now"), join(cluster, "last")} {
			breaker := "circuit_breakers." + name + ".default."
			switch {
			case protocol.IsHTTP() && c.AtOnce > 0:
				layer[breaker+"max_requests"] = c.AtOnce
			case !protocol.IsHTTP() && c.Refuse == 100:
				layer[breaker+"max_connections"] = 0
			case !protocol.IsHTTP() && c.AtOnce > 0:
				layer[breaker+"max_connections"] = c.AtOnce
			}
			if c.NoRetries && protocol.IsHTTP() {
				layer[breaker+"retry_budget.budget_percent"] = 0
				layer[breaker+"retry_budget.min_retry_concurrency"] = 0
			}
		}
	}
}

// leverRuntime is the layer that meshc serve sets for levers. It stands last, as it wins over all others.
func (b *builder) leverRuntime(boot *bootstrapv3.Bootstrap) { ownLayer(boot, LeverLayer) }
