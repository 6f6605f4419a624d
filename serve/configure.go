package serve

import (
	"errors"
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/envoy"
)

// errGone says that a node's member is no longer in the mesh.
var errGone = errors.New("its member is no longer in the mesh")

// rendered has the inputs from which the configuration of a node is rendered.
type rendered struct {
	Scope   ir.Scope
	Options envoy.Options
}

// configure renders the configuration of a node. It returns false if the inputs have not changed. Positions in the
// spec do not count: a comment in a spec does not affect a proxy. It is called with n.making held.
func (p *proxies) configure(n *node, v *view) (made bool, err error) {
	of, err := p.madeOf(n, v)
	if err == nil {
		// What changes from here on finds the node among those that it concerns.
		p.index(n, &of.Scope)
		if now := p.live.now(); now != v {
			of, err = p.madeOf(n, now)
		}
	}
	if err != nil {
		n.of = nil
		return false, err
	}
	if n.of != nil && of.Scope.Same(ir.ProxyPart, &n.of.Scope) && ir.Same(of.Options, n.of.Options) {
		return false, nil
	}
	n.of = nil
	r, err := p.renders.get(n.kind, of, func() (*render, error) {
		made, err := p.render(n.kind, of)
		if err == nil {
			made.built.reuse(n.configured) // before others have it
		}
		return made, err
	})
	if err != nil {
		return false, err
	}
	n.of, n.shared, n.configured = of, r, r.built
	n.of.Scope = r.Scope // which says the same
	return true, nil
}

// render renders a configuration for clients of that kind.
func (p *proxies) render(kind string, of *rendered) (*render, error) {
	build := p.build
	if kind == kindGRPC {
		build = envoy.Proxyless
	}
	var r *envoy.Resources
	if err := guarded(func() (err error) { r, err = build(of.Scope, of.Options); return err }); err != nil {
		return nil, err
	}
	out := &render{*of, newBuilt(r)}
	if of.Options.TrustBundle != nil && kind == kindEnvoy {
		out.built.trust = ca.Digest(of.Options.TrustBundle)
	}
	return out, nil
}

// index notes which services concern a node: those that it calls, and its own, whose instances say where it is.
func (p *proxies) index(n *node, scope *ir.Scope) {
	names, own := sortedKeys(scope.Upstreams), ""
	if scope.Service != nil {
		own = scope.Service.Name
		names = append(names, own)
	}
	if n.left {
		return
	}
	p.callers.set(n, n.calls, names)
	n.calls = names
	n.mu.Lock()
	defer n.mu.Unlock()
	n.service, n.addressed = own, addressed(scope)
}

// guarded calls a renderer and turns a panic into an error. A mesh.json that no compiler wrote could make the
// renderer panic; the server must continue.
func guarded(render func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("its mesh is not a valid compiled mesh: %v", v)
		}
	}()
	return render()
}

// madeOf returns the inputs of a node's configuration. They do not change when only the instances of its callees
// change.
func (p *proxies) madeOf(n *node, v *view) (*rendered, error) {
	var scope ir.Scope
	if n.memberKind == ir.KindGateway {
		g := v.mesh.GatewayOf(n.member, n.identity)
		if g == nil || g.Identity != n.identity {
			return nil, errGone
		}
		scope = v.mesh.GatewayScope(g.InForce(time.Now()))
	} else {
		member := v.mesh.ServiceOf(n.member, n.identity)
		if member == nil || member.Identity != n.identity {
			return nil, errGone
		}
		scope = v.mesh.ServiceScope(p.opened(v.mesh, member.InForce(time.Now())))
	}
	n.mu.Lock()
	n.locate(v)
	at, live := n.endpoint, n.live
	n.mu.Unlock()
	o := envoy.Options{
		Instance: n.instance, Watched: v.watched(scope.Upstreams), Addresses: v.addresses(&scope),
		Revoked: p.revoked.forProxies(time.Now(), live),
	}
	if scope.Service != nil && !scope.Service.Workload.InCluster() && scope.Endpoint(n.instance) == nil {
		o.Left = at
	}
	if v.mesh.Certificates.Issuer.Kind == ir.IssuerEmbedded {
		o.TrustBundle = p.trust.bundle()
	}
	return &rendered{scope, o}, nil
}

// locate finds the node's member in the mesh. If the mesh no longer has the member, the node keeps its old one while
// it runs, so that it can finish its requests under the present rules. It is called with the node's lock held.
func (n *node) locate(v *view) {
	if n.memberKind != ir.KindService {
		return
	}
	if s := v.mesh.ServiceOf(n.member, n.identity); s != nil {
		at, before := v.place(s, n.instance), n.endpoint
		if at == nil {
			return
		}
		if before == nil || before.InRegion() != at.InRegion() || before.Zone != at.Zone {
			n.stale("", time.Now()) // distances may be others now
		}
		n.endpoint = at
	}
}
