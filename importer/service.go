package importer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
)

// Service is a Kubernetes Service with the service of the mesh that is made from it.
type Service struct {
	Name, Namespace string
	// Account is the service account of the service's pods.
	Account string
	Spec    *spec.Service
	Object  *Object
	// Workloads are the workloads whose pods the Service selects.
	Workloads []*Workload
	// Selector are the labels by which the Service selects its pods.
	Selector map[string]string
	// made are the names of versions that were made from workloads and that nothing has named yet.
	made map[string]bool
	// guessed are the names of ports whose protocol the Service does not say.
	guessed map[string]int
	// same are the ports that lead where others lead by which callers reach it no more, by their numbers.
	same map[int]string
}

// host is the full DNS name of the service in a cluster of that domain.
func (s *Service) host(clusterDomain string) Host {
	return Host{s.Namespace, membername.Plain(s.Name) + "." + s.Namespace + ".svc." + clusterDomain}
}

// Port returns the name of the port with this number, as callers use it, or of one that leads where it did; "" if there
// is none.
func (s *Service) Port(number int) string {
	for name, p := range s.Spec.Ports {
		if p.Port.Value == number {
			return name
		}
	}
	return s.same[number]
}

// MirrorPort is the reason why a gateway cannot mirror requests to a service with several HTTP ports.
const MirrorPort = "copies go to the only port of a service that speaks HTTP, and this one has more"

// PortsOfHTTP returns the number of its ports whose protocol is http, http2 or grpc.
func (s *Service) PortsOfHTTP() int {
	n := 0
	for _, p := range s.Spec.Ports {
		if slices.Contains([]string{"http", "http2", "grpc"}, p.Protocol.Value) {
			n++
		}
	}
	return n
}

// Speaks sets the protocol of a port, if the Service did not say it.
func (s *Service) Speaks(port, protocol string) {
	if _, ok := s.guessed[port]; ok {
		s.Spec.Ports[port].Protocol = spec.Written(protocol)
		delete(s.guessed, port)
	}
}

// Secures sets the protocol of a port to tls: the application ends the connections itself.
func (s *Service) Secures(port string) {
	s.Spec.Ports[port].Protocol = spec.Written("tls")
	delete(s.guessed, port)
}

// settlePorts sets the protocol of ports of which it is still not known: tls for the port of HTTPS, and else tcp.
func (s *Service) settlePorts(m *Mesh) {
	for name, index := range s.guessed {
		p := s.Spec.Ports[name]
		if p.Port.Value == httpsPort {
			p.Protocol = spec.Written("tls")
		}
		m.Add(s.Object, diag.NotCarried,
			fmt.Sprintf("nothing says what port %s speaks: it is taken for %s; name its protocol in appProtocol",
				name, p.Protocol.Value),
			"spec", "ports", strconv.Itoa(index))
	}
}

const httpsPort = 443

// Accounts returns the service accounts of its pods.
func (s *Service) Accounts() []string {
	if len(s.Workloads) == 0 {
		return []string{s.Account}
	}
	var out []string
	for _, w := range s.Workloads {
		if !slices.Contains(out, w.Account) {
			out = append(out, w.Account)
		}
	}
	return out
}

// Select reports whether the selector matches some of the service's pods, or all of them. If no workload of the
// service was read, only the labels in the Service's own selector are known; known is false if these are not
// sufficient.
func (s *Service) Select(selector map[string]string) (some, all, known bool) {
	chosen := labels.SelectorFromSet(selector)
	n := 0
	for _, w := range s.Workloads {
		if chosen.Matches(labels.Set(w.Labels)) {
			n++
		}
	}
	if len(s.Workloads) == 0 { // what its pods have is what it selects them by
		known = true
		for key, value := range selector {
			if own, ok := s.Selector[key]; !ok {
				known = false
			} else if own != value {
				return false, false, true
			}
		}
		return known, known, known
	}
	return n > 0, n == len(s.Workloads), true
}

func (m *Mesh) readServices(objects []*Object) {
	type named struct {
		name, namespace string
		object          *Object
		*spec.External
	}
	var externals []named
	workloads, several := m.readWorkloads(objects), severalHave(objects)
	for _, o := range Of(objects, "", "Service") {
		var d corev1.ServiceSpec
		if !m.Decode(o, "spec", &d) {
			continue
		}
		name := o.Metadata.Name
		switch {
		case d.Type == corev1.ServiceTypeExternalName:
			if e := m.externalName(o, d); e != nil {
				externals = append(externals, named{o.Metadata.Name, o.Metadata.Namespace, o, e})
			}
			continue
		case m.Service(o.Metadata.Namespace, name) != nil:
			m.NotCarried(o, "it stands here twice")
			continue
		case NameOf(name) != name:
			m.NotCarried(o, fmt.Sprintf("%q is not a valid name in the spec", name))
			continue
		case NameOf(o.Metadata.Namespace) != o.Metadata.Namespace:
			m.NotCarried(o, fmt.Sprintf("%q is not a valid name in the spec", o.Metadata.Namespace))
			continue
		case len(d.Selector) == 0:
			m.NotCarried(o, "it selects no pods: name its instances in workload: endpoints", "spec")
			continue
		}
		if several[name] {
			name += "." + o.Metadata.Namespace
		}
		s := &Service{
			Name: name, Namespace: o.Metadata.Namespace, Object: o, Selector: d.Selector,
			Spec: &spec.Service{}, guessed: map[string]int{}, same: map[int]string{},
		}
		s.Spec.Namespace = spec.Written(s.Namespace)
		m.Services[name], m.Repository.Services[name] = s, s.Spec
		for _, w := range workloads {
			if w.Namespace == s.Namespace && len(d.Selector) > 0 && labels.SelectorFromSet(d.Selector).
				Matches(labels.Set(w.Labels)) {
				s.Workloads = append(s.Workloads, w)
			}
		}
		m.readPorts(s, d.Ports)
	}
	m.giveWorkloads()
	for _, e := range externals {
		m.MadeFrom("external", m.AddExternal(e.name, e.namespace, e.External), e.object)
	}
}

