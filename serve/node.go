package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
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
	version  string // of Envoy
	since    time.Time
	streams  int
	trust    string // digest of the trust bundle that it has acknowledged
	silent   bool   // a stage of a change went on without it, and it has acknowledged nothing since
	gone     bool   // its member is no longer in the mesh, or has another identity
	types    map[string]*typeState
	built    *built // what it is being served
	of       *rendered
	pushed   time.Time
	stages   []*built     // what it will be served after built, each once it has taken the one before
	endpoint *ir.Endpoint // where the mesh last had it
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
	kind, name, _, err := envoy.ParseNodeID(n.GetId())
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
		known = &node{id: n.GetId(), kind: kindOf(n), identity: identity, since: time.Now(), types: map[string]*typeState{}}
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

// rendered is what a node's resources are made of.
type rendered struct {
	Scope   ir.Scope
	Options envoy.Options
}

// render makes the resources of a node from the mesh; nil when they are made of the same as those that it has, but for where that
// is written: a comment in a spec is nothing to a proxy. A mesh.json that no compiler
// wrote may bring the renderer down; it must not bring the server down with it.
func (s *Server) render(n *node) (_ *envoy.Resources, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("its mesh is not one that meshc compiles: %v", v)
		}
	}()
	of, err := s.scopeOf(n)
	if err != nil {
		n.of = nil
		return nil, err
	}
	if n.of != nil && ir.Same(of, n.of) {
		return nil, nil
	}
	build := s.config.Build
	if n.kind == kindGRPC {
		build = envoy.Proxyless
	}
	r, err := build(of.Scope, of.Options)
	if n.of = of; err != nil {
		n.of = nil
	}
	return r, err
}

// scopeOf is what the resources of a node are made of.
func (s *Server) scopeOf(n *node) (*rendered, error) {
	kind, name, instance, err := envoy.ParseNodeID(n.id)
	if err != nil {
		return nil, err
	}
	var scope ir.Scope
	if kind == ir.KindGateway {
		g := s.mesh.Gateway(name)
		if g == nil || g.Identity != n.identity {
			return nil, errGone
		}
		scope = s.served.GatewayScope(g)
	} else {
		v := s.mesh.Service(name)
		if v == nil || v.Identity != n.identity {
			return nil, errGone
		}
		v, _ = inForce(v, time.Now())
		if v.Workload.InCluster() {
			v = s.ownPod(v, instance)
		}
		scope = s.served.ServiceScope(n.at(v, instance)) // what it calls is from files too, what it is is not
	}
	o := envoy.Options{Instance: instance, Revoked: s.revoked.forProxies(time.Now())}
	if s.mesh.Certificates.Issuer.Kind == ir.IssuerEmbedded {
		o.TrustBundle = s.trust
	}
	return &rendered{scope, o}, nil
}

// at is the service with the endpoint of the node's instance. One that the mesh has
// no more stays where it was while it runs: it has requests to end, under the rules
// that hold now.
func (n *node) at(v *ir.Service, instance string) *ir.Service {
	for i := range v.Workload.Endpoints {
		if v.Workload.Endpoints[i].Name == instance {
			n.endpoint = &v.Workload.Endpoints[i]
			return v
		}
	}
	if n.endpoint == nil {
		return v
	}
	left := *v
	left.Workload.Endpoints = append(slices.Clone(v.Workload.Endpoints), *n.endpoint)
	return &left
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
