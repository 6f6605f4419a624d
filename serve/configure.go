package serve

import (
	"errors"
	"fmt"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

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
// spec do not count: a comment in a spec does not affect a proxy.
func (p *proxies) configure(n *node, v *view) (made bool, err error) {
	of, err := p.madeOf(n, v)
	if err != nil {
		n.of = nil
		return false, err
	}
	if n.of != nil && of.Scope.Same(ir.ProxyPart, &n.of.Scope) && ir.Same(of.Options, n.of.Options) {
		return false, nil
	}
	n.of = nil
	r, err := p.renders.get(n.kind, of, func() (*render, error) { return p.render(n.kind, of) })
	if err != nil {
		return false, err
	}
	n.of, n.shared, n.configured, n.discovered = of, r, r.built, r.discovered
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
	out := &render{*of, newBuilt(r), r.Discovered}
	if of.Options.TrustBundle != nil && kind == kindEnvoy {
		out.built.trust = ca.Digest(of.Options.TrustBundle)
	}
	return out, nil
}

// assignments renders the endpoint assignments of a node.
func (p *proxies) assignments(n *node, v *view) (out []*endpointv3.ClusterLoadAssignment, err error) {
	n.locate(v)
	return out, guarded(func() error {
		out = envoy.Assignments(n.discovered, n.endpoint, v.instances)
		return nil
	})
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
		scope = v.mesh.GatewayScope(g)
	} else {
		member := v.mesh.ServiceOf(n.member, n.identity)
		if member == nil || member.Identity != n.identity {
			return nil, errGone
		}
		scope = v.mesh.ServiceScope(member.InForce(time.Now()))
	}
	o := envoy.Options{
		Instance: n.instance, Watched: v.watched(scope.Upstreams), Addresses: v.addresses(&scope),
		Revoked: p.revoked.forProxies(time.Now(), n.live),
	}
	if n.locate(v); scope.Service != nil && !scope.Service.Workload.InCluster() && scope.Endpoint(n.instance) == nil {
		o.Left = n.endpoint
	}
	if v.mesh.Certificates.Issuer.Kind == ir.IssuerEmbedded {
		o.TrustBundle = p.trust.bundle()
	}
	return &rendered{scope, o}, nil
}

// locate finds the node's member in the mesh. If the mesh no longer has the member, the node keeps its old one while
// it runs, so that it can finish its requests under the present rules.
func (n *node) locate(v *view) {
	if n.memberKind != ir.KindService {
		return
	}
	if s := v.mesh.ServiceOf(n.member, n.identity); s != nil {
		if at := v.place(s, n.instance); at != nil {
			n.endpoint = at
		}
	}
}
