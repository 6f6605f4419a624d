package importer

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/spec"
)

// defaultClusterDomain is what names of services end in where nothing else is said.
const defaultClusterDomain = "cluster.local"

// readClusterDomain sets the DNS domain in which objects name services: that of the options, else the one in which all
// of them do. Names in another domain mean nobody in this cluster, and are told.
func (m *Mesh) readClusterDomain(objects []*Object) {
	type first struct {
		object *Object
		path   []string
	}
	found := map[string]first{}
	for _, o := range objects {
		eachScalar(o.node, nil, func(path []string, text string) {
			if domain := m.domainOf(text); domain != "" && found[domain].object == nil {
				found[domain] = first{o, slices.Clone(path)}
			}
		})
	}
	domains := slices.Sorted(maps.Keys(found))
	switch {
	case m.ClusterDomain != "":
	case len(domains) == 1:
		m.ClusterDomain = domains[0]
	default:
		m.ClusterDomain = defaultClusterDomain
	}
	for _, domain := range domains {
		if at := found[domain]; domain != m.ClusterDomain {
			m.Add(at.object, diag.NotCarried, fmt.Sprintf("names of services end in %s here, and in %s elsewhere: "+
				"a mesh has one domain of its cluster; --cluster-domain says which", domain, m.ClusterDomain), at.path...)
		}
	}
	if m.ClusterDomain != defaultClusterDomain {
		m.Repository.Mesh.ClusterDomain = spec.Written(m.ClusterDomain)
	}
}

// domainOf is the domain of the cluster in a name of one of its services, as objects write it: "cart.shop.svc.DOMAIN",
// "*.shop.svc.DOMAIN" or "NAMESPACE/cart.shop.svc.DOMAIN"; empty for other text. The domain clusterset.local is that of
// services of several clusters.
func (m *Mesh) domainOf(text string) string {
	host, domain, found := strings.Cut(text, ".svc.")
	host = host[strings.LastIndex(host, "/")+1:]
	name, namespace, dotted := strings.Cut(host, ".")
	if !found || !dotted || domain == clusterSet || !clusterDomains.MatchString(domain) {
		return ""
	}
	if m.Service(namespace, name) != nil {
		return domain
	}
	if name == "*" && slices.ContainsFunc(m.Sorted(), func(s *Service) bool { return s.Namespace == namespace }) {
		return domain
	}
	return ""
}

// clusterDomains are domains that a cluster may have.
var clusterDomains = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// clusterSet is where the multi-cluster services API has the names of services that several clusters have.
const clusterSet = "clusterset.local"

// eachScalar calls a function with each text of an object's fields, besides its metadata and status.
func eachScalar(node *kyaml.Node, path []string, each func(path []string, text string)) {
	switch node.Kind {
	case kyaml.ScalarNode:
		each(path, node.Value)
	case kyaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if name := node.Content[i].Value; len(path) > 0 || name != "metadata" && name != "status" {
				eachScalar(node.Content[i+1], append(path, name), each)
			}
		}
	case kyaml.SequenceNode:
		for i, item := range node.Content {
			eachScalar(item, append(path, strconv.Itoa(i)), each)
		}
	}
}
