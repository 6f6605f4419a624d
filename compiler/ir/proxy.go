package ir

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Proxy is how a member's proxies run.
type Proxy struct {
	Interception Interception `json:"interception"`
	// InboundPort and OutboundPort take redirected connections.
	InboundPort  uint16 `json:"inboundPort"`
	OutboundPort uint16 `json:"outboundPort"`
	// ExcludeInboundPorts, ExcludeOutboundPorts and ExcludeOutboundRanges are not
	// redirected.
	ExcludeInboundPorts   []uint16       `json:"excludeInboundPorts,omitempty" scope:"deployment"`
	ExcludeOutboundPorts  []uint16       `json:"excludeOutboundPorts,omitempty" scope:"deployment"`
	ExcludeOutboundRanges []netip.Prefix `json:"excludeOutboundRanges,omitempty" scope:"deployment"`
	// PassUndeclared lets connections of the application that its uses do not declare go where they were made to; see
	// [Scope.PassesUndeclared].
	PassUndeclared bool `json:"passUndeclared,omitempty"`
	// Privileged is what of the pods may go round their proxy or see into it: containers
	// and fields of the pod, by name, sorted.
	Privileged []string `json:"privileged,omitempty" scope:"-"`
	// Family is the only IP family of the proxy's listeners; empty for both.
	Family IPFamily `json:"family,omitempty"`
	// DrainTime is how long connections of a listener that is no more may last, in
	// whole seconds.
	DrainTime Duration `json:"drainTime,omitempty" scope:"deployment"`
	// Requests are forms of requests that the proxy takes, of callers and of the application itself.
	Requests Forms `json:"requests,omitzero"`
	// AdminPort is Envoy's, on loopback.
	AdminPort uint16 `json:"adminPort"`
	// HealthPort is where the proxy answers probes of what it tries itself.
	HealthPort uint16 `json:"healthPort"`
	// MetricsPort is where the proxy's metrics are read; 0 where they are not ([Settings.Metrics]).
	MetricsPort uint16 `json:"metricsPort,omitempty"`
	// CertificateDirectory holds tls.crt, tls.key and ca.crt.
	CertificateDirectory string `json:"certificateDirectory"`
	// SecretDirectory has a directory for each of the member's secrets ([Scope.Secrets]). It may be empty where
	// a service has none.
	SecretDirectory string `json:"secretDirectory,omitempty"`
	// Server is meshc serve, HOST:PORT.
	Server string `json:"server"`
	// Image is that of the proxy in pods; empty for [Images.Envoy].
	Image string `json:"image,omitempty" scope:"deployment"`
	// Concurrency is the number of Envoy's threads in pods; 0 for [DefaultConcurrency].
	Concurrency uint16 `json:"concurrency,omitempty" scope:"deployment"`
	// LogLevel is that of Envoy in pods; empty for Envoy's own default.
	LogLevel string `json:"logLevel,omitempty" scope:"deployment"`
	// Requests and limits of the proxy's container. What is empty has the default of [Proxy.ResourcesInForce].
	Resources Resources `json:"resources,omitzero" scope:"deployment"`
	// PodLabels and PodAnnotations are of the pods that the proxy runs in, beside those of meshc and of the team.
	PodLabels      map[string]string `json:"podLabels,omitempty" scope:"deployment"`
	PodAnnotations map[string]string `json:"podAnnotations,omitempty" scope:"deployment"`
}

// DefaultConcurrency is how many threads a proxy in a pod has. Envoy's own default is one for each core of the node.
const DefaultConcurrency = 2

// Threads is the number of Envoy's threads in pods.
func (p *Proxy) Threads() uint16 { return cmp.Or(p.Concurrency, DefaultConcurrency) }

// Resources are what a container asks of its node, and what it may take of it.
type Resources struct {
	Requests Amounts `json:"requests,omitzero"`
	Limits   Amounts `json:"limits,omitzero"`
}

// Amounts are CPU time and memory in the notation of Kubernetes.
type Amounts struct {
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
}

// ResourcesInForce are those of the proxy's container. CPU time has no limit by default: a proxy that is held back
// holds back everybody who waits for it.
func (p *Proxy) ResourcesInForce() Resources {
	r := p.Resources
	r.Requests.CPU = cmp.Or(r.Requests.CPU, "50m")
	r.Requests.Memory = cmp.Or(r.Requests.Memory, "64Mi")
	r.Limits.Memory = cmp.Or(r.Limits.Memory, "512Mi")
	return r
}

// DefaultSecretDirectory is [Proxy.SecretDirectory] where nobody says otherwise.
const DefaultSecretDirectory = "/etc/meshc/secrets" // #nosec G101 -- a directory

// DefaultProxy is how a member's proxies run where nobody says otherwise.
func (s *Settings) DefaultProxy() Proxy {
	p := Proxy{
		Interception: InterceptRedirect, InboundPort: 15006, OutboundPort: 15001, AdminPort: 15000, HealthPort: 15021,
		CertificateDirectory: "/etc/meshc/certificates", DrainTime: Duration(45 * time.Second),
		Server: net.JoinHostPort(s.ServerHost(), "15010"),
	}
	if s.Metrics != nil {
		p.MetricsPort = DefaultMetricsPort
	}
	return p
}

// Interception is how traffic gets into a proxy.
type Interception string

// The interceptions.
const (
	InterceptRedirect Interception = "redirect" // nftables
	InterceptExplicit Interception = "explicit" // the proxy listens on the ports itself
)

// IPFamily is a version of IP, as Kubernetes names it.
type IPFamily string

// The IP families.
const (
	IPv4 IPFamily = "IPv4"
	IPv6 IPFamily = "IPv6"
)

// Ports are those that the proxy has for itself, sorted.
func (p *Proxy) Ports() []uint16 {
	ports := append(p.OfGateway(), p.InboundPort, p.OutboundPort, p.HealthPort)
	slices.Sort(ports)
	return ports
}

// OfGateway are those of Ports that the proxy of a gateway has too.
func (p *Proxy) OfGateway() []uint16 {
	if p.MetricsPort == 0 {
		return []uint16{p.AdminPort}
	}
	return []uint16{p.AdminPort, p.MetricsPort}
}
