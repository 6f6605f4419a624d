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
	known := p.nodes[n.GetId()]
	if known == nil {
		if err := p.quotas.join(identity); err != nil {
			p.logger(identity).Warn("stream refused", "node", n.GetId(), "reason", err)
			return status.Error(codes.ResourceExhausted, err.Error())
		}
		known = &node{
			id: n.GetId(), kind: kindOf(n), identity: identity, memberKind: kind, member: name, instance: instance,
			since: time.Now(), types: map[string]*typeState{},
		}
		p.nodes[known.id] = known
		p.metrics.connected.Set(float64(len(p.nodes)))
	}
	known.version, known.live = userAgent(n), n.GetMetadata().GetFields()[envoy.RevokedLayer].GetBoolValue()
	known.streams++
	st.node = known
	p.logger(identity).Info("proxy connected", "node", known.id, "version", known.version)
	if known.built == nil {
		p.refresh(known)
	}
	if known.built == nil {
		return status.Errorf(codes.Internal, "the resources of %s could not be rendered", known.id)
	}
	return nil
}

// unregister removes a node after its last stream.
func (p *proxies) unregister(st *stream) {
	n := st.node
	if n == nil {
		return
	}
	if n.streams--; n.streams > 0 {
		return
	}
	p.logger(n.identity).Info("proxy gone", "node", n.id)
	p.quotas.leave(n.identity)
	delete(p.nodes, n.id)
	p.cacheOf(n).ClearSnapshot(n.id)
	p.metrics.connected.Set(float64(len(p.nodes)))
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
		return heard.Text(fmt.Sprintf("%s %d.%d.%d", n.GetUserAgentName(), v.GetMajorNumber(), v.GetMinorNumber(),
			v.GetPatch()), maxUserAgent)
	}
	return heard.Text(strings.TrimSpace(n.GetUserAgentName()+" "+n.GetUserAgentVersion()), maxUserAgent)
}
