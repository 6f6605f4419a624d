package kubernetes

import (
	"slices"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/importer"
)

// members are the objects outside the namespaces of the cluster itself, and those inside.
func members(objects []*importer.Object) (in, left []*importer.Object) {
	for _, o := range objects {
		if membername.OfCluster(o.Metadata.Namespace) {
			left = append(left, o)
		} else {
			in = append(in, o)
		}
	}
	return in, left
}

// aMember is why an object that makes pods is not carried over.
const aMember = "a member is a Deployment, StatefulSet, DaemonSet, Job or CronJob"

// otherWorkloads reports objects that make pods and are of kinds that members are not. Those that belong to another
// object are told with it.
func (m *reader) otherWorkloads() {
	for _, o := range m.objects {
		read := o.Group() == "apps" && slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, o.Kind) ||
			o.Group() == "batch" && (o.Kind == "Job" || o.Kind == "CronJob")
		if read || len(o.Metadata.OwnerReferences) > 0 {
			continue
		}
		var d any
		if m.DecodePart(o, "spec", &d) && makesPods(d) {
			m.NotCarried(o, aMember)
		}
	}
}

// makesPods reports whether a part of an object has containers, or names a workload to take them from, as a Rollout
// does.
func makesPods(tree any) bool {
	switch v := tree.(type) {
	case map[string]any:
		if list, ok := v["containers"].([]any); ok && len(list) > 0 {
			if _, ok := list[0].(map[string]any); ok {
				return true
			}
		}
		if ref, ok := v["workloadRef"].(map[string]any); ok && ref["kind"] != nil {
			return true
		}
		for _, value := range v {
			if makesPods(value) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, makesPods)
	}
	return false
}

// onNodes reports the workloads whose pods are in the networks of their nodes.
func (m *reader) onNodes() {
	for _, s := range m.Sorted() {
		for _, w := range s.Workloads {
			if w.Pods.HostNetwork {
				m.NotCarried(w.Object,
					"its pods are in the networks of their nodes, where connections cannot be redirected: "+
						`write proxy: interception: "explicit" in services.`+membername.Plain(s.Name)+
						", or remove the service",
					"spec", "template", "spec", "hostNetwork")
			}
		}
	}
}
