package serve

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// answers is what the xDS library answers streams from. A stream waits for the lock of its own node alone, under which
// nothing is rendered. In place of the library's SnapshotCache, which has one lock for all nodes and marshals every
// resource of a node for every push.
type answers struct {
	proxies *proxies
	// shared are the caches of resources that are the same for every proxy, by type.
	shared map[string]cache.Cache
}

// Fetch is not served: no client polls.
func (a *answers) Fetch(context.Context, *cache.Request) (cache.Response, error) {
	return nil, errors.New("polling is not served")
}

// waiting is a stream that waits for resources of a type. It has everything that the node has, up to the last answer.
type waiting struct {
	url          string
	subscription cache.Subscription
	// delta and changes are those of the incremental protocol, request and all those of the other one.
	delta   *cache.DeltaRequest
	changes chan cache.DeltaResponse
	request *cache.Request
	all     chan cache.Response
}

// CreateDeltaWatch answers a request of the incremental protocol, at once or when something changes.
func (a *answers) CreateDeltaWatch(r *cache.DeltaRequest, sub cache.Subscription, to chan cache.DeltaResponse,
) (func(), error) {
	if shared := a.shared[r.GetTypeUrl()]; shared != nil {
		return shared.CreateDeltaWatch(r, sub, to)
	}
	return a.watch(r.GetNode().GetId(), &waiting{url: r.GetTypeUrl(), subscription: sub, delta: r, changes: to})
}

// CreateWatch answers a request of the state-of-the-world protocol, at once or when something changes.
func (a *answers) CreateWatch(r *cache.Request, sub cache.Subscription, to chan cache.Response) (func(), error) {
	if shared := a.shared[r.GetTypeUrl()]; shared != nil {
		return shared.CreateWatch(r, sub, to)
	}
	return a.watch(r.GetNode().GetId(), &waiting{url: r.GetTypeUrl(), subscription: sub, request: r, all: to})
}

func (a *answers) watch(id string, w *waiting) (cancel func(), err error) {
	n := a.proxies.node(id)
	if n == nil {
		return nil, errors.New("the node is not registered")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if w.changes != nil && n.sending[sendingKey{w.changes, w.url}] {
		// What was sent before this request is on its way, and the client will acknowledge it, which is a request too.
		return nil, nil
	}
	n.asks(w.url)
	if w.url == resource.EndpointType {
		a.proxies.freshen(n)
	}
	if n.respond(w, nil) {
		return nil, nil
	}
	n.watches = append(n.watches, w)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.watches = slices.DeleteFunc(n.watches, func(other *waiting) bool { return other == w })
	}, nil
}

// listens reports whether a stream waits for resources of the type.
func (n *node) listens(url string) bool {
	return slices.ContainsFunc(n.watches, func(w *waiting) bool { return w.url == url })
}

// answer answers the streams that wait for the type. Only the resources of these names have changed; nil for any. It
// reports whether there was an answer.
func (n *node) answer(url string, names []string) (answered bool) {
	n.watches = slices.DeleteFunc(n.watches, func(w *waiting) bool {
		done := w.url == url && n.respond(w, names)
		answered = answered || done
		return done
	})
	return answered
}

// answerAll answers all streams of the node, in the order of the types.
func (n *node) answerAll() {
	for _, url := range typeURLs {
		n.answer(url, nil)
	}
}

// present are the resources of a type that the node is served, and their version.
func (n *node) present(url string) (map[string]*packed, string) {
	if url == resource.EndpointType {
		return n.endpoints.now, n.endpoints.version()
	}
	return n.built.resources[url], n.built.versions[url]
}

// respond sends a stream what it does not have, and reports whether there was anything.
func (n *node) respond(w *waiting, names []string) bool {
	if n.built == nil {
		return false
	}
	var sent bool
	if w.changes != nil {
		sent = n.respondDelta(w, names)
	} else {
		sent = n.respondAll(w)
	}
	n.tried(w.url, sent)
	return sent
}

// sendingKey is a type on a stream of the incremental protocol.
type sendingKey struct {
	to  chan cache.DeltaResponse
	url string
}

// maxSending is of how many types on how many streams it is known that an answer is on its way. If there are more, one
// may be sent twice.
const maxSending = 256

