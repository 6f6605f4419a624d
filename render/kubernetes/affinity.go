package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// affinity is on which nodes pods may run, and beside or apart from which other pods; nil for none.
func affinity(a *ir.Affinity) *corev1.Affinity {
	if a == nil {
		return nil
	}
	out := &corev1.Affinity{}
	if n := a.Node; n != nil {
		out.NodeAffinity = &corev1.NodeAffinity{}
		if n.Required != nil {
			required := &corev1.NodeSelector{}
			for _, t := range n.Required.Terms {
				required.NodeSelectorTerms = append(required.NodeSelectorTerms, nodeTerm(t))
			}
			out.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = required
		}
		for _, p := range n.Preferred {
			out.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(
				out.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution,
				corev1.PreferredSchedulingTerm{Weight: p.Weight, Preference: nodeTerm(p.Preference)})
		}
	}
	if p := a.Pod; p != nil {
		required, preferred := podTerms(p)
		out.PodAffinity = &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution:  required,
			PreferredDuringSchedulingIgnoredDuringExecution: preferred,
		}
	}
	if p := a.Anti; p != nil {
		required, preferred := podTerms(p)
		out.PodAntiAffinity = &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution:  required,
			PreferredDuringSchedulingIgnoredDuringExecution: preferred,
		}
	}
	return out
}

func nodeTerm(t ir.NodeSelectorTerm) (out corev1.NodeSelectorTerm) {
	for _, r := range t.Requirements {
		out.MatchExpressions = append(out.MatchExpressions, corev1.NodeSelectorRequirement{
			Key: r.Key, Operator: corev1.NodeSelectorOperator(r.Operator), Values: r.Values,
		})
	}
	return out
}

// podTerms are what must hold of other pods, and what makes a place a better or a worse one.
func podTerms(a *ir.PodAffinity) (required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
	for i := range a.Required {
		required = append(required, podTerm(&a.Required[i]))
	}
	for i := range a.Preferred {
		p := &a.Preferred[i]
		preferred = append(preferred, corev1.WeightedPodAffinityTerm{
			Weight: p.Weight, PodAffinityTerm: podTerm(&p.Term),
		})
	}
	return required, preferred
}

func podTerm(t *ir.PodAffinityTerm) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{
		LabelSelector: labelSelector(t.LabelSelector), TopologyKey: t.TopologyKey, Namespaces: t.Namespaces,
		NamespaceSelector: labelSelector(t.NamespaceSelector),
	}
}

// labelSelector is a selector of labels; nil for none, which selects nothing.
func labelSelector(s *ir.LabelSelector) *metav1.LabelSelector {
	if s == nil {
		return nil
	}
	out := &metav1.LabelSelector{MatchLabels: s.Labels}
	for _, r := range s.Requirements {
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: r.Key, Operator: metav1.LabelSelectorOperator(r.Operator), Values: r.Values,
		})
	}
	return out
}
