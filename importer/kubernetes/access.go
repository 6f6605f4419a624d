package kubernetes

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// access is who NetworkPolicies let in to a service, and on which of its ports.
type access struct{ services, namespaces, ranges reach }

// portSet are ports of a service by their names; reach has those that callers reach, by the callers.
type (
	portSet map[string]bool
	reach   map[string]portSet
)

// everywhere is the caller that stands for all addresses.
const everywhere = ""

func (r reach) add(caller string, ports portSet) {
	if r[caller] == nil {
		r[caller] = portSet{}
	}
	maps.Copy(r[caller], ports)
}

// close leaves a service to those whom NetworkPolicies let in.
func (m *reader) close(s *importer.Service) {
	if m.access[s.Name] == nil {
		m.access[s.Name] = &access{reach{}, reach{}, reach{}}
	}
}

// callersOf are the callers of a service with an identity: those that policies let in, and those of --calls.
func (m *reader) callersOf(s *importer.Service, a *access) reach {
	out := reach{}
	if a != nil {
		for caller, ports := range a.services {
			out.add(caller, ports)
		}
	}
	for _, caller := range slices.Sorted(maps.Keys(m.Calls)) {
		if caller == s.Name || !slices.Contains(m.Calls[caller], s.Name) {
			continue
		}
		if a != nil && a.services[caller] == nil && m.Services[caller] != nil &&
			a.namespaces[m.Services[caller].Namespace] == nil {
			m.Note(s.Object, caller+" may call "+s.Name+" by --calls, and no NetworkPolicy that was read lets it",
				"metadata", "name")
		}
		out.add(caller, all(s))
	}
	return out
}

// all are the ports of a service.
func all(s *importer.Service) portSet {
	out := portSet{}
	for name := range s.Spec.Ports {
		out[name] = true
	}
	return out
}

// written are ports as a rule or a use has them: nil for all of the service's.
func written(s *importer.Service, ports portSet) []spec.Field[string] {
	if len(ports) == len(s.Spec.Ports) {
		return nil
	}
	return spec.WrittenAll(slices.Sorted(maps.Keys(ports))...)
}

// rules calls add for each group of callers who reach the same ports.
func (r reach) rules(s *importer.Service, add func(callers []string, ports []spec.Field[string])) {
	groups := map[string][]string{}
	for _, caller := range slices.Sorted(maps.Keys(r)) {
		key := strings.Join(slices.Sorted(maps.Keys(r[caller])), " ")
		groups[key] = append(groups[key], caller)
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		add(groups[key], written(s, r[groups[key][0]]))
	}
}

// rulePorts are the ports of a service that a rule of a policy names.
func (m *reader) rulePorts(o *importer.Object, list []networkingv1.NetworkPolicyPort, s *importer.Service,
	at []string,
) portSet {
	if len(list) == 0 {
		return all(s)
	}
	out := portSet{}
	for i, p := range list {
		if p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP {
			continue // readPorts says so
		}
		found := false
		for name, port := range s.Spec.Ports {
			if covers(s, &p, port.Target.Or(port.Port.Value)) {
				out[name], found = true, true
			}
		}
		if !found {
			m.NotCarried(o, "it is not a port of the Service "+s.Name,
				append(slices.Clone(at), "ports", strconv.Itoa(i))...)
		}
	}
	return out
}

// covers reports whether a port of a policy is that port of all of the service's pods.
func covers(s *importer.Service, p *networkingv1.NetworkPolicyPort, number int) bool {
	switch {
	case p.Port == nil:
		return true
	case p.Port.Type == intstr.String:
		return !slices.ContainsFunc(s.Workloads, func(w *importer.Workload) bool {
			return w.Ports[p.Port.StrVal] != number
		})
	case p.EndPort != nil:
		return p.Port.IntValue() <= number && number <= int(*p.EndPort)
	}
	return p.Port.IntValue() == number
}
