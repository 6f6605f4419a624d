package ir

import (
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/source"
)

// Gateway is a proxy at the edge of the mesh.
type Gateway struct {
	Name      string      `json:"name" member:""`
	Namespace string      `json:"namespace"`
	Account   string      `json:"account" scope:"deployment"`
	Identity  spiffeid.ID `json:"identity"`
	// Listeners are sorted by name. At least one, or Egress.
	Listeners []Listener `json:"listeners,omitempty"`
	// Egress is nil for a gateway that no calls leave the mesh by.
	Egress *Egress `json:"egress,omitempty"`
	// Guards hold at the listeners, but at those that redirect: their clients come to another one.
	Guards
	// Closed has what no rule of Allow lets in denied. It is set where Allow has a rule that is enforced, and stays
	// when the time of all of them is over.
	Closed bool `json:"closed,omitempty"`
	// Clients are those whom the gateway knows by a secret of theirs, sorted by name. A request with another one is
	// refused.
	Clients []Client `json:"clients,omitempty"`
	// APIKeyHeader has their keys; empty without clients that have one.
	APIKeyHeader string `json:"apiKeyHeader,omitempty"`
	// RateLimits bound the requests that the guards let in, sorted by name: a request asks those first that this proxy
	// counts.
	RateLimits []ClientRateLimit `json:"rateLimits,omitempty"`
	// Compression of the answers; nil for none.
	Compression *Compression `json:"compression,omitempty"`
	// Routes are read from the top; the first match wins, and what none matches
	// is answered with 404. Every destination names its port.
	Routes []Route `json:"routes,omitempty"`
	// Uses are sorted by To.
	Uses     []Use    `json:"uses,omitempty"`
	Replicas Replicas `json:"replicas" scope:"deployment"`
	// Pods is what the gateway's pods carry, and where they run.
	Pods  PodSettings `json:"pods,omitzero" scope:"deployment"`
	Proxy Proxy       `json:"proxy"`
	// Telemetry is what the proxies report.
	Telemetry Telemetry `json:"telemetry,omitzero"`
	// Address is the IP address that the listeners bind; empty for all.
	Address string          `json:"address,omitempty"`
	Pos     source.Position `json:"pos,omitzero"`
}
