package envoy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/render/live"
)

// Resources are the xDS resources that configure one proxy, each list sorted by name. The assignments of endpoints,
// which change while the configuration stays, are rendered apart: see [Assignments].
type Resources struct {
	Listeners []*listenerv3.Listener
	Routes    []*routev3.RouteConfiguration
	Clusters  []*clusterv3.Cluster
	Secrets   []*tlsv3.Secret
	// Discovered are the clusters whose endpoints are assigned by EDS.
	Discovered []Discovered
}

// Options are what a proxy's configuration depends on besides its Scope.
type Options struct {
	// Instance is the name of the endpoint that the proxy stands beside; "" for
	// a configuration that all instances share.
	Instance string
	// Left is where the instance is when the mesh has no endpoint of its name any more, and it runs on; nil for
	// as the mesh says.
	Left *ir.Endpoint
	// Watched are the callees in Kubernetes, by name and sorted, whose pods are known and come by assignments. The
	// others are looked up by DNS.
	Watched []string
	// Addresses are those of callees below HTTP, by name, for a member in Kubernetes. Who is not among them is told
	// apart by what the spec says alone.
	Addresses map[string]live.Addresses
	// TrustBundle are the PEM certificates that sign the mesh's leaves. Nil when
	// the proxy has them in a file, ca.crt.
	TrustBundle []byte
	// Revoked are certificates of callers, and of those that are called, that the proxy must not believe any more.
	Revoked []Revoked
}

// Build makes the configuration that a proxy is sent over xDS. An error is a fault of
// meshc: a linked mesh has none that could not be rendered.
func Build(scope ir.Scope, o Options) (*Resources, error) {
	b := newBuilder(scope, o)
	for _, part := range b.parts() {
		part()
	}
	b.secrets()
	return b.finish()
}

// builder collects the resources of one proxy: each of them, as a cluster, once, whoever asks for it
// (docs/decisions/0029-resources-are-collected.md).
type builder struct {
	scope    ir.Scope
	member   ir.Member
	options  Options
	endpoint *ir.Endpoint // the proxy's own, as the mesh says; nil when it is not known
	loopback string       // the address that the proxy's host keeps to itself
	out      *Resources
	clusters map[string]bool
	budgets  map[string]budget      // see retryBudgets
	opening  map[string]ir.Duration // see connectTimes
	room     uint32                 // see [series.Set.Room]
	set      *series.Set
	// trustsAll is set when the roots of all trust domains are wanted, by who asks for certificates.
	trustsAll bool
	// proxyless is set when a gRPC client reads the resources, not an Envoy.
	proxyless bool
	err       error
}

func newBuilder(scope ir.Scope, o Options) *builder {
	set := series.Of(&scope)
	b := &builder{
		scope: scope, member: scope.Member(), options: o, endpoint: scope.Endpoint(o.Instance),
		loopback: scope.Loopback(o.Instance),
		out:      &Resources{}, clusters: map[string]bool{}, budgets: retryBudgets(&scope),
		opening: connectTimes(&scope), room: set.Room(), set: set,
	}
	if b.endpoint == nil && o.Left != nil {
		b.endpoint, b.loopback = o.Left, o.Left.Loopback()
	}
	return b
}

// parts add the resources of one side of the proxy each, in any order.
func (b *builder) parts() []func() {
	inner := b.inbound
	if b.scope.Gateway != nil {
		inner = b.gateway
	}
	return []func(){inner, b.outbound, b.scrape, b.push}
}

func (b *builder) finish() (*Resources, error) {
	r := b.out
	sortByName(r.Listeners, func(v *listenerv3.Listener) string { return v.Name })
	sortByName(r.Routes, func(v *routev3.RouteConfiguration) string { return v.Name })
	sortByName(r.Clusters, func(v *clusterv3.Cluster) string { return v.Name })
	sortByName(r.Discovered, func(v Discovered) string { return v.Name })
	sortByName(r.Secrets, func(v *tlsv3.Secret) string { return v.Name })
	return r, b.err
}

func sortByName[T any](list []T, name func(T) string) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
}

// any packs a message, to the same bytes each time: versions of resources are hashes of them. What a renderer made can
// always be packed; if not, the fault is kept for the end.
func (b *builder) any(m proto.Message) *anypb.Any {
	a := &anypb.Any{}
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil && b.err == nil {
		b.err = fmt.Errorf("pack %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return a
}

func duration(d ir.Duration) *durationpb.Duration { return durationpb.New(time.Duration(d)) }

func address(ip string, port uint16) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// ads says that a resource comes by the stream that is already open.
func ads() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
