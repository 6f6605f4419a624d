package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
)

// Workload is a Kubernetes object that creates pods: a Deployment, a StatefulSet or a DaemonSet.
type Workload struct {
	Kind, Name, Namespace string
	// Labels, Annotations and Account are those of its pods, and their service account.
	Labels, Annotations map[string]string
	Account             string
	// Ports are the named ports of its containers, by name.
	Ports map[string]int
	// Pods are its pods, as the object has them.
	Pods   corev1.PodSpec
	Object *Object
}

// Containers are those that run as long as its pods: without the init containers, but for sidecars, which are init
// containers that always restart.
func (w *Workload) Containers() []*corev1.Container {
	var out []*corev1.Container
	for i := range w.Pods.InitContainers {
		c := &w.Pods.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			out = append(out, c)
		}
	}
	for i := range w.Pods.Containers {
		out = append(out, &w.Pods.Containers[i])
	}
	return out
}

// podTemplate is where the pods stand in a Deployment, a StatefulSet and a DaemonSet.
type podTemplate struct {
	Template corev1.PodTemplateSpec `json:"template"`
}

// readWorkloads returns the workloads among the objects. Their other fields are not the mesh's concern.
func (m *Mesh) readWorkloads(objects []*Object) []*Workload {
	var out []*Workload
	for _, o := range Of(objects, "apps", "Deployment", "StatefulSet", "DaemonSet") {
		var d podTemplate
		if !m.DecodePart(o, "spec", &d) {
			continue
		}
		w := &Workload{
			Kind: o.Kind, Name: o.Metadata.Name, Namespace: o.Metadata.Namespace,
			Labels: d.Template.Labels, Annotations: d.Template.Annotations,
			Account: cmp.Or(d.Template.Spec.ServiceAccountName, "default"), Ports: map[string]int{},
			Pods: d.Template.Spec, Object: o,
		}
		for _, c := range w.Containers() {
			for _, p := range c.Ports {
				if p.Name != "" {
					w.Ports[p.Name] = int(p.ContainerPort)
				}
			}
		}
		out = append(out, w)
	}
	m.Workloads = out
	return out
}

// giveWorkloads gives each service the workload that it selects. If it selects more than one, they become versions,
// distinguished by the label "version", or by the first label that differs.
func (m *Mesh) giveWorkloads() {
	m.takeParts()
	owners := map[*Workload]*Service{}
	for _, s := range m.Sorted() {
		s.Account = membername.Plain(s.Name)
		if len(s.Workloads) == 0 && m.OnlyRead {
			m.NotCarried(s.Object,
				"none of the workloads that were read has all the labels by which it selects pods", "spec",
				"selector")
			delete(m.Services, s.Name)
			delete(m.Repository.Services, s.Name)
			continue
		}
		if len(s.Workloads) == 0 {
			m.NotCarried(s.Object,
				fmt.Sprintf("none of the workloads that were read has the pods that it selects: a Deployment %s is taken for it", membername.Plain(s.Name)), "spec", "selector")
			s.Spec.Workload = &spec.Workload{Deployment: spec.Written(membername.Plain(s.Name))}
			continue
		}
		if w := s.Workloads[0]; NameOf(w.Name) != w.Name {
			m.NotCarried(s.Object, fmt.Sprintf("its %s is named %q, which is not a valid name in the spec", w.Kind,
				w.Name))
			delete(m.Services, s.Name)
			delete(m.Repository.Services, s.Name)
			continue
		}
		if w, other := taken(s, owners); other != nil {
			m.NotCarried(s.Object, fmt.Sprintf("the pods of %s %s are those of %s already, and a pod is one service",
				w.Kind, w.Name, other.Object))
			delete(m.Services, s.Name)
			delete(m.Repository.Services, s.Name)
			continue
		}
		for _, w := range s.Workloads {
			owners[w] = s
		}
		first := s.Workloads[0]
		s.Account = first.Account
		s.Spec.Workload = workloadOf(first)
		if len(s.Workloads) > 1 {
			m.giveVersions(s)
		}
	}
	for _, s := range m.Sorted() {
		s.giveAccount()
	}
}

