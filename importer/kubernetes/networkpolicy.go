package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshc/meshc/importer"
)

const networking = "networking.k8s.io"

// NetworkPolicies add up: what one lets in, no other can keep out. The policies that meshc renders for the rules of a
// service stand beside those that were read, so rules must let in nobody whom these keep out.

// networkPolicies reads who is let in to the services whose pods NetworkPolicies select for ingress.
func (m *reader) networkPolicies() {
	for _, o := range importer.Of(m.objects, networking, "NetworkPolicy") {
		var d networkingv1.NetworkPolicySpec
		if !m.Decode(o, "spec", &d) {
			m.closeAll(o)
			m.confine(o, labels.Everything())
			continue
		}
		m.confines(o, &d)
		if len(d.Egress) > 0 || slices.Contains(d.PolicyTypes, networkingv1.PolicyTypeEgress) {
			m.NotCarried(o,
				"whom pods may call is read of ingress; the NetworkPolicy stays in the cluster, where it also "+
					"has to let proxies reach the control plane", "spec", "egress")
		}
		if d.PolicyTypes != nil && !slices.Contains(d.PolicyTypes, networkingv1.PolicyTypeIngress) {
			continue // it closes nothing for callers
		}
		chosen, err := metav1.LabelSelectorAsSelector(&d.PodSelector)
		if err != nil {
			m.NotCarried(o, "it is not a valid selector of pods, so all services of the namespace are closed", "spec",
				"podSelector")
			m.closeAll(o)
			continue
		}
		m.networkPolicy(o, &d, chosen)
	}
}

// confines notes the services whose calls a policy bounds: the NetworkPolicy of a service whose undeclared calls pass
// would let its pods out to all that the policy closes.
func (m *reader) confines(o *importer.Object, d *networkingv1.NetworkPolicySpec) {
	if len(d.Egress) == 0 && !slices.Contains(d.PolicyTypes, networkingv1.PolicyTypeEgress) {
		return
	}
	chosen, err := metav1.LabelSelectorAsSelector(&d.PodSelector)
	if err != nil {
		chosen = labels.Everything()
	}
	m.confine(o, chosen)
}

func (m *reader) confine(o *importer.Object, chosen labels.Selector) {
	for _, s := range m.Sorted() {
		if some, _ := pods(s, chosen); some && s.Namespace == o.Metadata.Namespace {
			m.confined[s.Name] = true
		}
	}
}

// closeAll closes the services in the namespace of a policy that cannot be read.
func (m *reader) closeAll(o *importer.Object) {
	for _, s := range m.Sorted() {
		if s.Namespace == o.Metadata.Namespace {
			m.close(s)
		}
	}
}

// networkPolicy closes the services that a policy selects, and lets in whom it names.
func (m *reader) networkPolicy(o *importer.Object, d *networkingv1.NetworkPolicySpec, chosen labels.Selector) {
	var callees []*importer.Service
	var names []string
	hit := false
	for _, s := range m.Sorted() {
		some, all := pods(s, chosen)
		hit = hit || s.Namespace == o.Metadata.Namespace && some
		if s.Namespace != o.Metadata.Namespace || !some || len(s.Spec.Ports) == 0 {
			continue
		}
		m.close(s)
		names = append(names, s.Name)
		if !all {
			m.NotCarried(o,
				"it selects only some of the pods of "+s.Name+", so those whom it names are not let in there",
				"spec", "podSelector")
			continue
		}
		callees = append(callees, s)
	}
	if !hit {
		m.NotCarried(o, "it selects pods of no workload that was read", "spec", "podSelector")
	}
	if len(names) == 0 {
		return
	}
	m.Note(o,
		strings.Join(names, ", ")+": who has no identity is let in only from addresses that NetworkPolicies name; "+
			"give all other callers proxies, or name their addresses, before these get theirs", "spec", "podSelector")
	for i := range d.Ingress {
		m.ingress(o, &d.Ingress[i], callees, []string{"spec", "ingress", strconv.Itoa(i)})
	}
}

