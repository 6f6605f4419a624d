package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/heard"
)

// The kinds of client.
const (
	kindEnvoy = "envoy"
	kindGRPC  = "grpc"
)

func kindOf(n *corev3.Node) string {
	if strings.HasPrefix(n.GetUserAgentName(), "gRPC") {
		return kindGRPC
	}
	return kindEnvoy
}

// node is a proxy, or a gRPC client, that is connected. The server's lock guards
// it.
type node struct {
	id       string
	kind     string
	identity spiffeid.ID
	// memberKind, member and instance are what the id is made of.
	memberKind       ir.MemberKind
	member, instance string

	version string // of Envoy
	since   time.Time
	streams int
	trust   string // digest of the trust bundle that it has acknowledged
	silent  bool   // a stage of a change went on without it, and it has acknowledged nothing since
	gone    bool   // its member is no longer in the mesh, or has another identity
	types   map[string]*typeState
	// of is what the configuration was rendered from, nil to render it in any case; configured is the configuration, and
	// discovered are the clusters in it that are assigned endpoints. Both together were rendered last.
	of         *rendered
	configured *built
	discovered []envoy.Discovered
	rendered   *built
	built      *built // what it is being served
	pushed     time.Time
	stages     []*built     // what it will be served after built, each once it has taken the one before
	endpoint   *ir.Endpoint // where it last was
}

// typeState is how far a node is with the resources of a type.
type typeState struct {
	sent, acked string // nonces, of the stream on which it was last sent
	sentVersion string
	sentAt      time.Time
	served      *built          // what the node had when it was last sent
	names       map[string]bool // the resources that were ever sent
	last        []string        // the resources that were sent last
	refusals    []Refusal
}

// behind reports whether the node has still to be sent something of that type,
// or to answer.
func (n *node) behind(url string) bool {
	t := n.types[url]
	return t.sent != t.acked || t.served != nil && t.served.changed(n.built, url)
}

// state is how far the node is with that type: current, behind or refused.
func (n *node) state(url string) string {
	switch {
	case len(n.types[url].refusals) > 0:
		return StateRefused
	case n.behind(url) || len(n.stages) > 0:
		return StateBehind
	}
	return StateCurrent
}

// resume takes what a node has of a type that comes back, from another server or after
// its connection had ended: what is the same it is not sent again, and so does not
// acknowledge.
func (n *node) resume(url string, has map[string]string) {
	hashes, known := n.built.hashes[url]
	if !known {
		return
	}
	held := newBuilt(&envoy.Resources{})
	t := &typeState{served: held, sentAt: time.Now(), names: map[string]bool{}}
	same := true
	for name, version := range has {
		held.hashes[url][name] = version
		t.names[name] = true
		same = same && hashes[name] == version
	}
	t.sentVersion = held.version(url)
	if same {
		held.trust = n.built.trust
		if url == resource.SecretType {
			n.trust = held.trust
		}
	}
	n.types[url] = t
}

// trusts says which trust bundle the node has.
func (n *node) trusts() string {
	if n.built != nil && n.built.trust == "" {
		return TrustByFile
	}
	return n.trust
}

// register makes a stream's node known, or checks it against the one that the
// stream began with. The member that the node id names must have the identity of
// the client's certificate.
func (s *Server) register(st *stream, n *corev3.Node) error {
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
	if s.mesh == nil {
		return status.Error(codes.Unavailable, "no mesh is loaded yet")
	}
	identity, ok := memberIdentity(s.mesh, kind, name)
	if !ok {
		return status.Errorf(codes.NotFound, "the mesh %s has no %s %q", s.mesh.Name, kind, name)
	}
	if identity != st.identity {
		s.logger(st.identity).Warn("stream refused", "node", n.GetId(), "identity", st.identity, "needs", identity)
		s.metrics.refused.Inc()
		return status.Errorf(codes.PermissionDenied, "%s is not the identity of %s %s", st.identity, kind, name)
	}
	known := s.nodes[n.GetId()]
	if known == nil {
		if err := s.quotas.join(identity); err != nil {
			s.logger(identity).Warn("stream refused", "node", n.GetId(), "reason", err)
			return status.Error(codes.ResourceExhausted, err.Error())
		}
		known = &node{
			id: n.GetId(), kind: kindOf(n), identity: identity, memberKind: kind, member: name, instance: instance,
			since: time.Now(), types: map[string]*typeState{},
		}
		s.nodes[known.id] = known
		s.metrics.connected.Set(float64(len(s.nodes)))
	}
	known.version = userAgent(n)
	known.streams++
	st.node = known
	s.logger(identity).Info("proxy connected", "node", known.id, "version", known.version)
	if known.built == nil {
		s.refresh(known)
	}
	if known.built == nil {
		return status.Errorf(codes.Internal, "the resources of %s could not be rendered", known.id)
	}
	return nil
}

