package kubernetes

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/ir"
)

// disruptionBudget lets a node be drained, one pod of the gateway at a time. The pods of services are their teams', who
// may have a budget for them: of pods with two budgets Kubernetes evicts none (MultiplePodDisruptionBudgets).
func disruptionBudget(scope ir.Scope) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: meta(scope, scope.Member().Name),
		Spec:       oneAtATime(podsOf(scope)),
	}
}

func oneAtATime(pods map[string]string) policyv1.PodDisruptionBudgetSpec {
	one, broken := intstr.FromInt32(1), policyv1.AlwaysAllow
	return policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: &one,
		Selector:       &metav1.LabelSelector{MatchLabels: pods},
		// A pod that is not ready serves nobody and need not hold a node back.
		UnhealthyPodEvictionPolicy: &broken,
	}
}
