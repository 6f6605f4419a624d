package kubernetes

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// The labels of Kubernetes' recommended set that every object carries.
const (
	labelName      = "app.kubernetes.io/name"
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelPartOf    = "app.kubernetes.io/part-of"
	ManagedBy      = "meshc"
)

// labelNamespace is put on every Namespace by the API server.
const labelNamespace = "kubernetes.io/metadata.name"

// LabelMesh is on the ConfigMaps that have the parts of the compiled mesh of that
// name; meshc serve finds them by it.
const LabelMesh = "meshc.dev/mesh"

// annotationBootstrap is a hash of the bootstrap on each pod that started from
// it: Envoy reads it once, so a new one needs new pods.
const annotationBootstrap = "meshc.dev/bootstrap"

// pods is what the pods of a member carry and nobody else's: meshc.dev/service or
// meshc.dev/gateway with its name. Services and NetworkPolicies select by it.
func pods(kind ir.MemberKind, name string) map[string]string {
	return map[string]string{"meshc.dev/" + string(kind): ir.PlainName(name)}
}

// podsOf are the pods that belong to the scope's member.
func podsOf(scope ir.Scope) map[string]string {
	return pods(scope.Kind(), scope.Member().Name)
}

// meta is that of an object beside the scope's member.
func meta(scope ir.Scope, name string) metav1.ObjectMeta {
	labels := podsOf(scope)
	labels[LabelManagedBy], labels[LabelPartOf] = ManagedBy, scope.Settings.Name
	return metav1.ObjectMeta{Name: name, Namespace: scope.Member().Namespace, Labels: labels}
}

// meshMeta is that of an object of no single member.
func meshMeta(settings *ir.Settings, namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, Namespace: namespace,
		Labels: map[string]string{LabelManagedBy: ManagedBy, LabelPartOf: settings.Name},
	}
}
