package serve

import (
	"fmt"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/heard"
)

// register registers the node of a stream, or compares it with the node that the stream began with. The member in the
// node ID must have the identity of the client's certificate.
func (p *proxies) register(st *stream, n *corev3.Node) error {
	if st.node != nil {
		if n.GetId() != "" && n.GetId() != st.node.id {
			return status.Errorf(codes.PermissionDenied, "a stream stays with one node")
		}
		return nil
	}
	if err := boundedNode(n); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	kind, name, instance, err := envoy.ParseNodeID(n.GetId())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	mesh := p.live.now().mesh
	if mesh == nil {
		return status.Error(codes.Unavailable, "no mesh is loaded yet")
	}
	identity, ok := memberIdentity(mesh, kind, name, st.identity)
	if !ok {
		return status.Errorf(codes.NotFound, "the mesh %s has no %s %q", mesh.Name, kind, name)
	}
	if identity != st.identity {
		p.logger(st.identity).Warn("stream refused", "node", n.GetId(), "identity", st.identity, "needs", identity)
		p.metrics.refused.Inc()
		return status.Errorf(codes.PermissionDenied, "%s is not the identity of %s %s", st.identity, kind, name)
	}
	known, err := p.join(&node{
		id: n.GetId(), kind: kindOf(n), identity: identity, memberKind: kind, member: name, instance: instance,
		since: time.Now(), types: map[string]*typeState{}, fresh: map[string]*freshness{},
		endpoints: endpoints{now: map[string]*packed{}},
	})
	if err != nil {
		p.logger(identity).Warn("stream refused", "node", n.GetId(), "reason", err)
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	st.node = known
	version := userAgent(n)
	known.locked(func() {
		known.version, known.live = version, n.GetMetadata().GetFields()[envoy.RevokedLayer].GetBoolValue()
	})
	p.logger(identity).Info("proxy connected", "node", known.id, "version", version)
	if !known.served() {
		p.refresh(known, time.Now())
	}
	if !known.served() {
		return status.Errorf(codes.Internal, "the resources of %s could not be rendered", known.id)
	}
	return nil
}

// served reports whether the node has a configuration.
func (n *node) served() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.built != nil
}

// join returns the node that a stream is of: the connected one with the same id, or the new one.
func (p *proxies) join(n *node) (*node, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.nodes[n.id]; known != nil {
		known.streams++
		return known, nil
	}
	if err := p.quotas.join(n.identity); err != nil {
		return nil, err
	}
	n.streams = 1
	p.nodes[n.id] = n
	p.metrics.connected.Set(float64(len(p.nodes)))
	return n, nil
}

// unregister removes a node after its last stream.
func (p *proxies) unregister(st *stream) {
	n := st.node
	if n == nil || !p.leave(n) {
		return
	}
	p.logger(n.identity).Info("proxy gone", "node", n.id)
	n.making.Lock()
	defer n.making.Unlock()
	n.left = true
	p.callers.set(n, n.calls, nil)
}

// leave forgets a stream of a node, and reports whether it was the last one.
func (p *proxies) leave(n *node) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.streams--; n.streams > 0 {
		return false
	}
	p.quotas.leave(n.identity)
	delete(p.nodes, n.id)
	p.metrics.connected.Set(float64(len(p.nodes)))
	return true
}

// memberIdentity is the identity of the member of a name; false when the mesh has none. Of several members with a plain
// name, which they had before there were several, it is the one that has the caller's identity.
func memberIdentity(m *ir.Mesh, kind ir.MemberKind, name string, caller spiffeid.ID) (spiffeid.ID, bool) {
	if kind == ir.KindGateway {
		if g := m.GatewayOf(name, caller); g != nil {
			return g.Identity, true
		}
	} else if v := m.ServiceOf(name, caller); v != nil {
		return v.Identity, true
	}
	return spiffeid.ID{}, false
}

func userAgent(n *corev3.Node) string {
	if v := n.GetUserAgentBuildVersion().GetVersion(); v != nil {
		return heard.Line(fmt.Sprintf("%s %d.%d.%d", n.GetUserAgentName(), v.GetMajorNumber(), v.GetMinorNumber(),
			v.GetPatch()), maxUserAgent)
	}
	return heard.Line(strings.TrimSpace(n.GetUserAgentName()+" "+n.GetUserAgentVersion()), maxUserAgent)
}