// unregister forgets a node with its last stream.
func (s *Server) unregister(st *stream) {
	n := st.node
	if n == nil {
		return
	}
	if n.streams--; n.streams > 0 {
		return
	}
	s.logger(n.identity).Info("proxy gone", "node", n.id)
	s.quotas.leave(n.identity)
	delete(s.nodes, n.id)
	s.cacheOf(n).ClearSnapshot(n.id)
	s.metrics.connected.Set(float64(len(s.nodes)))
}

func (s *Server) cacheOf(n *node) cache.SnapshotCache {
	if n.kind == kindGRPC {
		return s.clients
	}
	return s.envoys
}

func memberIdentity(m *ir.Mesh, kind ir.MemberKind, name string) (spiffeid.ID, bool) {
	if kind == ir.KindGateway {
		if g := m.Gateway(name); g != nil {
			return g.Identity, true
		}
	} else if v := m.Service(name); v != nil {
		return v.Identity, true
	}
	return spiffeid.ID{}, false
}

func userAgent(n *corev3.Node) string {
	if v := n.GetUserAgentBuildVersion().GetVersion(); v != nil {
		return heard.Text(fmt.Sprintf("%s %d.%d.%d", n.GetUserAgentName(), v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch()), maxUserAgent)
	}
	return heard.Text(strings.TrimSpace(n.GetUserAgentName()+" "+n.GetUserAgentVersion()), maxUserAgent)
}

// errGone says that a node's member is no longer in the mesh.
var errGone = errors.New("its member is no longer in the mesh")

// rendered is what a node's configuration is made of.
type rendered struct {
	Scope   ir.Scope
	Options envoy.Options
}

// configure renders the configuration of a node. It reports false when that is made of the same as before, but for where
// that is written: a comment in a spec is nothing to a proxy.
func (s *Server) configure(n *node, v *view) (made bool, err error) {
	of, err := s.madeOf(n, v)
	if err != nil {
		n.of = nil
		return false, err
	}
	if n.of != nil && ir.Same(of, n.of) {
		return false, nil
	}
	build := s.config.Build
	if n.kind == kindGRPC {
		build = envoy.Proxyless
	}
	n.of = nil
	var r *envoy.Resources
	if err := guarded(func() (err error) { r, err = build(of.Scope, of.Options); return err }); err != nil {
		return false, err
	}
	n.of, n.configured, n.discovered = of, newBuilt(r), r.Discovered
	n.configured.trust = s.trustOf(n)
	return true, nil
}

// assignments renders those of a node.
func (s *Server) assignments(n *node, v *view) (out []*endpointv3.ClusterLoadAssignment, err error) {
	n.locate(v)
	return out, guarded(func() error {
		out = envoy.Assignments(n.discovered, n.endpoint, v.instances)
		return nil
	})
}

// guarded calls a renderer. A mesh.json that no compiler wrote may bring the renderer down; it must not bring the server
// down with it.
func guarded(render func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("its mesh is not one that meshc compiles: %v", v)
		}
	}()
	return render()
}

// madeOf is what the configuration of a node is made of: nothing that changes with the instances of those it calls.
func (s *Server) madeOf(n *node, v *view) (*rendered, error) {
	var scope ir.Scope
	if n.memberKind == ir.KindGateway {
		g := v.mesh.Gateway(n.member)
		if g == nil || g.Identity != n.identity {
			return nil, errGone
		}
		scope = v.mesh.GatewayScope(g)
	} else {
		member := v.mesh.Service(n.member)
		if member == nil || member.Identity != n.identity {
			return nil, errGone
		}
		scope = v.mesh.ServiceScope(inForce(member, time.Now()))
	}
	o := envoy.Options{Instance: n.instance, Watched: v.watched(scope.Upstreams), Revoked: s.revoked.forProxies(time.Now())}
	if n.locate(v); scope.Service != nil && !scope.Service.Workload.InCluster() && scope.Endpoint(n.instance) == nil {
		o.Left = n.endpoint
	}
	if v.mesh.Certificates.Issuer.Kind == ir.IssuerEmbedded {
		o.TrustBundle = s.trust
	}
	return &rendered{scope, o}, nil
}

// locate notes where the node is. One that the mesh has no more stays where it was while it runs: it has requests to
// end, under the rules that hold now.
func (n *node) locate(v *view) {
	if n.memberKind != ir.KindService {
		return
	}
	if s := v.mesh.Service(n.member); s != nil {
		if at := v.place(s, n.instance); at != nil {
			n.endpoint = at
		}
	}
}

func (s *Server) sortedNodes() []*node {
	var out []*node
	for _, n := range s.nodes {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *node) int { return strings.Compare(a.id, b.id) })
	return out
}

// setSnapshot gives a node what was built.
func (s *Server) setSnapshot(n *node, b *built) {
	n.built, n.pushed = b, time.Now()
	if err := s.cacheOf(n).SetSnapshot(context.Background(), n.id, b.snapshot()); err != nil {
		s.logger(n.identity).Error("push failed", "node", n.id, "error", err)
	}
	s.metrics.pushes.Inc()
}
