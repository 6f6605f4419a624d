package serve

import (
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
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

// node is a connected proxy, or a connected gRPC client. It is guarded by the lock of [proxies].
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
	live    bool   // its runtime has the newest revocations
	silent  bool   // a stage of a change went on without it, and it has acknowledged nothing since
	gone    bool   // its member is no longer in the mesh, or has another identity
	types   map[string]*typeState
	// of is what the configuration was rendered from, nil to render it in any case; configured is the configuration,
	// and discovered are the clusters in it that are assigned endpoints. Both together were rendered last.
	of         *rendered
	shared     *render // keeps what was rendered for other nodes to take
	configured *built
	discovered []envoy.Discovered
	rendered   *built
	built      *built // what it is being served
	pushed     time.Time
	stages     []*built     // what it will be served after built, each once it has taken the one before
	endpoint   *ir.Endpoint // where it last was
}

// typeState is the state of the resources of one type at a node.
type typeState struct {
	sent, acked string // nonces, of the stream on which it was last sent
	sentVersion string
	sentAt      time.Time
	served      *built          // what the node had when it was last sent
	names       map[string]bool // the resources that were ever sent
	last        []string        // the resources that were sent last
	refusals    []Refusal
}

// isBehind reports whether resources of the type must still be sent to the node, or acknowledged by it.
func (n *node) isBehind(url string) bool {
	t := n.types[url]
	return t.sent != t.acked || t.served != nil && t.served.changed(n.built, url)
}

// state returns the state of the type at the node: current, behind or refused.
func (n *node) state(url string) string {
	switch {
	case len(n.types[url].refusals) > 0:
		return StateRefused
	case n.isBehind(url) || len(n.stages) > 0:
		return StateBehind
	}
	return StateCurrent
}

// anyBehind reports whether the node is behind with any type.
func (n *node) anyBehind() bool {
	for url := range n.types {
		if n.state(url) == StateBehind {
			return true
		}
	}
	return false
}

// resume takes over the resources of a type that a node already has when it connects again, or when it comes from
// another server. Resources that have not changed are not sent again, so the node does not acknowledge them.
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

// trusts returns the digest of the trust bundle that the node has.
func (n *node) trusts() string {
	if n.built != nil && n.built.trust == "" {
		return TrustByFile
	}
	return n.trust
}
