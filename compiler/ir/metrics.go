package ir

import (
	"net/netip"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/source"
)

// DefaultMetricsPort is [Proxy.MetricsPort] where nobody says otherwise.
const DefaultMetricsPort = 15090

// MetricsPortName is the name of [Proxy.MetricsPort] in the container of a proxy.
const MetricsPortName = "mesh-metrics"

// MetricsSource is the address that a proxy behind redirection asks its own administration from. Rules of nftables let
// the proxy connect to its administration from this address alone, which no other cluster of the proxy has: so no name
// that leads to loopback leads there.
const MetricsSource = "127.0.0.90"

// Metrics is how the metrics of all proxies are read (mesh.telemetry.metrics). Where is [Proxy.MetricsPort].
type Metrics struct {
	// Scraper is nil when they are read on loopback alone.
	Scraper *Scraper        `json:"scraper,omitempty"`
	Pos     source.Position `json:"pos,omitzero"`
}

// Scraper is who reads metrics. Whoever does must be all that is written here.
type Scraper struct {
	// Namespace of its pods and Pods, their labels, are for NetworkPolicies; empty for any.
	Namespace string            `json:"namespace,omitempty" scope:"deployment"`
	Pods      map[string]string `json:"pods,omitempty" scope:"deployment"`
	// IPRanges are where its connections come from; empty for anywhere.
	IPRanges []netip.Prefix `json:"ipRanges,omitempty"`
	// Identity is proven by mutual TLS; zero for plain text.
	Identity spiffeid.ID     `json:"identity,omitzero"`
	Pos      source.Position `json:"pos,omitzero"`
}

// ReadFrom is who reads metrics from elsewhere than loopback; nil for nobody.
func (s *Settings) ReadFrom() *Scraper {
	if s.Metrics == nil {
		return nil
	}
	return s.Metrics.Scraper
}

// DeniedBelowHTTP is the cause, in the label error.type, of the failure of a connection below HTTP that rules deny.
// Envoy has no response flag for it.
const DeniedBelowHTTP = "Denied"

// Why a proxy ends a connection to its service before any rule is asked, in the label error.type: its first bytes are
// not TLS; its certificate is missing, or not one that the port takes; its handshake fails otherwise.
const (
	RefusedPlaintext   = "Plaintext"
	RefusedCertificate = "CertificateRefused"
	RefusedHandshake   = "HandshakeFailed"
)

// Denials are the causes for which a callee's proxy keeps a connection below HTTP from the application.
var Denials = []string{DeniedBelowHTTP, RefusedPlaintext, RefusedCertificate, RefusedHandshake}
