package importer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/spec"
)

// OwnPort says what rules say of callers without an identity on a port of the service.
type OwnPort int

const (
	NotOwn     OwnPort = iota // it is not a port of the service
	Strict                    // the service takes none
	StrictHTTP                // the service takes none, and the port speaks HTTP/1.1
	Bounded                   // it takes those of some addresses, or on other ports
	Ruled                     // it takes all
)

// probe is a probe of a container as the spec has it; nil for one that needs no entry.
func (m *Mesh) probe(w *Workload, c *corev1.Container, p *corev1.Probe, own map[int]OwnPort) *spec.Probe {
	if p == nil {
		return nil
	}
	var to intstr.IntOrString
	out := &spec.Probe{}
	switch {
	case p.TCPSocket != nil && p.TCPSocket.Host == "":
		to, out.TCP = p.TCPSocket.Port, &spec.TCPProbe{}
	case p.GRPC != nil:
		to, out.GRPC = intstr.FromInt32(p.GRPC.Port), &spec.GRPCProbe{}
	case p.HTTPGet != nil && p.HTTPGet.Host == "":
		to = p.HTTPGet.Port
		path, _, _ := strings.Cut(p.HTTPGet.Path, "?")
		out.HTTP = &spec.HTTPProbe{Path: spec.Written("/" + strings.TrimPrefix(path, "/"))}
	default:
		return nil // by exec, or of another host
	}
	number := to.IntValue()
	if to.Type == intstr.String {
		number = named(c, to.StrVal)
	}
	switch {
	case number < 1 || number > 65535:
		m.NotCarried(w.Object, fmt.Sprintf("a probe of container %s is of port %s, which it does not have", c.Name,
			to.String()), "spec", "template")
		return nil
	case out.TCP == nil && own[number] == Ruled:
		return nil // the rules let it in
	case out.TCP == nil && own[number] == Bounded:
		m.NotCarried(w.Object, fmt.Sprintf("port %d is closed to the kubelet's probe, which has no identity: name the "+
			"addresses of the nodes in the ipRanges of a rule with plaintext", number), "spec", "template")
		return nil
	case out.GRPC != nil && own[number] == StrictHTTP:
		m.NotCarried(w.Object,
			fmt.Sprintf("a probe of port %d is by gRPC, and the port speaks HTTP/1.1: name its protocol "+
				"in appProtocol", number), "spec", "template")
		return nil
	case out.HTTP != nil && p.HTTPGet.Scheme == corev1.URISchemeHTTPS:
		m.NotCarried(w.Object, fmt.Sprintf("a probe of port %d is by HTTPS: name the port in proxy.excludeInboundPorts",
			number), "spec", "template")
		return nil
	case out.HTTP != nil && strings.ContainsAny(out.HTTP.Path.Value, "*?#"):
		m.NotCarried(w.Object, fmt.Sprintf("the path of a probe of port %d is not a valid path in the spec", number),
			"spec", "template")
		return nil
	}
	out.Port = spec.Written(number)
	return out
}

// named is the number of a container's port of that name; 0 if it has none.
func named(c *corev1.Container, name string) int {
	for _, p := range c.Ports {
		if p.Name == name {
			return int(p.ContainerPort)
		}
	}
	return 0
}

// AddProbes adds the probes of the kubelet that rules do not let in, as own says by the numbers of ports: of ports that
// are not the service's own, and by TCP, which the proxy answers in place of the application.
func (m *Mesh) AddProbes(s *Service, own map[int]OwnPort) {
	known := map[string]bool{}
	for _, w := range s.Workloads {
		for _, c := range w.Containers() {
			for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				p := m.probe(w, c, probe, own)
				if p == nil {
					continue
				}
				if key := fmt.Sprint(p.Port.Value, p.TCP != nil, p.GRPC != nil, p.HTTP); !known[key] {
					known[key] = true
					s.Spec.Probes = append(s.Spec.Probes, p)
				}
			}
		}
	}
	slices.SortStableFunc(s.Spec.Probes, func(a, b *spec.Probe) int { return cmp.Compare(a.Port.Value, b.Port.Value) })
}
