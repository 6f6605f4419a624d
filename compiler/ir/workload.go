package ir

import "github.com/meshc/meshc/compiler/source"

// Workload says where a service's instances are. Exactly one field is set.
type Workload struct {
	// Pods are the instances when they run in Kubernetes.
	Pods *Pods `json:"pods,omitempty"`
	// DNS is a host name whose addresses are the instances.
	DNS string `json:"dns,omitempty" scope:"callers"`
	// Endpoints are known addresses, in the order written.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	// File is the name of the file that has the endpoints while the mesh runs.
	File string          `json:"file,omitempty" scope:"callers"`
	Pos  source.Position `json:"pos,omitzero"`
}

// Pods are those of an object of Kubernetes in the service's namespace.
type Pods struct {
	Kind PodsKind `json:"kind" scope:"deployment"`
	Name string   `json:"name" scope:"deployment"`
}

// PodsKind is what runs pods.
type PodsKind string

// The kinds of Kubernetes that run pods.
const (
	Deployment  PodsKind = "Deployment"
	StatefulSet PodsKind = "StatefulSet"
	DaemonSet   PodsKind = "DaemonSet"
	Job         PodsKind = "Job"
	CronJob     PodsKind = "CronJob"
)

// PodsKinds are all of them.
func PodsKinds() []PodsKind { return []PodsKind{Deployment, StatefulSet, DaemonSet, Job, CronJob} }

// InCluster reports whether the instances are pods.
func (w *Workload) InCluster() bool { return w.Pods != nil }

// Endpoint is one instance at a known address.
type Endpoint struct {
	// Name tells the instances of a service apart: its address and first port
	// unless local placement gave it another.
	Name string `json:"name"`
	// Address is an IP address.
	Address string `json:"address"`
	// Ports are where the mesh reaches the instance, by the port's name; one
	// for every port of the service.
	Ports map[string]uint16 `json:"ports"`
	// Targets are where this instance's application listens on loopback, by the
	// port's name, where it differs from the port's own Target.
	Targets map[string]uint16 `json:"targets,omitempty"`
	Zone    string            `json:"zone,omitempty"`
	// Region is empty when the zone's name has it; see [Endpoint.InRegion].
	Region string            `json:"region,omitempty"`
	Weight uint32            `json:"weight"`
	Labels map[string]string `json:"labels,omitempty"`
	Pos    source.Position   `json:"pos,omitzero"`
}

// Carries reports whether the endpoint has all of the version's labels.
func (e *Endpoint) Carries(v *Version) bool {
	for name, value := range v.Labels {
		if e.Labels[name] != value {
			return false
		}
	}
	return true
}
