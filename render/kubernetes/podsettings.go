package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// place gives a pod of a Deployment what the spec says that it carries, beside its own labels and annotations, and
// where it runs. The pods are those labels by which the pods of the Deployment are told from all others.
func place(pod *corev1.PodTemplateSpec, pods map[string]string, p *ir.PodSettings) {
	pod.Labels = merged(p.Labels, pod.Labels)
	pod.Annotations = merged(p.Annotations, pod.Annotations)
	pod.Spec.NodeSelector = p.NodeSelector
	pod.Spec.PriorityClassName = p.PriorityClass
	for _, t := range p.Tolerations {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
			Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value,
			Effect: corev1.TaintEffect(t.Effect), TolerationSeconds: t.Seconds,
		})
	}
	for _, c := range p.SpreadInForce() {
		constraint := corev1.TopologySpreadConstraint{
			MaxSkew: c.MaxSkew, TopologyKey: c.TopologyKey,
			WhenUnsatisfiable: corev1.UnsatisfiableConstraintAction(c.WhenUnsatisfiable),
			LabelSelector:     &metav1.LabelSelector{MatchLabels: pods},
			// Pods that a rollout is about to end are not counted: those that stay would be spread by where they were.
			MatchLabelKeys: []string{"pod-template-hash"},
		}
		if c.MinDomains != 0 {
			constraint.MinDomains = &c.MinDomains
		}
		pod.Spec.TopologySpreadConstraints = append(pod.Spec.TopologySpreadConstraints, constraint)
	}
	pod.Spec.Affinity = affinity(p.Affinity)
}
