package consul

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// The annotations of pods.
const (
	inject   = group + "/connect-inject"
	called   = group + "/connect-service"
	portName = group + "/connect-service-port"
	speaks   = group + "/connect-service-protocol"
	calls    = group + "/connect-service-upstreams"
	// transparent turns the redirection of calls off.
	transparent = group + "/transparent-proxy"
	meta        = group + "/service-meta-"
)

// Marks reports whether an object says that Consul is to give pods a proxy, or is one of Consul's.
func Marks(o *importer.Object) bool {
	return o.Metadata.Annotations[inject] != "" || o.Group() == group
}

// membership has those workloads be members that Consul gives a proxy: those with connect-inject, or all where no pods
// have it, which is told.
func (m *reader) membership() {
	said := slices.ContainsFunc(m.Workloads, func(w *importer.Workload) bool { return w.Annotations[inject] != "" })
	member := func(w *importer.Workload) bool {
		if !said && !m.told[inject] {
			m.told[inject] = true
			m.Note(w.Object, "no pods say "+inject+": all are taken for members")
		}
		return !said || w.Annotations[inject] == "true"
	}
	outside := map[*importer.Workload]bool{}
	for _, s := range m.Sorted() {
		if len(s.Workloads) > 0 && !slices.ContainsFunc(s.Workloads, member) {
			m.MakeExternal(s, "Consul gives its pods no proxy ("+inject+")")
			for _, w := range s.Workloads {
				outside[w] = true
			}
		}
	}
	m.AddCallers(m.objects, func(w *importer.Workload) bool {
		if !outside[w] && !member(w) {
			m.NotCarried(w.Object, "Consul gives its pods no proxy ("+inject+"), and so it is left out")
			return true
		}
		return outside[w]
	})
	for _, s := range m.Sorted() {
		name := plainName(s)
		for _, w := range s.Workloads {
			name = cmp.Or(w.Annotations[called], name)
		}
		if other := m.services[name]; other != nil {
			m.NotCarried(s.Object, other.Object.String()+" has the name "+name+" in Consul already")
			m.Remove(s)
			continue
		}
		m.services[name] = s
		if len(s.Workloads) > 0 {
			m.pods(s, s.Workloads[0])
		}
	}
}

// annotations are those of pods that are read, besides service-meta-*.
var annotations = []string{inject, called, portName, speaks, calls, transparent}

// pods reads the annotations of the pods of a service.
func (m *reader) pods(s *importer.Service, w *importer.Workload) {
	for name := range s.Spec.Ports {
		s.Speaks(name, "tcp") // which Consul says
	}
	m.onePort(s, w)
	for _, text := range strings.Split(w.Annotations[calls], ",") {
		parts := strings.Split(strings.TrimSpace(text), ":")
		if parts[0] == "" {
			continue
		}
		number := 0
		if len(parts) > 1 {
			number, _ = strconv.Atoi(parts[1])
		}
		name, _, _ := strings.Cut(parts[0], ".") // NAME.svc, or NAME.NAMESPACE of an enterprise
		if len(parts) > 2 || number == 0 {
			m.NotCarried(w.Object, "it is in another datacenter, a prepared query or has no port", "spec", "template",
				"metadata", "annotations", calls)
			continue
		}
		m.upstreams[s.Name] = append(m.upstreams[s.Name], upstream{DestinationName: name, LocalBindPort: number})
	}
	p := &spec.Proxy{}
	for name, value := range w.Annotations {
		short, ok := strings.CutPrefix(name, group+"/transparent-proxy-exclude-")
		if !ok {
			continue
		}
		for _, text := range strings.Split(value, ",") {
			number, err := strconv.Atoi(strings.TrimSpace(text))
			switch {
			case short == "outbound-cidrs":
				p.ExcludeOutboundRanges = append(p.ExcludeOutboundRanges, spec.Written(strings.TrimSpace(text)))
			case short == "outbound-ports" && err == nil:
				p.ExcludeOutboundPorts = append(p.ExcludeOutboundPorts, spec.Written(number))
			case short == "inbound-ports" && err == nil:
				p.ExcludeInboundPorts = append(p.ExcludeInboundPorts, spec.Written(number))
			}
		}
	}
	if !importer.IsEmpty(p) {
		s.Spec.Proxy = p
	}
	for name := range w.Annotations {
		rest, ok := strings.CutPrefix(name, group+"/")
		if ok && !slices.Contains(annotations, name) && !strings.HasPrefix(name, meta) && (!strings.HasPrefix(rest,
			"transparent-proxy-exclude-") || rest == "transparent-proxy-exclude-uids") {
			m.NotCarried(w.Object, "services."+s.Name+".proxy or mesh.proxy may say it", "spec", "template", "metadata",
				"annotations", name)
		}
	}
}

