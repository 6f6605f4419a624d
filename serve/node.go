package serve

import (
	"slices"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
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

// node is a connected proxy, or a connected gRPC client. Its fields are guarded by mu, under which nothing is rendered,
// besides those that never change, and those of which something else is said.
type node struct {
	mu sync.Mutex
	// making is held while the configuration is rendered and put in its place; mu is taken under it. It guards of,
	// configured, calls and left.
	making sync.Mutex

	id       string
	kind     string
	identity spiffeid.ID
	// memberKind, member and instance are what the id is made of.
	memberKind       ir.MemberKind
	member, instance string

	version string // of Envoy
	since   time.Time
	streams int    // guarded by the lock of [proxies]
	trust   string // digest of the trust bundle that it has acknowledged
	live    bool   // its runtime has the newest revocations
	silent  bool   // a stage of a change went on without it, and it has acknowledged nothing since
	gone    bool   // its member is no longer in the mesh, or has another identity
	types   map[string]*typeState
	// of is what the configuration was rendered from, nil to render it in any case; configured is the configuration,
	// and calls are the services that it is indexed under in [callers].
	of         *rendered
	shared     *render // keeps what was rendered for other nodes to take
	configured *built
	calls      []string
	left       bool // it is not connected any more, and must not be indexed again

	built     *built // what it is being served
	endpoints endpoints
	pushed    time.Time
	event     time.Time             // when what the configuration was last rendered for changed
	fresh     map[string]*freshness // by type, of those that its streams ask for
	stages    []*built              // what it will be served after built, each once it has taken the one before
	watches   []*waiting            // streams that wait for something else than what they have
	sending   map[sendingKey]bool   // what streams are about to send
	endpoint  *ir.Endpoint          // where it last was
	service   string                // its own, "" for a gateway
	addressed map[string]bool       // callees whose addresses its configuration may depend on
}

// typeState is the state of the resources of one type at a node.
type typeState struct {
	sent, acked string // nonces, of the stream on which it was last sent
	sentVersion string
	sentAt      time.Time
	served      ofType             // what the node had when it was last sent
	has         map[string]*packed // of endpoints, instead: each as it was last sent
	last        []string           // the resources that were sent last
	refusals    []Refusal
}

// rendered reports whether the node's last configuration could be rendered.
func (n *node) rendered() bool {
	n.making.Lock()
	defer n.making.Unlock()
	return n.of != nil
}

// isBehind reports whether resources of the type must still be sent to the node, or acknowledged by it.
func (n *node) isBehind(url string) bool {
	t := n.types[url]
	if url == resource.EndpointType {
		return !t.caughtUp() || n.endpoints.all || len(n.endpoints.stale) > 0 || outdated(t.has, n.endpoints.now)
	}
	return !t.caughtUp() || t.served.resources != nil && t.served.changed(n.built, url)
}

// caughtUp reports whether the node has answered what it was sent last.
func (t *typeState) caughtUp() bool { return t == nil || t.sent == t.acked }

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
	if !slices.Contains(typeURLs, url) {
		return
	}
	now, _ := n.present(url)
	held := emptyBuilt()
	t := &typeState{sentAt: time.Now()}
	same := true
	for name, version := range has {
		held.resources[url][name] = &packed{version: version}
		same = same && now[name] != nil && now[name].version == version
	}
	t.sentVersion = held.sealed().versions[url]
	if same {
		held.trust = n.built.trust
		if url == resource.SecretType {
			n.trust = held.trust
		}
	}
	if url == resource.EndpointType {
		t.has = held.resources[url]
	} else {
		t.served = held.ofType(url)
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
