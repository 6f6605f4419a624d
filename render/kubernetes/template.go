package kubernetes

import "github.com/meshc/meshc/compiler/ir"

// PodTemplate is what the mesh writes of the template of a member's pods: where that is not the same, Kubernetes
// replaces the pods. It is nil for a service outside the cluster, and for one whose pods run to their end and are not
// replaced.
func PodTemplate(scope ir.Scope, proxy Proxy) any {
	if scope.Gateway != nil {
		return gatewayDeployment(scope, proxy).Spec.Template
	}
	w := &scope.Service.Workload
	if !w.InCluster() || w.Pods.Kind == ir.Job || w.Pods.Kind == ir.CronJob {
		return nil
	}
	return sidecarPod(scope, proxy)
}