func (m *Mesh) readPorts(s *Service, ports []corev1.ServicePort) {
	s.Spec.Ports = map[string]*spec.Port{}
	for i, p := range ports {
		at := []string{"spec", "ports", strconv.Itoa(i)}
		if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP {
			why := "the mesh lets nothing but TCP and UDP through"
			if p.Protocol == corev1.ProtocolUDP {
				why = `UDP goes by no proxy, and is closed until a port has protocol: "udp", with a rule for those who send to it`
			}
			m.NotCarried(s.Object, why, at...)
			continue
		}
		protocol := protocolOf(p)
		name := p.Name
		if name == "" {
			if name = protocol; name == "" {
				name = "main"
			}
		}
		name = Free(s.Spec.Ports, NameOf(name))
		target := m.target(s, p.TargetPort, at)
		if target == 0 {
			target = int(p.Port)
		}
		if other := s.Listens(target); other != "" {
			m.NotCarried(s.Object,
				fmt.Sprintf("port %s leads to %d already, and a port of the application is one port of "+
					"the service", other, target), at...)
			s.same[int(p.Port)] = other
			continue
		}
		port := &spec.Port{Port: spec.Written(int(p.Port)), Protocol: spec.Written(protocol)}
		if p.AppProtocol != nil && *p.AppProtocol == "kubernetes.io/ws" {
			port.Upgrades = spec.WrittenAll("websocket")
		}
		if protocol == "" {
			s.guessed[name] = i
			port.Protocol = spec.Written("tcp")
		}
		if target != int(p.Port) {
			port.Target = spec.Written(target)
		}
		s.Spec.Ports[name] = port
	}
	if len(s.Spec.Ports) == 0 {
		s.Spec.Ports = nil
	}
}

// Listens returns the name of the port whose application listens on that number; "" if there is none.
func (s *Service) Listens(number int) string {
	for name, p := range s.Spec.Ports {
		if p.Target.Or(p.Port.Value) == number {
			return name
		}
	}
	return ""
}

// target returns the number of the port on which the application listens; 0 if it is the same.
func (m *Mesh) target(s *Service, p intstr.IntOrString, at []string) int {
	if p.Type == intstr.Int {
		return p.IntValue()
	}
	number, first := 0, ""
	for _, w := range s.Workloads {
		switch n, ok := w.Ports[p.StrVal]; {
		case !ok:
		case number == 0:
			number, first = n, w.Name
		case n != number:
			m.NotCarried(s.Object,
				fmt.Sprintf("port %s is %d in the pods of %s and %d in those of %s: it is taken for %d",
					p.StrVal, number, first, n, w.Name, number), append(at, "targetPort")...)
		}
	}
	if number != 0 {
		return number
	}
	m.NotCarried(s.Object, fmt.Sprintf("no container of its pods names a port %s", p.StrVal),
		append(at, "targetPort")...)
	return 0
}

// protocolOf returns the protocol of a port according to its appProtocol or the beginning of its name; "" if neither
// says it (Istio, "Protocol Selection").
func protocolOf(p corev1.ServicePort) string {
	said, _, _ := strings.Cut(p.Name, "-")
	if p.AppProtocol != nil {
		said = *p.AppProtocol
	}
	if p.AppProtocol == nil && strings.HasPrefix(p.Name, "grpc-web") {
		said = "grpc-web"
	}
	switch strings.ToLower(said) {
	case "http", "grpc-web", "kubernetes.io/ws": // gRPC-Web is for HTTP/1.1
		return "http"
	case "http2", "kubernetes.io/h2c":
		return "http2"
	case "grpc":
		return "grpc"
	case "https", "tls", "kubernetes.io/wss":
		return "tls"
	case "tcp", "mongo", "mysql", "redis", "postgres", "postgresql":
		return "tcp"
	}
	return ""
}

// externalName makes an external from a Service that is an alias for a host; nil if that is not possible.
func (m *Mesh) externalName(o *Object, d corev1.ServiceSpec) *spec.External {
	e := &spec.External{Hosts: spec.WrittenAll(d.ExternalName), Ports: map[string]*spec.Port{}}
	for _, p := range d.Ports {
		protocol := protocolOf(p)
		if protocol == "" {
			protocol = "tcp"
		}
		name := p.Name
		if name == "" {
			name = protocol
		}
		e.Ports[Free(e.Ports, NameOf(name))] = &spec.Port{
			Port:     spec.Written(int(p.Port)),
			Protocol: spec.Written(protocol),
		}
	}
	if len(e.Ports) == 0 {
		m.NotCarried(o, "it names no ports, and an external has ports")
		return nil
	}
	return e
}

// versionNames are the versions by name, sorted.
func (s *Service) versionNames() []string {
	var out []string
	for name := range s.Spec.Versions {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
