package serve

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	xds "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/review/config"
)

// streamKey identifies a stream. Incremental streams have numbers of their own.
type streamKey struct {
	delta bool
	id    int64
}

// stream is a client's stream. It belongs to the stream's own goroutine.
type stream struct {
	identity spiffeid.ID
	address  string // of the client
	node     *node
	asked    subscribed
}

// Refusal is a resource that a proxy refused (NACK).
type Refusal struct {
	Type string `json:"type"`
	// Resource is the name of the resource; empty if the proxy's message does not contain it.
	Resource string `json:"resource,omitempty"`
	// Reason is the message of the proxy.
	Reason string `json:"reason"`
	// Source is the line of the spec from which the resource was rendered.
	Source source.Position `json:"source,omitzero"`
	Since  time.Time       `json:"since"`
}

// callbacks returns the functions by which the xDS library reports requests, responses and ends of streams. They run
// in the goroutines of the streams.
func (p *proxies) callbacks() xds.Callbacks {
	return xds.CallbackFuncs{
		StreamOpenFunc: func(ctx context.Context, id int64, _ string) error {
			return p.open(ctx, streamKey{false, id})
		},
		DeltaStreamOpenFunc: func(ctx context.Context, id int64, _ string) error {
			return p.open(ctx, streamKey{true, id})
		},
		StreamClosedFunc: func(id int64, _ *corev3.Node) { p.closed(streamKey{false, id}) },
		DeltaStreamClosedFunc: func(id int64, _ *corev3.Node) {
			p.closed(streamKey{true, id})
		},
		StreamRequestFunc: func(id int64, r *discoveryv3.DiscoveryRequest) error {
			return p.request(streamKey{false, id}, &said{
				node: r.GetNode(), url: r.GetTypeUrl(), nonce: r.GetResponseNonce(), refused: r.GetErrorDetail(),
				more: r.GetResourceNames(),
			})
		},
		StreamDeltaRequestFunc: func(id int64, r *discoveryv3.DeltaDiscoveryRequest) error {
			return p.request(streamKey{true, id}, &said{
				node: r.GetNode(), url: r.GetTypeUrl(), nonce: r.GetResponseNonce(), refused: r.GetErrorDetail(),
				has:   r.GetInitialResourceVersions(),
				more:  slices.Concat(r.GetResourceNamesSubscribe(), sortedKeys(r.GetInitialResourceVersions())),
				fewer: r.GetResourceNamesUnsubscribe(),
			})
		},
		StreamResponseFunc: func(_ context.Context, id int64, _ *discoveryv3.DiscoveryRequest,
			r *discoveryv3.DiscoveryResponse,
		) {
			p.response(streamKey{false, id}, r.GetTypeUrl(), r.GetNonce(), r.GetVersionInfo(), nil)
		},
		StreamDeltaResponseFunc: func(id int64, _ *discoveryv3.DeltaDiscoveryRequest,
			r *discoveryv3.DeltaDiscoveryResponse,
		) {
			p.response(streamKey{true, id}, r.GetTypeUrl(), r.GetNonce(), r.GetSystemVersionInfo(), r.GetResources())
		},
	}
}

func (p *proxies) open(ctx context.Context, key streamKey) error {
	identity, err := callerIdentity(ctx)
	if err != nil {
		return status.Errorf(codes.Unauthenticated, "the client's certificate has no SPIFFE identity: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return status.Error(codes.Unavailable, "the server is going away")
	}
	p.streams[key] = &stream{identity: identity, address: addressOf(ctx)}
	return nil
}

// addressOf is the address of the client of a stream.
func addressOf(ctx context.Context) string {
	if from, ok := peer.FromContext(ctx); ok {
		return from.Addr.String()
	}
	return ""
}

func (p *proxies) closed(key streamKey) {
	p.mu.Lock()
	st := p.streams[key]
	delete(p.streams, key)
	p.mu.Unlock()
	if st != nil {
		p.unregister(st)
	}
}

// said is a message of a client: a subscription, an ACK or a NACK.
type said struct {
	node       *corev3.Node
	url, nonce string
	refused    *rpcstatus.Status
	// more and fewer are the names of resources that the client subscribes to and unsubscribes from.
	more, fewer []string
	// has are the versions of the resources that the client already has when it connects again.
	has map[string]string
}

// request processes a subscription, an ACK or a NACK.
func (p *proxies) request(key streamKey, r *said) error {
	st, err := p.speaking(key, r.node)
	if err != nil {
		return err
	}
	if !key.delta {
		st.asked.forget(r.url)
	}
	if !st.asked.take(r.url, r.more, r.fewer) {
		p.metrics.limited.Inc()
		return status.Errorf(codes.ResourceExhausted, "the stream asks for more than %d bytes of names", maxNames)
	}
	if !followed(r.url) {
		return nil
	}
	st.node.locked(func() { p.heard(st.node, key, r) })
	return nil
}

// heard processes what a client said of what it was sent. It is called with the node's lock held.
func (p *proxies) heard(n *node, key streamKey, r *said) {
	url := r.url
	t := n.types[url]
	if t == nil && len(r.has) > 0 {
		n.resume(url, r.has)
	}
	if r.nonce == "" || t == nil {
		return
	}
	name := key.nonce(r.nonce)
	if name != t.sent {
		if r.refused == nil {
			return // an answer to something older
		}
	} else {
		t.acked = name
	}
	if r.refused != nil {
		p.refuse(n, key, t, url, r.refused.GetMessage())
		return
	}
	if len(t.refusals) > 0 {
		p.logger(n.identity).Info("the proxy has taken what it refused before", "node", n.id, "type", short(url))
	}
	t.refusals = nil
	if url == resource.SecretType && t.served.resources != nil {
		n.trust = t.served.trust
	}
	n.silent = false
	p.metrics.acks.WithLabelValues(short(url)).Inc()
	if took, news := n.acknowledged(url, time.Now()); news {
		p.metrics.propagation.WithLabelValues(short(url)).Observe(took.Seconds())
	}
	p.settle(n)
}

// speaking returns the stream of a client, registered with the node that the client names.
func (p *proxies) speaking(key streamKey, n *corev3.Node) (*stream, error) {
	st := p.stream(key)
	if st == nil {
		return nil, status.Error(codes.Internal, "no such stream")
	}
	return st, p.register(st, n)
}

func (p *proxies) stream(key streamKey) *stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streams[key]
}