// onePort leaves a service with the port that it has in Consul: the one that is annotated, or the first one.
func (m *reader) onePort(s *importer.Service, w *importer.Workload) {
	if len(s.Spec.Ports) == 0 {
		return
	}
	wanted := w.Annotations[portName]
	number, err := strconv.Atoi(wanted)
	if err != nil {
		number = w.Ports[wanted]
	}
	keep := s.Listens(number)
	if keep == "" {
		for name, p := range s.Spec.Ports {
			if keep == "" || p.Port.Value < s.Spec.Ports[keep].Port.Value {
				keep = name
			}
		}
	}
	for name := range s.Spec.Ports {
		if name != keep {
			m.NotCarried(s.Object, "a service of Consul has one port, "+keep+", and its proxy refuses connections to port "+name+
				" of callers in the mesh", "spec", "ports")
			delete(s.Spec.Ports, name)
		}
	}
	if protocol := w.Annotations[speaks]; protocol != "" {
		m.speak(s, protocol)
		m.told[speaks+s.Name] = true
	}
}

// speak sets the protocol of the port of a service.
func (m *reader) speak(s *importer.Service, protocol string) {
	for _, p := range s.Spec.Ports {
		p.Protocol, p.Upgrades = spec.Written(protocol), nil
		if protocol == "http" {
			p.Upgrades = spec.WrittenAll("websocket") // Consul needs no configuration for them
		}
	}
}

// definitions reads the definitions of services on hosts: each is an instance.
func (m *reader) definitions() {
	for _, o := range importer.Of(m.objects, group, "ServiceDefinition") {
		var d definition
		if !m.Decode(o, "spec", &d) {
			continue
		}
		name := o.Metadata.Name
		if d.Connect == nil || d.Connect.SidecarService == nil {
			m.NotCarried(o, "it has no connect { sidecar_service }, and so no proxy", "spec")
			continue
		}
		if importer.NameOf(name) != name {
			m.NotCarried(o, strconv.Quote(name)+" is not a valid name in the spec")
			continue
		}
		s := m.services[name]
		if s == nil {
			s = &importer.Service{Name: name, Namespace: "default", Account: name, Object: o, Spec: &spec.Service{
				Workload: &spec.Workload{},
			}}
			if d.Port > 0 {
				s.Spec.Ports = map[string]*spec.Port{"main": {Port: spec.Written(d.Port), Protocol: spec.Written("tcp")}}
			}
			m.services[name], m.Services[name], m.Repository.Services[name] = s, s, s.Spec
		}
		m.instance(o, s, &d)
		m.upstreams[name] = append(m.upstreams[name], d.Connect.SidecarService.Proxy.Upstreams...)
	}
}

// names gives services of hosts the names by which callers reach them in Consul's DNS.
func (m *reader) names() {
	for name, s := range m.services {
		if s.Object.Kind != "ServiceDefinition" || s.PortsOfHTTP() == 0 {
			continue
		}
		s.Spec.Hosts = spec.WrittenAll(name + ".virtual.consul")
		if !s.Spec.Workload.DNS.IsSet() {
			s.Spec.Hosts = append(s.Spec.Hosts, spec.Written(name+".service.consul"))
		}
	}
}

// isTransparent reports whether calls of a service are redirected to its proxy, as they are in Kubernetes by default.
func isTransparent(s *importer.Service) bool {
	return len(s.Workloads) > 0 && s.Workloads[0].Annotations[transparent] != "false"
}

// instance adds an instance of a service. Where its host is not said, they are all looked up in Consul's DNS.
func (m *reader) instance(o *importer.Object, s *importer.Service, d *definition) {
	w := s.Spec.Workload
	if d.Address == "" && len(w.Endpoints) == 0 {
		w.DNS = spec.Written(s.Name + ".service.consul")
		m.Note(o, "it does not say where its host is: its instances are those that Consul's DNS has for "+w.DNS.Value)
		return
	}
	if d.Address == "" || w.DNS.IsSet() {
		return
	}
	e := &spec.Endpoint{Address: spec.Written(d.Address)}
	if own := s.Spec.Ports["main"]; own != nil && d.Port > 0 && own.Port.Value != d.Port {
		e.Port = spec.Written(d.Port)
	}
	if n := d.Weights["passing"]; n > 1 {
		e.Weight = spec.Written(min(n, 128))
	}
	for key, value := range d.Meta {
		if e.Labels == nil {
			e.Labels = map[string]spec.Field[string]{}
		}
		e.Labels[key] = spec.Written(value)
	}
	w.Endpoints = append(w.Endpoints, e)
}
