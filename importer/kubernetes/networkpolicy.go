package kubernetes

import (
	"slices"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/importer"
)

const (
	networking = "networking.k8s.io"
	// namespaceLabel is the label by which Kubernetes itself names a namespace.
	namespaceLabel = "kubernetes.io/metadata.name"
)

// stays is why nothing is let in that a NetworkPolicy keeps out.
const stays = "the NetworkPolicy stays in the cluster and goes on to hold"

// networkPolicies makes calls of the ingress rules that name pods of services: their callers may call, and nothing else
// in the cluster says who does.
func (m *reader) networkPolicies() {
	for _, o := range importer.Of(m.objects, networking, "NetworkPolicy") {
		var d networkingv1.NetworkPolicySpec
		if !m.Decode(o, "spec", &d) {
			continue
		}
		if len(d.Egress) > 0 {
			m.NotCarried(o, "whom pods may call is read of ingress; "+stays, "spec", "egress")
		}
		callees, ok := m.selected(o.Metadata.Namespace, &d.PodSelector)
		if !ok {
			m.NotCarried(o, "only matchLabels are read; "+stays, "spec", "podSelector")
			continue
		}
		for i, rule := range d.Ingress {
			for k := range rule.From {
				at := []string{"spec", "ingress", strconv.Itoa(i), "from", strconv.Itoa(k)}
				m.calls(o, &rule.From[k], callees, at)
			}
		}
	}
}

// calls adds those of the pods that a peer of a NetworkPolicy names.
func (m *reader) calls(o *importer.Object, p *networkingv1.NetworkPolicyPeer, callees []*importer.Service,
	at []string,
) {
	namespace := o.Metadata.Namespace
	if n := p.NamespaceSelector; n != nil {
		namespace = n.MatchLabels[namespaceLabel]
		if len(n.MatchLabels) != 1 || len(n.MatchExpressions) > 0 || namespace == "" {
			m.NotCarried(o, "it names no single namespace; "+stays, at...)
			return
		}
	}
	if p.IPBlock != nil || p.PodSelector == nil {
		m.NotCarried(o, "it names no pods; "+stays, at...)
		return
	}
	callers, ok := m.selected(namespace, p.PodSelector)
	if !ok || len(callers) == 0 {
		m.NotCarried(o, "it names pods of no service that was read, by matchLabels; "+stays, at...)
		return
	}
	for _, caller := range callers {
		for _, callee := range callees {
			if caller != callee && len(callee.Spec.Ports) > 0 && !slices.Contains(m.Calls[caller.Name], callee.Name) {
				m.Calls[caller.Name] = append(m.Calls[caller.Name], callee.Name)
			}
		}
	}
}

// selected are the services of a namespace some of whose pods have the labels; false for a selector with expressions.
func (m *reader) selected(namespace string, selector *metav1.LabelSelector) ([]*importer.Service, bool) {
	if len(selector.MatchExpressions) > 0 {
		return nil, false
	}
	var out []*importer.Service
	for _, s := range m.Sorted() {
		if some, _, known := s.Select(selector.MatchLabels); s.Namespace == namespace && some && known {
			out = append(out, s)
		}
	}
	return out, true
}