// refuse records what a proxy refused. In the incremental protocol the proxy keeps the old resource and sends nothing
// more. In the state-of-the-world protocol the response would be sent and refused again and again, so the refused
// resources are withheld. It is called with the node's lock held.
func (p *proxies) refuse(n *node, key streamKey, t *typeState, url, reason string) {
	p.metrics.nacks.WithLabelValues(short(url)).Inc()
	reason = p.quotas.refusal(reason)
	names := p.named(n, url, reason)
	t.refusals = nil
	for _, name := range names {
		pos := n.built.resources[url][name].source()
		t.refusals = append(t.refusals, Refusal{
			Type: short(url), Resource: name, Reason: reason, Source: pos,
			Since: time.Now(),
		})
		p.logger(n.identity).Error("the proxy refused a resource", "node", n.id, "type", short(url), "resource", name,
			"source", pos.String(), "reason", reason)
	}
	if !key.delta {
		p.withhold(n, url, names)
	}
}

// maxNamed is the largest number of resources to which a refusal without names is attributed.
const maxNamed = 10

// named returns the resources of the type that the proxy's message names, the longest names first. If it names none,
// it returns what was sent last, or one "" if that is not known either.
func (p *proxies) named(n *node, url, reason string) []string {
	var names []string
	rest := reason
	resources, _ := n.present(url)
	all := sortedKeys(resources)
	slices.SortStableFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, name := range all {
		if strings.Contains(rest, name) {
			names = append(names, name)
			rest = strings.ReplaceAll(rest, name, "")
		}
	}
	if names == nil {
		names = slices.Clone(n.types[url].last) // it is among what was sent
	}
	if names == nil || len(names) > maxNamed {
		return []string{""}
	}
	slices.Sort(names)
	return names
}

// withhold serves a node without the resources that it refused. Endpoints are withheld until they change. It is called
// with the node's lock held.
func (p *proxies) withhold(n *node, url string, names []string) {
	if url != resource.EndpointType {
		if rest := n.built.without(url, names); !rest.equal(n.built) {
			n.event = time.Now()
			p.serve(n, rest)
		}
		return
	}
	e := &n.endpoints
	if slices.Contains(names, "") { // it did not say which: all of them
		names = sortedKeys(e.now)
	}
	if e.refused == nil {
		e.refused = map[string]string{}
	}
	for _, name := range names {
		if r := e.now[name]; r != nil {
			e.refused[name] = r.version
			e.set(name, nil)
		}
	}
}

// response is called before a response is sent. In the incremental protocol it contains the changed resources, in the
// state-of-the-world protocol all that the client subscribed to.
func (p *proxies) response(key streamKey, url, nonce, version string, changed []*discoveryv3.Resource) {
	if !followed(url) {
		return
	}
	if st := p.stream(key); st != nil && st.node != nil {
		st.node.locked(func() { st.node.answered(key, url, nonce, version, changed) })
	}
}

// answered notes what is sent to the node. It is called with the node's lock held.
func (n *node) answered(key streamKey, url, nonce, version string, changed []*discoveryv3.Resource) {
	t := n.types[url]
	if t == nil {
		t = &typeState{}
		n.types[url] = t
	}
	t.last = nil
	for _, r := range changed {
		t.last = append(t.last, r.GetName())
	}
	t.sent, t.sentVersion, t.sentAt = key.nonce(nonce), version, time.Now()
	if url == resource.EndpointType && key.delta {
		if t.has == nil {
			t.has = map[string]*packed{}
		}
		for _, r := range changed {
			t.has[r.GetName()] = &packed{version: r.GetVersion()}
		}
		return
	}
	now, present := n.present(url)
	if version != present {
		return // it is of the one before
	}
	if url == resource.EndpointType {
		t.has = maps.Clone(now)
	} else {
		t.served = n.built.ofType(url)
	}
}

// nonce is a nonce that is unique among all streams.
func (k streamKey) nonce(nonce string) string { return fmt.Sprintf("%t/%d/%s", k.delta, k.id, nonce) }

// short is a type's usual short name.
func short(url string) string {
	switch url {
	case resource.ClusterType:
		return config.Cluster
	case resource.EndpointType:
		return config.Endpoint
	case resource.ListenerType:
		return config.Listener
	case resource.RouteType:
		return config.Route
	case resource.SecretType:
		return config.Secret
	}
	return "other"
}
