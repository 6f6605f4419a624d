package istio

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

var serviceEntryReasons = map[string]string{
	"addresses":          "calls to an external are told apart by the host that they name, or on a tcp port by the port",
	"endpoints":          "an external is looked up in DNS",
	"exportTo":           "whoever names an external in uses may call it, and nobody else",
	"workloadSelector":   "a service of the mesh names its instances itself: workload: endpoints, or a Deployment",
	"subjectAltNames":    "the certificate must be for the host that is called",
	"ports[].targetPort": "a port that does not speak HTTP is the one that is called",
}

// internalReasons are those for a service that is inside the mesh.
var internalReasons = map[string]string{
	"addresses":           "a service is called by its name",
	"exportTo":            "whoever a service lets in may call it",
	"endpoints[].network": "an endpoint is at an address that its callers reach",
}

// serviceEntries makes externals of the services outside the mesh, and services of those
// inside whose instances are named.
func (m *reader) serviceEntries() {
	for _, o := range m.objectsOf(networking, "ServiceEntry") {
		var d networkingv1.ServiceEntry
		if !m.Decode(o, "spec", &d) {
			continue
		}
		if len(d.ExportTo) == 1 && d.ExportTo[0] == "*" {
			d.ExportTo = nil
		}
		reasons := serviceEntryReasons
		if importer.Take(&d.Location) == networkingv1.ServiceEntry_MESH_INTERNAL && len(d.Endpoints) > 0 &&
			len(d.Hosts) > 0 {
			m.internal(o, &d)
			reasons = internalReasons
		} else {
			m.external(o, &d)
		}
		d.Resolution = 0 // instances are at addresses, externals are looked up
		m.Left(o, "spec", &d, reasons)
	}
}

func (m *reader) external(o *importer.Object, d *networkingv1.ServiceEntry) {
	e := &spec.External{Ports: map[string]*spec.Port{}}
	for i, p := range d.Ports {
		name := importer.Free(e.Ports, importer.NameOf(cmp.Or(importer.Take(&p.Name), p.Protocol)))
		port := &spec.Port{
			Port:     spec.Written(int(importer.Take(&p.Number))),
			Protocol: spec.Written(m.protocol(o, importer.Take(&p.Protocol), "spec", "ports", strconv.Itoa(i))),
		}
		if target := int(p.TargetPort); target != 0 && !slices.Contains([]string{"tcp", "tls"}, port.Protocol.Value) {
			p.TargetPort = 0
			if target != port.Port.Value {
				port.Target = spec.Written(target)
			}
		}
		e.Ports[name] = port
	}
	bytes := slices.ContainsFunc(slices.Collect(maps.Values(e.Ports)), func(p *spec.Port) bool {
		return p.Protocol.Value == "tcp"
	})
	for i, host := range importer.Take(&d.Hosts) {
		domain, wild := strings.CutPrefix(host, "*.")
		if strings.Contains(domain, "*") || wild && (bytes || !strings.Contains(domain, ".")) {
			m.NotCarried(o, "an external has hosts that can be looked up, and a wildcard stands for names of a domain "+
				"that requests say, or handshakes", "spec", "hosts", strconv.Itoa(i))
			continue
		}
		e.Hosts = append(e.Hosts, spec.Written(host))
	}
	if len(e.Hosts) == 0 || len(e.Ports) == 0 {
		m.NotCarried(o, "an external has a host and a port")
		return
	}
	m.MadeFrom("external", m.AddExternal(o.Metadata.Name, o.Metadata.Namespace, e), o)
}

