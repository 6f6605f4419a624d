package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
)

// loadProxy asks for its configuration as Envoy does: clusters and listeners, then the endpoints, routes and secrets
// that these name. It acknowledges everything at once, unless it is silent.
type loadProxy struct {
	service string
	silent  bool
	conn    *grpc.ClientConn
	stream  discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	told    *events
	done    chan error // one error, when the stream has ended

	mu       sync.Mutex
	complete chan struct{} // is closed when the proxy has everything
	wants    map[string]map[string]bool
	has      map[string]map[string]bool
	bytes    int
	pushes   int
	seen     map[string]int // the last event, by service
	edits    map[int]func() // what is called when the edit is acknowledged
}

// secretNames are those that an Envoy of the mesh asks the server for: its own certificate it reads from files.
var secretNames = []string{"trust"}

// extensions are as many, and as large, as those that Envoy 1.40 says of itself: 60 KB.
var extensions = func() (out []*corev3.Extension) {
	for i := range 516 {
		out = append(out, &corev3.Extension{
			Name: fmt.Sprintf("envoy.filters.http.extension_%d", i), Category: "envoy.filters.http",
			TypeUrls: []string{fmt.Sprintf("envoy.extensions.filters.http.extension_%d.v3.Extension", i)},
		})
	}
	return out
}()

// connectProxy connects a proxy and asks for its configuration.
func connectProxy(ctx context.Context, address string, config *tls.Config, service string, instance int, silent bool,
	told *events,
) (*loadProxy, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return nil, err
	}
	p := &loadProxy{
		service: service, silent: silent, conn: conn, told: told, done: make(chan error, 1),
		complete: make(chan struct{}), wants: map[string]map[string]bool{}, has: map[string]map[string]bool{},
		seen: map[string]int{},
	}
	p.stream, err = discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	node := &corev3.Node{
		Id: fmt.Sprintf("service/%[1]s/%[1]s-%[2]d", service, instance), UserAgentName: "envoy", Extensions: extensions,
	}
	for _, request := range []*discoveryv3.DeltaDiscoveryRequest{
		{Node: node, TypeUrl: resource.ClusterType},
		{TypeUrl: resource.ListenerType},
		{TypeUrl: resource.SecretType, ResourceNamesSubscribe: secretNames},
	} {
		if err := p.stream.Send(request); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	p.want(resource.SecretType, secretNames...)
	go p.follow()
	return p, nil
}

func (p *loadProxy) close() { _ = p.conn.Close() } // nothing is lost with it

// follow takes what it is sent until the stream ends.
func (p *loadProxy) follow() {
	for {
		answer, err := p.stream.Recv()
		if err == nil {
			err = p.take(answer)
		}
		if err != nil {
			p.done <- fmt.Errorf("proxy of %s: %w", p.service, err)
			return
		}
	}
}

func (p *loadProxy) want(url string, names ...string) (more []string) {
	if p.wants[url] == nil {
		p.wants[url] = map[string]bool{}
	}
	for _, name := range names {
		if !p.wants[url][name] {
			p.wants[url][name] = true
			more = append(more, name)
		}
	}
	return more
}

// take acknowledges an answer, and asks for what it names.
func (p *loadProxy) take(answer *discoveryv3.DeltaDiscoveryResponse) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes, p.pushes = p.bytes+proto.Size(answer), p.pushes+1
	url, more, moreOf := answer.TypeUrl, []string(nil), ""
	if p.has[url] == nil {
		p.has[url] = map[string]bool{}
	}
	heard, edits := map[string]int{}, map[int]bool{}
	for _, r := range answer.Resources {
		p.has[url][r.Name] = true
		names, of, err := names(r, heard, edits)
		if err != nil {
			return err
		}
		if of != "" {
			more, moreOf = append(more, p.want(of, names...)...), of
		}
	}
	if !p.silent {
		ack := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, ResponseNonce: answer.Nonce}
		if err := p.stream.Send(ack); err != nil {
			return err
		}
	}
	now := time.Now()
	for service, event := range heard {
		p.told.acknowledged(p, service, p.seen[service], event, now)
		p.seen[service] = event
	}
	for n := range edits {
		if done := p.edits[n]; done != nil {
			done()
		}
	}
	if len(more) > 0 {
		if err := p.stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			TypeUrl: moreOf, ResourceNamesSubscribe: more,
		}); err != nil {
			return err
		}
	}
	p.whetherComplete()
	return nil
}

