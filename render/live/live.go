// Package live is what holds for a mesh only while it runs: which instances its services have at the moment, and
// which of them take requests. The compiled mesh (package ir) says none of it and never changes; who renders
// endpoint assignments is given both.
package live

import "github.com/meshc/meshc/compiler/ir"

// Endpoint is an instance as it is at the moment.
type Endpoint struct {
	ir.Endpoint
	// Unhealthy is set for an instance that gets no requests while another is there.
	Unhealthy bool
	// Others are further addresses of a pod, of the other family of IP.
	Others []string
}

// Healthy are endpoints that all take requests.
func Healthy(list []ir.Endpoint) []Endpoint {
	out := make([]Endpoint, 0, len(list))
	for i := range list {
		out = append(out, Endpoint{Endpoint: list[i]})
	}
	return out
}

// Written are the instances that the spec itself says: what holds where nobody knows better, as without a server.
func Written(u *ir.Upstream) []Endpoint { return Healthy(u.Workload.Endpoints) }

// Addresses are those by which callers in a cluster of Kubernetes ask for a service, sorted.
type Addresses struct {
	// Services are the cluster IPs of its Service: a connection to one goes to any instance.
	Services []string
	// Instances are those of its pods, ready or not. They are given where several callees share a port number alone.
	Instances []string
}