// internal makes a service whose instances are the endpoints.
func (m *reader) internal(o *importer.Object, d *networkingv1.ServiceEntry) {
	hosts := importer.Take(&d.Hosts)
	name, _, _ := strings.Cut(hosts[0], ".")
	name = importer.NameOf(name)
	if m.Names()[name] {
		m.NotCarried(o, "another service has the name "+name+" already")
		proto.Reset(d)
		return
	}
	s := &importer.Service{
		Name: name, Namespace: o.Metadata.Namespace, Account: name, Object: o,
		Spec: &spec.Service{Namespace: spec.Written(o.Metadata.Namespace), Ports: map[string]*spec.Port{}},
	}
	for i, p := range d.Ports {
		port := &spec.Port{
			Port:     spec.Written(int(importer.Take(&p.Number))),
			Protocol: spec.Written(m.protocol(o, p.Protocol, "spec", "ports", strconv.Itoa(i))),
		}
		if target := importer.Take(&p.TargetPort); target != 0 && int(target) != port.Port.Value {
			port.Target = spec.Written(int(target))
		}
		s.Spec.Ports[importer.Free(s.Spec.Ports, importer.NameOf(cmp.Or(importer.Take(&p.Name), p.Protocol)))] = port
		p.Protocol = ""
	}
	for i, host := range hosts {
		if m.Aliases[host] = s; m.Lookup(host, s.Namespace) != s || !strings.HasPrefix(host, name+"."+s.Namespace) &&
			host != name {
			m.NotCarried(o, "applications call it by "+name+", or "+name+"."+s.Namespace, "spec", "hosts",
				strconv.Itoa(i))
		}
	}
	s.Spec.Workload = &spec.Workload{}
	for i, e := range d.Endpoints {
		if _, err := netip.ParseAddr(e.Address); err != nil {
			if len(d.Endpoints) == 1 {
				s.Spec.Workload.DNS = spec.Written(importer.Take(&e.Address))
				continue
			}
			m.NotCarried(o, "an endpoint is at an IP address, or all are at the addresses of one host: workload: dns",
				"spec", "endpoints", strconv.Itoa(i))
			proto.Reset(e)
			continue
		}
		s.Spec.Workload.Endpoints = append(s.Spec.Workload.Endpoints, endpoint(s, e))
		if account := importer.Take(&e.ServiceAccount); account != "" && account != name {
			s.Account, s.Spec.Account = account, spec.Written(account)
		}
	}
	m.Services[name], m.Repository.Services[name] = s, s.Spec
}

func endpoint(s *importer.Service, e *networkingv1.WorkloadEntry) *spec.Endpoint {
	out := &spec.Endpoint{Address: spec.Written(importer.Take(&e.Address))}
	for name, number := range importer.Take(&e.Ports) {
		name = importer.NameOf(name)
		if s.Spec.Ports[name] == nil {
			continue
		}
		if out.Ports == nil {
			out.Ports = map[string]spec.Field[int]{}
		}
		out.Ports[name] = spec.Written(int(number))
	}
	if region, rest, _ := strings.Cut(importer.Take(&e.Locality), "/"); region != "" {
		out.Region = spec.Written(region)
		if zone, _, _ := strings.Cut(rest, "/"); zone != "" {
			out.Zone = spec.Written(zone)
		}
	}
	if weight := importer.Take(&e.Weight); weight != 0 {
		out.Weight = spec.Written(int(weight))
	}
	for key, value := range importer.Take(&e.Labels) {
		if out.Labels == nil {
			out.Labels = map[string]spec.Field[string]{}
		}
		out.Labels[key] = spec.Written(value)
	}
	return out
}

// protocol is what a port of Istio speaks.
func (m *reader) protocol(o *importer.Object, name string, at ...string) string {
	switch strings.ToUpper(name) {
	case "HTTP":
		return "http"
	case "HTTP2":
		return "http2"
	case "GRPC", "GRPC-WEB":
		return "grpc"
	case "HTTPS", "TLS":
		return "tls"
	case "TCP", "MONGO", "MYSQL", "REDIS":
		return "tcp"
	}
	m.NotCarried(o, "what it speaks, "+strconv.Quote(name)+", is taken for tcp", append(at, "protocol")...)
	return "tcp"
}