// taken returns a workload of the service that another service also has, and that service.
func taken(s *Service, owners map[*Workload]*Service) (*Workload, *Service) {
	for _, w := range s.Workloads {
		if other := owners[w]; other != nil {
			return w, other
		}
	}
	return nil, nil
}

func workloadOf(w *Workload) *spec.Workload {
	name := spec.Written(w.Name)
	switch w.Kind {
	case "StatefulSet":
		return &spec.Workload{StatefulSet: name}
	case "DaemonSet":
		return &spec.Workload{DaemonSet: name}
	case "Job":
		return &spec.Workload{Job: name}
	case "CronJob":
		return &spec.Workload{CronJob: name}
	}
	return &spec.Workload{Deployment: name}
}

func (m *Mesh) giveVersions(s *Service) {
	key := s.distinction()
	s.Spec.Versions, s.made = map[string]*spec.Version{}, map[string]bool{}
	for i, w := range s.Workloads {
		value, ok := w.Labels[key]
		if key == "" || !ok {
			m.NotCarried(s.Object, fmt.Sprintf("no label tells the pods of %s %s from those of the others", w.Kind,
				w.Name), "spec", "selector")
			continue
		}
		v := &spec.Version{Labels: map[string]spec.Field[string]{key: spec.Written(value)}}
		if i > 0 {
			v.Workload = spec.Written(w.Name)
		}
		name := Free(s.Spec.Versions, NameOf(value))
		s.Spec.Versions[name], s.made[name] = v, true
	}
	for _, w := range s.Workloads[1:] {
		if w.Account != s.Account {
			m.NotCarried(s.Object,
				fmt.Sprintf("the pods of %s have the service account %s, and those of %s have %s: a service has one identity", w.Name, w.Account, s.Workloads[0].Name, s.Account), "spec", "selector")
		}
	}
}

// distinction returns the label that differs for each of the service's workloads; "" if there is none.
func (s *Service) distinction() string {
	tells := func(key string) bool {
		values := map[string]bool{}
		for _, w := range s.Workloads {
			if value, ok := w.Labels[key]; ok {
				values[value] = true
			}
		}
		return len(values) == len(s.Workloads)
	}
	if tells("version") {
		return "version"
	}
	for _, key := range slices.Sorted(maps.Keys(s.Workloads[0].Labels)) {
		if tells(key) {
			return key
		}
	}
	return ""
}

// giveAccount gives a service the service account of its pods, on which what they may do in the cluster and in a cloud
// can hang, also where several services share it. Pods that name none get one with the name of the service.
func (s *Service) giveAccount() {
	if s.Account != membername.Plain(s.Name) && s.Account != "default" && NameOf(s.Account) == s.Account {
		s.Spec.Account = spec.Written(s.Account)
	}
}

// Version adds a version with this name and these labels to the service. It replaces a version that was made from a
// workload with the same labels and that nothing has named yet.
func (s *Service) Version(name string, labels map[string]string) {
	v := &spec.Version{Labels: map[string]spec.Field[string]{}}
	for key, value := range labels {
		v.Labels[key] = spec.Written(value)
	}
	for _, known := range s.versionNames() {
		other := s.Spec.Versions[known]
		if !matchesLabels(other.Labels, labels) {
			continue
		}
		v.Workload = other.Workload
		if s.made[known] && len(other.Labels) == len(labels) {
			delete(s.Spec.Versions, known)
			delete(s.made, known)
		}
		break
	}
	if s.Spec.Versions == nil {
		s.Spec.Versions = map[string]*spec.Version{}
	}
	s.Spec.Versions[name] = v
	delete(s.made, name)
}

// matchesLabels reports whether all labels of a version are among the others.
func matchesLabels(version map[string]spec.Field[string], labels map[string]string) bool {
	for key, value := range version {
		if labels[key] != value.Value {
			return false
		}
	}
	return true
}
