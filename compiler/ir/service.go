package ir

import (
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/source"
)

// Service is a member of the mesh with a proxy beside each instance.
type Service struct {
	Upstream
	// Account is the service account that the identity is made of.
	Account string `json:"account" scope:"deployment"`
	// Shared is set where another service has the account too.
	Shared bool `json:"shared,omitempty" scope:"deployment"`
	Guards
	// Uses are the calls that the service makes, sorted by To.
	Uses    []Use   `json:"uses,omitempty"`
	Proxy   Proxy   `json:"proxy"`
	LastHop LastHop `json:"lastHop"`
	// Scrape are the application's own metrics, in the order written.
	Scrape []Scrape `json:"scrape,omitempty"`
	// Telemetry is what the proxies report.
	Telemetry Telemetry `json:"telemetry,omitzero"`
}

// Upstream is a service as its callers see it. It says nothing of whom the
// service calls and whom else it lets in.
type Upstream struct {
	Name      string `json:"name" member:""`
	Namespace string `json:"namespace"`
	// Identity is the only one that the service's proxies have, and the only
	// one that callers accept.
	Identity spiffeid.ID `json:"identity"`
	Workload Workload    `json:"workload"`
	// Created is set where meshc makes the Kubernetes Service that callers in the cluster name; see
	// [Upstream.ClusterService].
	Created bool `json:"createService,omitempty"`
	// Further are names by which callers reach the service besides those that it has anyway ([Settings.Hosts]), in
	// small letters, sorted.
	Further []string `json:"hosts,omitempty" scope:"callers"`
	// Explicit is set when the proxies listen on the ports' Numbers themselves,
	// without redirection; see [Upstream.InstancePort].
	Explicit bool `json:"explicit,omitempty"`
	// Forms are the [Proxy.Requests] of the service, as its callers' proxies need to know.
	Forms Forms `json:"forms,omitzero" scope:"callers"`
	// Ports are those of TCP, which the proxies take, sorted by name.
	Ports []Port `json:"ports"`
	// UDP are the ports of UDP, which no proxy takes, sorted by name; their names are none of Ports.
	UDP []Port `json:"udp,omitempty" scope:"deployment"`
	// Versions are sorted by name.
	Versions []Version `json:"versions,omitempty"`
	// Routes are read from the top; the first match wins, and what none matches
	// goes to any instance. They hold for every HTTP port of the service.
	Routes       []Route      `json:"routes,omitempty" scope:"callers"`
	LoadBalancer LoadBalancer `json:"loadBalancer,omitzero" scope:"callers"`
	// Outliers is nil for [DefaultOutliers].
	Outliers *Outliers `json:"outliers" scope:"callers"`
	Health   *Health   `json:"health,omitempty"`
	Locality *Locality `json:"locality,omitempty" scope:"callers"`
	// Traffic is what the service itself says; see [Settings.Policy].
	Traffic Traffic `json:"traffic,omitzero" scope:"callers"`
	// Objectives of all requests to the service; nil for none.
	Objectives *Objectives     `json:"objectives,omitempty"`
	Pos        source.Position `json:"pos,omitzero"`
}

// Port is a port that a service listens on.
type Port struct {
	Name string `json:"name"`
	// Number is what callers use; Target is where the application listens.
	Number   uint16   `json:"number"`
	Target   uint16   `json:"target"`
	Protocol Protocol `json:"protocol"`
	// Open is set when nothing guards the port: its connections are the application's
	// own, without TLS, identity and rules, and no member calls it by the mesh.
	Open bool `json:"open,omitempty"`
	// Upgrades are protocols that connections may be upgraded to, lower case,
	// sorted. HTTP only.
	Upgrades []string        `json:"upgrades,omitempty"`
	Pos      source.Position `json:"pos,omitzero"`
}

// Protocol is what is spoken on a port.
type Protocol string

// The protocols.
const (
	HTTP  Protocol = "http"  // HTTP/1.1
	HTTP2 Protocol = "http2" // HTTP/2 without TLS of its own
	GRPC  Protocol = "grpc"
	TCP   Protocol = "tcp"   // opaque bytes
	TLS   Protocol = "tls"   // the application's own TLS, passed through
	HTTPS Protocol = "https" // externals only: the proxy originates TLS
	UDP   Protocol = "udp"   // datagrams, which pass no proxy
)

// IsHTTP reports whether the proxy reads requests on the port, so that routes
// and rules about requests hold there.
func (p Protocol) IsHTTP() bool { return p == HTTP || p == HTTP2 || p == GRPC || p == HTTPS }

// Multiplexed reports whether the application speaks HTTP/2 on the port.
func (p Protocol) Multiplexed() bool { return p == HTTP2 || p == GRPC }

// Version is the subset of the instances that carry all of its labels.
type Version struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	// Workload is the name of the object whose pods they are; empty for that of the
	// service.
	Workload string          `json:"workload,omitempty" scope:"deployment"`
	Pos      source.Position `json:"pos,omitzero"`
}

// PodsNames are the names of the objects, of the kind that the workload says, whose
// pods are the instances; sorted, each once. None outside Kubernetes.
func (u *Upstream) PodsNames() []string {
	if !u.Workload.InCluster() {
		return nil
	}
	names := []string{u.Workload.Pods.Name}
	for i := range u.Versions {
		if name := u.Versions[i].Workload; name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Endpoint returns the endpoint of that name, or nil.
func (u *Upstream) Endpoint(name string) *Endpoint {
	for i := range u.Workload.Endpoints {
		if e := &u.Workload.Endpoints[i]; e.Name == name {
			return e
		}
	}
	return nil
}

// Port returns the port of that name, or nil.
func (u *Upstream) Port(name string) *Port {
	return portByName(u.Ports, name)
}

// OpenPorts are the names of the ports that nothing guards.
func (u *Upstream) OpenPorts() []string {
	var names []string
	for i := range u.Ports {
		if u.Ports[i].Open {
			names = append(names, u.Ports[i].Name)
		}
	}
	return names
}

// Version returns the version of that name, or nil.
func (u *Upstream) Version(name string) *Version {
	for i := range u.Versions {
		if u.Versions[i].Name == name {
			return &u.Versions[i]
		}
	}
	return nil
}

// Hosts are the names that callers in a namespace may address a service by, the shortest first: those that Kubernetes'
// DNS answers, NAME, NAME.NAMESPACE, NAME.NAMESPACE.svc and NAME.NAMESPACE.svc.CLUSTER-DOMAIN, and its further names.
// Where several namespaces have a service of that name, NAME is the one in the caller's own.
func (s *Settings) Hosts(u *Upstream, namespace string) []string {
	qualified := u.QualifiedName()
	hosts := []string{qualified, qualified + ".svc", s.ServiceHost(u.PlainName(), u.Namespace)}
	if u.Name == u.PlainName() || u.Namespace == namespace {
		hosts = slices.Insert(hosts, 0, u.PlainName())
	}
	return append(hosts, u.Further...)
}

func portByName(ports []Port, name string) *Port {
	for i := range ports {
		if ports[i].Name == name {
			return &ports[i]
		}
	}
	return nil
}