func (n *node) respondDelta(w *waiting, names []string) bool {
	resources, version := n.present(w.url)
	sub, out := w.subscription, &discoveryv3.DeltaDiscoveryResponse{TypeUrl: w.url, SystemVersionInfo: version}
	returned, subscribed := sub.ReturnedResources(), sub.SubscribedResources()
	check := func(name string) {
		has, known := returned[name]
		if r := resources[name]; r == nil {
			if known {
				out.RemovedResources = append(out.RemovedResources, name)
			}
		} else if has != r.version {
			out.Resources = append(out.Resources, &discoveryv3.Resource{
				Name: name, Resource: r.content, Version: r.version,
			})
		}
	}
	switch {
	case sub.IsWildcard() && names == nil:
		for name := range resources {
			check(name)
		}
		for name := range returned {
			if resources[name] == nil {
				check(name)
			}
		}
	case names == nil:
		for name := range subscribed {
			check(name)
		}
	default:
		for _, name := range names {
			if _, wanted := subscribed[name]; wanted || sub.IsWildcard() {
				check(name)
			}
		}
	}
	// An Envoy begins only when it has an answer to its first request for all resources, be it empty.
	if len(out.Resources)+len(out.RemovedResources) == 0 && (!sub.IsWildcard() || w.delta.GetResponseNonce() != "") {
		return false
	}
	key := sendingKey{w.changes, w.url}
	select {
	case w.changes <- &change{request: w.delta, response: out, subscription: sub, sent: func() { n.sent(key) }}:
	default:
		return false // a stream has room for two answers of each type; who waits on is asked again
	}
	if len(n.sending) >= maxSending {
		clear(n.sending)
	}
	if n.sending == nil {
		n.sending = map[sendingKey]bool{}
	}
	n.sending[key] = true
	return true
}

// sent says that an answer was sent.
func (n *node) sent(key sendingKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sending, key)
}

// change is an answer of the incremental protocol.
type change struct {
	request      *cache.DeltaRequest
	response     *discoveryv3.DeltaDiscoveryResponse
	subscription cache.Subscription
	sent         func()
	done         atomic.Bool
}

// GetDeltaDiscoveryResponse returns the message that is sent.
func (c *change) GetDeltaDiscoveryResponse() (*discoveryv3.DeltaDiscoveryResponse, error) {
	return c.response, nil
}

// GetDeltaRequest returns the request that is answered.
func (c *change) GetDeltaRequest() *cache.DeltaRequest { return c.request }

// GetSystemVersion returns the version of everything of the type.
func (c *change) GetSystemVersion() (string, error) { return c.GetResponseVersion(), nil }

// GetResponseVersion returns the version of everything of the type.
func (c *change) GetResponseVersion() string { return c.response.GetSystemVersionInfo() }

// GetReturnedResources is [change.GetNextVersionMap].
func (c *change) GetReturnedResources() map[string]string { return c.GetNextVersionMap() }

// GetContext returns no context of interest.
func (c *change) GetContext() context.Context { return context.Background() }

// GetNextVersionMap returns the versions that the client has with this answer. The library calls it once the answer
// was sent, in the goroutine of the stream, which alone changes what the client is subscribed to; so the map of what
// it has is changed in place. What it has unsubscribed from meanwhile it does not have.
func (c *change) GetNextVersionMap() map[string]string {
	has := c.subscription.ReturnedResources()
	if c.done.Swap(true) {
		return has
	}
	if has == nil {
		has = map[string]string{}
	}
	subscribed := c.subscription.SubscribedResources()
	for _, r := range c.response.Resources {
		if _, wanted := subscribed[r.GetName()]; wanted || c.subscription.IsWildcard() {
			has[r.GetName()] = r.GetVersion()
		}
	}
	for _, name := range c.response.RemovedResources {
		delete(has, name)
	}
	c.sent()
	return has
}

// respondAll answers in the state-of-the-world protocol, with all that the client asks for.
func (n *node) respondAll(w *waiting) bool {
	resources, version := n.present(w.url)
	names, returned := w.request.GetResourceNames(), w.subscription.ReturnedResources()
	if len(names) == 0 {
		names = sortedKeys(resources)
	}
	news := w.request.GetVersionInfo() != version
	for _, name := range names {
		if resources[name] == nil && kindOf(w.request.GetNode()) == kindEnvoy {
			return false // an Envoy will ask for something else, or it will be there
		}
		_, known := returned[name]
		news = news || resources[name] != nil && !known
	}
	if !news {
		return false
	}
	out := &discoveryv3.DiscoveryResponse{TypeUrl: w.url, VersionInfo: version}
	has := maps.Clone(returned)
	clear(has)
	if has == nil {
		has = map[string]string{}
	}
	for _, name := range names {
		if r := resources[name]; r != nil {
			out.Resources = append(out.Resources, r.content)
			has[name] = version
		}
	}
	select {
	case w.all <- &cache.PassthroughResponse{Request: w.request, DiscoveryResponse: out, ReturnedResources: has}:
		return true
	default:
		return false // as in [node.respondDelta]
	}
}
