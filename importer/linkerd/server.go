package linkerd

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

type serverSpec struct {
	AccessPolicy             string                `json:"accessPolicy"`
	ExternalWorkloadSelector *metav1.LabelSelector `json:"externalWorkloadSelector"`
	PodSelector              *metav1.LabelSelector `json:"podSelector"`
	Port                     intstr.IntOrString    `json:"port"`
	ProxyProtocol            string                `json:"proxyProtocol"`
}

// server is a Server: a port of pods that is closed but for those whom policies let in.
type server struct {
	object *importer.Object
	serverSpec
	ports []ofService
	// partial is set where it is for some of the pods of a service.
	partial bool
	// callers are those that are let in whatever they ask for, and routes those for some requests; nil routes for a
	// Server without any, which takes all.
	callers []callers
	routes  []*policyRoute
}

// ofService is a port of a service.
type ofService struct {
	service *importer.Service
	port    string
}

// protocols are those of ports by that of a Server; any other leaves a port as it is.
var protocols = map[string]string{
	"HTTP/1": "http", "HTTP/2": "http2", "gRPC": "grpc", "opaque": "tcp", "TLS": "tls",
}

// servers reads the Servers, the older first, and finds the ports of services that they are for.
func (m *reader) servers() []*server {
	objects := importer.Of(m.objects, policy, "Server")
	slices.SortStableFunc(objects, func(a, b *importer.Object) int {
		return a.Metadata.CreationTimestamp.Compare(b.Metadata.CreationTimestamp.Time)
	})
	inNamespace := map[string][]*importer.Service{}
	for _, s := range m.Sorted() {
		inNamespace[s.Namespace] = append(inNamespace[s.Namespace], s)
	}
	var out []*server
	for _, o := range objects {
		s := &server{object: o}
		if !m.Decode(o, "spec", &s.serverSpec) {
			m.closeAll(o, inNamespace[o.Metadata.Namespace])
			continue
		}
		out = append(out, s)
		if s.PodSelector == nil {
			m.NotCarried(o, "it is for workloads outside the cluster: name their instances in workload: endpoints", "spec",
				"externalWorkloadSelector")
			continue
		}
		chosen, err := metav1.LabelSelectorAsSelector(s.PodSelector)
		if err != nil {
			m.NotCarried(o, "it is not a valid selector of pods, so all services of the namespace are closed", "spec",
				"podSelector")
			m.closeAll(o, inNamespace[o.Metadata.Namespace])
			continue
		}
		for _, service := range inNamespace[o.Metadata.Namespace] {
			m.serve(s, service, chosen)
		}
		if len(s.ports) == 0 {
			m.NotCarried(o, "it is for no port of a Service that was read", "spec", "port")
		}
	}
	return out
}

// closeAll closes the ports of services for which a Server may be that cannot be read.
func (m *reader) closeAll(o *importer.Object, services []*importer.Service) {
	for _, s := range services {
		for name := range s.Spec.Ports {
			m.served[ofService{s, name}] = &server{object: o}
		}
	}
}

// serve has a Server be for a port of a service, if it is for its pods.
func (m *reader) serve(s *server, service *importer.Service, chosen labels.Selector) {
	n, number := 0, s.Port.IntValue()
	open := true // the pods that it is not for
	for _, w := range service.Workloads {
		if !chosen.Matches(labels.Set(w.Labels)) {
			open = open && slices.Contains([]string{allUnauthenticated, audit}, m.podPolicy(w))
			continue
		}
		n++
		if s.Port.Type == intstr.String {
			number = w.Ports[s.Port.StrVal]
		}
	}
	name := service.Listens(number)
	if n == 0 || name == "" {
		return
	}
	port, partial := ofService{service, name}, n < len(service.Workloads)
	if other := m.served[port]; other != nil {
		say := m.NotCarried // as in Linkerd, where the older one holds
		if partial || other.partial {
			say = m.LetsMore
		}
		say(s.object, other.object.String()+" is for port "+name+" of "+service.Name+" already", "spec", "port")
		return
	}
	if why := "it is for some of the pods of " + service.Name + ", and holds for all here"; partial && open {
		m.Note(s.object, why, "spec", "podSelector")
	} else if partial {
		m.Add(s.object, diag.LetsMore, why+": it may let in more than the others' policy", "spec", "podSelector")
	}
	s.partial = s.partial || partial
	m.served[port] = s
	s.ports = append(s.ports, port)
	if protocol := protocols[s.ProxyProtocol]; protocol != "" {
		service.Speaks(name, protocol)
		p := service.Spec.Ports[name]
		if p.Protocol = spec.Written(protocol); protocol != "http" {
			p.Upgrades = nil
		}
	}
}

// podPolicy is the default inbound policy of the pods of a workload.
func (m *reader) podPolicy(w *importer.Workload) string {
	return cmp.Or(m.annotation(w, config+"default-inbound-policy"), m.policy)
}

// policyFor is the default inbound policy of a service's pods: deny, which is told, where they have several.
func (m *reader) policyFor(s *importer.Service) string {
	out := ""
	for _, w := range s.Workloads {
		switch said := m.podPolicy(w); {
		case out == "":
			out = said
		case out != said:
			m.NotCarried(s.Object, "its pods have the policies "+out+" and "+said+", so nobody is let in for them")
			return deny
		}
	}
	return cmp.Or(out, m.policy)
}
