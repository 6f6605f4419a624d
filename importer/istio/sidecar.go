package istio

import (
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/importer"
)

var sidecarReasons = map[string]string{
	"ingress":               "a service's ports are where it takes connections",
	"egress[].port":         "uses has the ports of a callee by their names",
	"egress[].bind":         "a use has its own address where there is no interception: bind",
	"egress[].captureMode":  "proxy: interception says how traffic gets into the proxy",
	"inboundConnectionPool": "connections are bounded at the caller",
	"outboundTrafficPolicy": "a service calls what it names in uses, and nothing else",
}

// sidecars say which hosts services are given.
func (m *reader) sidecars() {
	rank := map[string]int{}
	for _, o := range m.objectsOf(networking, "Sidecar") {
		var d networkingv1.Sidecar
		if !m.Decode(o, "spec", &d) {
			continue
		}
		labels := importer.Take(&d.WorkloadSelector).GetLabels()
		near := nearness(o, labels)
		var hosts []string
		for _, e := range d.Egress {
			hosts = append(hosts, importer.Take(&e.Hosts)...)
		}
		for _, s := range byName(m.selected(o, labels)) {
			if near <= rank[s.Name] || len(hosts) == 0 {
				continue
			}
			rank[s.Name] = near
			own := s.Namespace
			m.Sees[s.Name] = func(h importer.Host) bool { return shown(hosts, own, h) }
		}
		m.Left(o, "spec", &d, sidecarReasons)
	}
}

// shown reports whether the hosts of a Sidecar, "NAMESPACE/HOST" each, show a host to a service of the own
// namespace.
func shown(hosts []string, own string, h importer.Host) bool {
	for _, pattern := range hosts {
		namespace, name, _ := strings.Cut(pattern, "/")
		if namespace == "." {
			namespace = own
		}
		if (namespace == "*" || namespace == h.Namespace) && importer.Covers(name, h.Name) {
			return true
		}
	}
	return false
}
