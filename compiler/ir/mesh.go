package ir

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/source"
)

// Mesh is the whole linked mesh. Its JSON form is mesh.json.
type Mesh struct {
	Settings
	// Services, Gateways and Externals are each sorted by name.
	Services  []*Service  `json:"services,omitempty"`
	Gateways  []*Gateway  `json:"gateways,omitempty"`
	Externals []*External `json:"externals,omitempty"`
	// Review is of the spec and not of what is rolled out.
	Review `json:"-"`
}

// Settings is what holds for the whole mesh.
type Settings struct {
	Name        string `json:"name"`
	TrustDomain string `json:"trustDomain"`
	// ClusterDomain is the DNS domain of the Kubernetes cluster; empty for "cluster.local".
	ClusterDomain string   `json:"clusterDomain,omitempty"`
	Delivery      Delivery `json:"delivery"`
	// Defaults is what mesh.defaults says.
	Defaults     Traffic      `json:"defaults,omitzero"`
	Certificates Certificates `json:"certificates"`
	Images       Images       `json:"images" scope:"deployment"`
	Flux         *Flux        `json:"flux,omitempty" scope:"-"`
	// MaxAttempts is how many attempts one request may cause at one service; nil
	// for any number.
	MaxAttempts *Setting[uint32] `json:"maxAttempts,omitempty" scope:"-"`
	// MaxSeries is how many series the metrics of one proxy may have; nil for any number.
	MaxSeries *Setting[uint32] `json:"maxSeries,omitempty" scope:"-"`
	// RateLimit is nil when nothing is counted for all proxies.
	RateLimit *RateLimitService `json:"rateLimit,omitempty"`
	// Metrics is nil when the metrics of proxies are read at their administration alone.
	Metrics *Metrics `json:"metrics,omitempty"`
	// Collector takes what proxies report by OTLP; nil for none.
	Collector *Collector `json:"collector,omitempty"`
	// Server is how meshc serve treats its proxies. No proxy's configuration depends on it.
	Server Server `json:"server,omitzero" scope:"-"`
	// Operators may look into the running mesh; nil for nobody.
	Operators *Operators `json:"operators,omitempty"`
	// JWTIssuers, Authorizers and TrustDomains are each sorted by name.
	JWTIssuers   []*JWTIssuer             `json:"jwtIssuers,omitempty"`
	Authorizers  []*ExternalAuthorization `json:"externalAuthorization,omitempty"`
	TrustDomains []*TrustDomain           `json:"trustDomains,omitempty"`
	Pos          source.Position          `json:"pos,omitzero"`
}

// SystemNamespace is the namespace of the mesh's control plane.
func (s *Settings) SystemNamespace() string { return s.Name + "-system" }

// Domain is what every identity of the mesh begins with.
func (s *Settings) Domain() string { return "spiffe://" + s.TrustDomain + "/" }

// Delivery is how a proxy gets its configuration.
type Delivery string

// The deliveries.
const (
	DeliveryXDS    Delivery = "xds"    // from meshc serve
	DeliveryStatic Delivery = "static" // from files alone
)

// Flux is where Flux finds the compiled manifests.
type Flux struct {
	URL    string `json:"url"`
	Branch string `json:"branch"`
	Tag    string `json:"tag"`
	// VerifySecret has the keys whose signatures Flux takes; empty for none.
	VerifySecret string          `json:"verifySecret,omitempty"`
	Path         string          `json:"path"`
	Interval     Duration        `json:"interval"`
	Namespace    string          `json:"namespace"`
	Pos          source.Position `json:"pos,omitzero"`
}

// Service returns the service of that name, or nil. NAME.NAMESPACE is NAME where that is the only one of its name.
func (m *Mesh) Service(name string) *Service {
	return findMember(m.Services, name, func(s *Service) (string, string) { return s.Name, s.Namespace })
}

// Gateway returns the gateway of that name, or nil; with its namespace as [Mesh.Service].
func (m *Mesh) Gateway(name string) *Gateway {
	return findMember(m.Gateways, name, func(g *Gateway) (string, string) { return g.Name, g.Namespace })
}

// External returns the external service of that name, or nil.
func (m *Mesh) External(name string) *External {
	return find(m.Externals, name, func(e *External) string { return e.Name })
}

// findMember looks a name up, which may have the member's namespace, in a list that is sorted by the names.
func findMember[T any](list []*T, name string, of func(*T) (name, namespace string)) *T {
	nameOf := func(t *T) string {
		name, _ := of(t)
		return name
	}
	if t := find(list, name, nameOf); t != nil {
		return t
	}
	plain, namespace, qualified := membername.Split(name)
	if t := find(list, plain, nameOf); qualified && t != nil {
		if _, in := of(t); in == namespace {
			return t
		}
	}
	return nil
}

// find looks a name up in a list that is sorted by it.
func find[T any](list []*T, name string, nameOf func(*T) string) *T {
	i, ok := slices.BinarySearchFunc(list, name,
		func(t *T, name string) int { return strings.Compare(nameOf(t), name) })
	if !ok {
		return nil
	}
	return list[i]
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
