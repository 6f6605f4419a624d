package serve

import (
	"errors"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/meshc/meshc/render/envoy"
)

// refresh renders the configuration of a node if its inputs have changed, and pushes what changed. Its streams do not
// wait while it is rendered. The inputs have changed at that time.
func (p *proxies) refresh(n *node, at time.Time) {
	n.making.Lock()
	defer n.making.Unlock()
	start, v := time.Now(), p.live.now()
	made, err := p.configure(n, v)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = errors.Is(err, errGone)
	if n.gone {
		p.logger(n.identity).Warn("a proxy's member is no longer in the mesh", "node", n.id)
		n.configured, made, err = newBuilt(&envoy.Resources{}), true, nil
	}
	if err != nil {
		p.logger(n.identity).Error("resources cannot be rendered; the proxy keeps its last ones", "node", n.id, "error",
			err)
		return
	}
	if made {
		n.event = at
		p.push(n, n.configured, start)
	} else {
		p.flush(n, start) // it may have moved
	}
}

// push serves a node a configuration that was rendered for it, if it differs from the one that it is served. It is
// called with the node's lock held.
func (p *proxies) push(n *node, next *built, start time.Time) {
	if n.built != nil && next.equal(n.target()) {
		// The resources are the same, but what endpoints follow from may not be.
		n.built = n.built.assignedAs(next)
		for i := range n.stages {
			n.stages[i] = n.stages[i].assignedAs(next)
		}
		n.stale("", n.event)
		p.flush(n, start)
		return
	}
	n.stages = next.stages(n.built)
	p.nextStage(n)
	p.metrics.pushTime.Observe(time.Since(start).Seconds())
}

// target returns what the node will have after its last stage.
func (n *node) target() *built {
	if len(n.stages) > 0 {
		return n.stages[len(n.stages)-1]
	}
	return n.built
}

func (p *proxies) nextStage(n *node) {
	if len(n.stages) > 0 {
		stage := n.stages[0]
		n.stages = n.stages[1:]
		p.serve(n, stage)
	}
}

// grace is how long the server waits for a proxy to subscribe to a resource, before it assumes that the proxy does
// not need it.
const grace = 5 * time.Second

// serve gives a node other resources. It is called with the node's lock held.
func (p *proxies) serve(n *node, b *built) {
	if before := n.built; before != nil {
		for _, url := range typeURLs {
			if before.changed(b, url) {
				n.changed(url, n.event)
			}
		}
	}
	n.built, n.pushed = b, time.Now()
	n.stale("", n.event)
	p.freshen(n)
	n.answerAll()
	p.metrics.pushes.Inc()
}

// settle begins the next stage when the node has acknowledged all of the present one. It is called with the node's lock
// held.
func (p *proxies) settle(n *node) {
	if len(n.stages) == 0 {
		return
	}
	for url, t := range n.types {
		// What refers to something refused, or what the refused one's predecessor
		// refers to, must not be pulled out from under it.
		if n.isBehind(url) || len(t.refusals) > 0 {
			return
		}
	}
	if !n.warm() && time.Since(n.pushed) < grace {
		return
	}
	p.nextStage(n)
}

// warm reports whether the node was sent the endpoints of every cluster that it has. It subscribes to those of a new
// cluster by itself, and cannot use the cluster before it has them.
func (n *node) warm() bool {
	t := n.types[resource.EndpointType]
	for name := range n.endpoints.now {
		if t == nil || t.has[name] == nil {
			return false
		}
	}
	return true
}
