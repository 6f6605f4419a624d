package linkerd

import (
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

type egressNetwork struct {
	TrafficPolicy string    `json:"trafficPolicy"`
	Networks      []network `json:"networks"`
}

// globalEgress is the namespace whose EgressNetworks are for all others, unless an installation says otherwise.
const globalEgress = "linkerd-egress"

// egressNetworks reads which calls leave the mesh: those of the routes of an EgressNetwork go to externals, and what an
// EgressNetwork denies is refused.
func (m *reader) egressNetworks() {
	networks := map[string]*egressNetwork{}
	for _, o := range importer.Of(m.objects, policy, "EgressNetwork") {
		d := &egressNetwork{}
		if !m.Decode(o, "spec", d) {
			d.TrafficPolicy = "Deny"
		}
		networks[o.Metadata.Namespace+"/"+o.Metadata.Name] = d
		if d.TrafficPolicy == "Allow" {
			continue
		}
		namespace := o.Metadata.Namespace
		if namespace == globalEgress {
			namespace = ""
		}
		m.confined[namespace] = true
		if len(d.Networks) > 0 {
			m.Note(o, "calls to other networks are refused too: an external lets them through", "spec", "networks")
		}
	}
	for _, o := range m.objects {
		if strings.HasSuffix(o.Kind, "Route") && hasParent(o, "EgressNetwork") {
			m.egressRoute(o, networks)
		}
	}
}

// egressRoute makes an external of the hosts of a route of an EgressNetwork.
func (m *reader) egressRoute(o *importer.Object, networks map[string]*egressNetwork) {
	var d struct {
		Hostnames []string         `json:"hostnames"`
		Rules     []map[string]any `json:"rules"`
	}
	if !m.DecodePart(o, "spec", &d) {
		return
	}
	e := &spec.External{Ports: map[string]*spec.Port{}}
	for i, host := range d.Hostnames {
		if strings.HasPrefix(host, "*") {
			m.NotCarried(o, "an external has hosts, and no patterns", "spec", "hostnames", strconv.Itoa(i))
			continue
		}
		e.Hosts = append(e.Hosts, spec.Written(host))
	}
	for i, p := range parents(o) {
		at := []string{"spec", "parentRefs", strconv.Itoa(i)}
		namespace := o.Metadata.Namespace
		if p.Namespace != nil {
			namespace = *p.Namespace
		}
		if p.Kind != "EgressNetwork" || networks[namespace+"/"+p.Name] == nil {
			m.NotCarried(o, "no EgressNetwork "+namespace+"/"+p.Name+" was read", at...)
			continue
		}
		name, protocol, number := "http", "http", 80
		switch o.Kind {
		case "GRPCRoute":
			name, protocol = "grpc", "grpc"
		case "TLSRoute":
			name, protocol, number = "tls", "tls", 443
		case "TCPRoute":
			name, protocol, number = "tcp", "tcp", 0
		}
		if p.Port != nil {
			number = *p.Port
		}
		if number == 0 {
			m.NotCarried(o, "it names no port", at...)
			continue
		}
		e.Ports[importer.Free(e.Ports, name)] = &spec.Port{Port: spec.Written(number), Protocol: spec.Written(protocol)}
	}
	if len(e.Hosts) == 0 || len(e.Ports) == 0 {
		m.NotCarried(o, "an external has a host and a port, and it is left out: its calls are refused where the "+
			"EgressNetwork denies others")
		return
	}
	for i, rule := range d.Rules {
		for _, name := range []string{"matches", "filters", "timeouts"} {
			if rule[name] != nil {
				m.LetsMore(o, "an external has no routes", "spec", "rules", strconv.Itoa(i), name)
			}
		}
	}
	if t := m.tries(o, false); t.said() {
		t.give(&e.Timeout, &e.IdleTimeout, &e.Retries)
	}
	m.MadeFrom("external", m.AddExternal(o.Metadata.Name, o.Metadata.Namespace, e), o)
}