// names are the resources of another type that a resource names; of is their type, "" for none. From endpoints it
// learns which event their service had last, and from routes which edits are in them.
func names(r *discoveryv3.Resource, heard map[string]int, edits map[int]bool) (names []string, of string, err error) {
	switch r.GetResource().GetTypeUrl() {
	case resource.ClusterType:
		c := &clusterv3.Cluster{}
		if err := r.Resource.UnmarshalTo(c); err != nil {
			return nil, "", err
		}
		if name := c.GetEdsClusterConfig().GetServiceName(); name != "" {
			return []string{name}, resource.EndpointType, nil
		}
	case resource.ListenerType:
		l := &listenerv3.Listener{}
		if err := r.Resource.UnmarshalTo(l); err != nil {
			return nil, "", err
		}
		return routesOf(l), resource.RouteType, nil
	case resource.RouteType:
		c := &routev3.RouteConfiguration{}
		if err := r.Resource.UnmarshalTo(c); err != nil {
			return nil, "", err
		}
		for _, host := range c.VirtualHosts {
			for _, route := range host.Routes {
				edits[editOf(route.GetRoute().GetTimeout().AsDuration())] = true
			}
		}
	case resource.EndpointType:
		c := &endpointv3.ClusterLoadAssignment{}
		if err := r.Resource.UnmarshalTo(c); err != nil {
			return nil, "", err
		}
		service, _, _ := strings.Cut(c.ClusterName, ".")
		for _, zone := range c.Endpoints {
			for _, e := range zone.LbEndpoints {
				at, err := netip.ParseAddr(e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress())
				if b := at.AsSlice(); err == nil && len(b) == 4 && b[0] == 10 {
					heard[service] = max(heard[service], int(b[1])<<16|int(b[2])<<8|int(b[3]))
				}
			}
		}
	}
	return nil, "", nil
}

// routesOf are the names of the route configurations that a listener refers to.
func routesOf(l *listenerv3.Listener) (names []string) {
	for _, chain := range append(slices.Clone(l.FilterChains), l.GetDefaultFilterChain()) {
		for _, f := range chain.GetFilters() {
			manager := &hcmv3.HttpConnectionManager{}
			if f.GetTypedConfig().UnmarshalTo(manager) != nil {
				continue // another filter
			}
			if name := manager.GetRds().GetRouteConfigName(); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// missing is what the proxy asked for and does not have; empty if it has everything.
func (p *loadProxy) missing() (out []string) {
	for _, url := range []string{resource.ClusterType, resource.ListenerType} {
		if len(p.has[url]) == 0 {
			out = append(out, url)
		}
	}
	for url, names := range p.wants {
		for name := range names {
			if !p.has[url][name] {
				out = append(out, url+" "+name)
			}
		}
	}
	return out
}

func (p *loadProxy) whetherComplete() {
	if len(p.missing()) > 0 {
		return
	}
	select {
	case <-p.complete:
	default:
		close(p.complete)
	}
}

// lacks is [loadProxy.missing], for another goroutine.
func (p *loadProxy) lacks() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.missing()
}

func (p *loadProxy) counted() (bytes, pushes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes, p.pushes
}

// whenEdited sets what is called when the proxy has acknowledged an edit.
func (p *loadProxy) whenEdited(n int, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.edits = map[int]func(){n: f}
}
