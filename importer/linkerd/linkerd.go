// Package linkerd reads the configuration of Linkerd: the policy.linkerd.io kinds, ServiceProfiles, SMI's
// TrafficSplits, the annotations of Services, routes, pods and namespaces, and routes of the Gateway API whose parent
// is a Service, as described in https://linkerd.io/2/reference/.
package linkerd

import (
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/gatewayapi"
	"github.com/meshc/meshc/importer/ingress"
)

// The API groups of Linkerd, and the prefix of its annotations of proxies.
const (
	policy   = "policy.linkerd.io"
	profiles = "linkerd.io"
	split    = "split.smi-spec.io"
	config   = "config.linkerd.io/"
)

// reader is a mesh that is being read.
type reader struct {
	*importer.Mesh
	objects []*importer.Object
	// namespaces are the annotations of those that were read, by name.
	namespaces map[string]map[string]string
	// accounts are services by NAMESPACE/ACCOUNT, and inhabited the namespaces with some.
	accounts  map[string][]string
	inhabited map[string]bool
	// served are the Servers of ports; meshTLS and network have the authentications by NAMESPACE/NAME.
	served           map[ofService]*server
	meshTLS, network map[string]*importer.Object
	// policy and networks are the default inbound policy, and the networks of the cluster.
	policy   string
	networks []string
	// domains are the trust domains that the identities of members have in Linkerd.
	domains []string
	// confined are the namespaces with an EgressNetwork that denies what it does not know; "" is all.
	confined map[string]bool
	// told are objects of which something is told once.
	told map[*importer.Object]bool
}

// Kinds are those that are read, and their groups.
var Kinds = kinds()

func kinds() map[string]string {
	out := maps.Clone(gatewayapi.Kinds)
	maps.Copy(out, ingress.Kinds)
	for _, kind := range []string{
		"Server", "ServerAuthorization", "AuthorizationPolicy", "MeshTLSAuthentication", "NetworkAuthentication",
		"HTTPLocalRateLimitPolicy", "EgressNetwork",
	} {
		out[kind] = policy
	}
	out["ServiceProfile"], out["TrafficSplit"] = profiles, split
	out["HTTPRoute"] += "," + policy
	return out
}

// Import returns the mesh that the objects describe. Parts that are not carried over are findings in the mesh.
func Import(objects []*importer.Object, o importer.Options) *importer.Mesh {
	mesh := importer.New(objects, o)
	mesh.Repository.Mesh.Defaults = &spec.TrafficDefaults{Timeout: spec.Written(spec.NoLimit)} // as Linkerd has it
	m := &reader{
		Mesh: mesh, objects: objects, namespaces: map[string]map[string]string{}, accounts: map[string][]string{},
		inhabited: map[string]bool{}, domains: []string{"cluster.local", mesh.TrustDomain},
		policy: allUnauthenticated, networks: clusterNetworks, confined: map[string]bool{},
		served: map[ofService]*server{}, told: map[*importer.Object]bool{},
	}
	for _, o := range importer.Of(objects, "", "Namespace") {
		m.namespaces[o.Metadata.Name] = o.Metadata.Annotations
	}
	m.meshTLS = m.authentications("MeshTLSAuthentication")
	m.network = m.authentications("NetworkAuthentication")
	m.installation()
	m.membership()
	m.egressNetworks()
	for _, s := range m.Sorted() {
		m.proxy(s)
		m.inhabited[s.Namespace] = true
		for _, account := range s.Accounts() {
			m.accounts[s.Namespace+"/"+account] = append(m.accounts[s.Namespace+"/"+account], s.Name)
		}
	}
	servers := m.servers()
	m.routes()
	m.profiles()
	m.splits()
	m.rules(servers)
	m.rateLimits(servers)
	m.Others(objects, Kinds, map[string]string{
		"networking.istio.io": "meshc import istio", "security.istio.io": "meshc import istio",
		"consul.hashicorp.com": "meshc import consul",
	})
	m.Finish()
	return m.Mesh
}

// routes reads routes whose parents are Services, with the annotations of each, and Ingresses.
func (m *reader) routes() {
	var objects []*importer.Object
	for _, o := range m.objects {
		switch {
		case (o.Kind == "HTTPRoute" || o.Kind == "GRPCRoute") && hasParent(o, "Server"):
			continue // it is of a rule
		case o.Kind == "HTTPRoute" && o.Group() == policy:
			o = o.As("gateway.networking.k8s.io/v1")
		case strings.HasSuffix(o.Kind, "Route") && hasParent(o, "EgressNetwork"):
			continue // see egressNetworks
		}
		objects = append(objects, o)
	}
	annotated := func(o *importer.Object, r *spec.Route) {
		if t := m.tries(o, true); t.said() {
			t.give(&r.Timeout, &r.IdleTimeout, &r.Retries)
		}
	}
	gatewayapi.Read(m.Mesh, objects, gatewayapi.Habits{ToParent: true, OnRoute: annotated})
	ingress.Read(m.Mesh, objects)
	for _, s := range m.Sorted() {
		if s.Object.Kind == "Service" {
			m.tries(s.Object, false).give(&s.Spec.Timeout, &s.Spec.IdleTimeout, &s.Spec.Retries)
			m.failureAccrual(s)
		}
	}
}

// installation reads the settings of the whole mesh, from the ConfigMap in which Linkerd's installation keeps them.
func (m *reader) installation() {
	for _, o := range importer.Of(m.objects, "", "ConfigMap") {
		if o.Metadata.Name != "linkerd-config" {
			continue
		}
		var data struct {
			Values string `json:"values"`
		}
		var d struct {
			ClusterNetworks     string `json:"clusterNetworks"`
			IdentityTrustDomain string `json:"identityTrustDomain"`
			Proxy               struct {
				DefaultInboundPolicy string `json:"defaultInboundPolicy"`
			} `json:"proxy"`
		}
		if !m.DecodePart(o, "data", &data) {
			continue
		}
		if yaml.Unmarshal([]byte(data.Values), &d) != nil {
			m.Add(o, diag.BadObject, "its values are not those of an installation of Linkerd in YAML", "data", "values")
			continue
		}
		if d.IdentityTrustDomain != "" {
			m.domains = []string{d.IdentityTrustDomain}
		}
		if d.IdentityTrustDomain != "" && m.TrustDomain == "cluster.local" {
			m.TrustDomain = d.IdentityTrustDomain
			m.Repository.Mesh.TrustDomain = spec.Written(d.IdentityTrustDomain)
		}
		if d.Proxy.DefaultInboundPolicy != "" {
			m.policy = d.Proxy.DefaultInboundPolicy
		}
		if d.ClusterNetworks != "" {
			m.networks = strings.Split(d.ClusterNetworks, ",")
		}
	}
}

// parent is what a route is for.
type parent struct {
	Group     string  `json:"group"`
	Kind      string  `json:"kind"`
	Name      string  `json:"name"`
	Namespace *string `json:"namespace"`
	Port      *int    `json:"port"`
}

// parents are those of a route.
func parents(o *importer.Object) []parent {
	var d struct {
		ParentRefs []parent `json:"parentRefs"`
	}
	if !(&importer.Mesh{}).DecodePart(o, "spec", &d) {
		return nil
	}
	return d.ParentRefs
}

// hasParent reports whether a route is for a Server or an EgressNetwork.
func hasParent(o *importer.Object, kind string) bool {
	return slices.ContainsFunc(parents(o), func(p parent) bool { return p.Kind == kind && p.Group == policy })
}