// ingress lets in whom a rule names.
func (m *reader) ingress(o *importer.Object, rule *networkingv1.NetworkPolicyIngressRule,
	callees []*importer.Service, at []string,
) {
	for _, callee := range callees {
		ports := m.rulePorts(o, rule.Ports, callee, at)
		if len(ports) == 0 {
			continue
		}
		if len(rule.From) == 0 {
			m.access[callee.Name].ranges.add(everywhere, ports)
		}
		for k := range rule.From {
			m.peer(o, &rule.From[k], callee, ports, append(slices.Clone(at), "from", strconv.Itoa(k)))
		}
	}
}

// peer lets in a peer of a rule: by its addresses, or by the identities of the members among its pods.
func (m *reader) peer(o *importer.Object, p *networkingv1.NetworkPolicyPeer, callee *importer.Service, ports portSet,
	at []string,
) {
	to := m.access[callee.Name]
	if p.IPBlock != nil {
		ranges, err := importer.Without(p.IPBlock.CIDR, p.IPBlock.Except)
		if err != nil {
			m.NotCarried(o, err.Error()+", so nobody is let in for it", at...)
		}
		for _, r := range ranges {
			to.ranges.add(r, ports)
		}
		return
	}
	chosen, err := metav1.LabelSelectorAsSelector(p.PodSelector)
	if p.PodSelector == nil {
		chosen = labels.Everything()
	}
	namespaces := m.namespaces(o, p.NamespaceSelector)
	if err != nil || len(namespaces) == 0 {
		m.NotCarried(o,
			"it names no namespace of a workload that was read, so "+callee.Name+" is closed to its pods", at...)
		return
	}
	if chosen.Empty() {
		for _, n := range namespaces {
			to.namespaces.add(n, ports)
		}
		m.Note(o, fmt.Sprintf("of the pods of namespace %s, %s lets in those that have a proxy",
			strings.Join(namespaces, ", "), callee.Name), at...)
		return
	}
	var known, part []string
	own := false
	for _, s := range m.Sorted() {
		some, all := pods(s, chosen)
		switch {
		case !some || !slices.Contains(namespaces, s.Namespace):
		case s == callee:
			m.NotCarried(o, "calls between the pods of one service are not among the uses of the mesh, so "+s.Name+
				" is closed to its own", at...)
			own = true
		case !all:
			part = append(part, s.Name)
		default:
			known = append(known, s.Name)
			to.services.add(s.Name, ports)
		}
	}
	if len(part) > 0 {
		m.NotCarried(o, fmt.Sprintf("it names only some of the pods of %s, so %s is closed to them",
			strings.Join(part, ", "), callee.Name), at...)
	}
	switch {
	case len(known) > 0:
		m.Note(o, fmt.Sprintf("of the pods of %s, %s lets in those that have a proxy", strings.Join(known, ", "),
			callee.Name), at...)
	case len(part) == 0 && !own:
		m.NotCarried(o, "it names pods of no workload that was read, so "+callee.Name+" is closed to them", at...)
	}
}

// namespaces are those of members that a selector names; without one, that of the policy. Labels of a namespace that
// was not read are unknown, but for its name.
func (m *reader) namespaces(o *importer.Object, selector *metav1.LabelSelector) []string {
	known := map[string]bool{}
	for _, s := range m.Sorted() {
		known[s.Namespace] = true
	}
	if selector == nil {
		if known[o.Metadata.Namespace] {
			return []string{o.Metadata.Namespace}
		}
		return nil
	}
	chosen, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	asked, _ := chosen.Requirements()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(known)) {
		set, read := labels.Set{}, false
		for _, n := range importer.Of(m.objects, "", "Namespace") {
			if n.Metadata.Name == name {
				maps.Copy(set, n.Metadata.Labels)
				read = true
			}
		}
		set[namespaceLabel] = name
		sure := read || !slices.ContainsFunc(asked, func(r labels.Requirement) bool {
			return r.Key() != namespaceLabel
		})
		if sure && chosen.Matches(set) {
			out = append(out, name)
		}
	}
	return out
}

// namespaceLabel is the label by which Kubernetes itself names a namespace.
const namespaceLabel = "kubernetes.io/metadata.name"

// pods reports whether a selector matches the pods of some of the service's workloads, or of all.
func pods(s *importer.Service, chosen labels.Selector) (some, all bool) {
	n := 0
	for _, w := range s.Workloads {
		if chosen.Matches(labels.Set(w.Labels)) {
			n++
		}
	}
	return n > 0, n > 0 && n == len(s.Workloads)
}
