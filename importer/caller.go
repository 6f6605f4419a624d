package importer

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
)

// AddCallers adds the workloads that no Service selects: members that call and are not called. Those for which left
// reports true stay out.
func (m *Mesh) AddCallers(objects []*Object, left func(w *Workload) bool) {
	owned := map[*Workload]bool{}
	for _, s := range m.Sorted() {
		for _, w := range s.Workloads {
			owned[w] = true
		}
	}
	for _, w := range m.Workloads {
		if !owned[w] && (left == nil || !left(w)) {
			m.addCaller(w)
		}
	}
	for _, o := range Of(objects, "batch", "Job", "CronJob") {
		if len(o.Metadata.OwnerReferences) > 0 || membername.OfCluster(o.Metadata.Namespace) {
			continue
		}
		if w := m.batch(o); w != nil && (left == nil || !left(w)) {
			m.addCaller(w)
		}
	}
}

// batch reads a Job or a CronJob; nil for one that is not valid.
func (m *Mesh) batch(o *Object) *Workload {
	type template struct {
		Template corev1.PodTemplateSpec `json:"template"`
	}
	var d struct {
		template
		JobTemplate struct {
			Spec template `json:"spec"`
		} `json:"jobTemplate"`
	}
	if !m.DecodePart(o, "spec", &d) {
		return nil
	}
	pods := d.Template
	if o.Kind == "CronJob" {
		pods = d.JobTemplate.Spec.Template
	}
	return &Workload{
		Kind: o.Kind, Name: o.Metadata.Name, Namespace: o.Metadata.Namespace,
		Labels: pods.Labels, Annotations: pods.Annotations,
		Account: cmp.Or(pods.Spec.ServiceAccountName, "default"), Pods: pods.Spec, Object: o,
	}
}

// addCaller adds a service without ports for a workload that no Service selects. Where its name is taken or
// is not valid, it tells that.
func (m *Mesh) addCaller(w *Workload) {
	switch {
	case NameOf(w.Name) != w.Name || NameOf(w.Namespace) != w.Namespace:
		m.NotCarried(w.Object, fmt.Sprintf("%q is not a valid name in the spec", w.Name))
		return
	case m.Repository.Services[w.Name] != nil:
		m.NotCarried(w.Object, fmt.Sprintf("a Service that does not select its pods has the name %s", w.Name))
		return
	}
	s := &Service{
		Name: w.Name, Namespace: w.Namespace, Account: w.Account, Object: w.Object, Workloads: []*Workload{w},
		Spec: &spec.Service{Namespace: spec.Written(w.Namespace), Workload: workloadOf(w)},
	}
	s.giveAccount()
	m.Services[w.Name], m.Repository.Services[w.Name] = s, s.Spec
}
