package ir

import (
	"cmp"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/source"
)

// ServerName is the control plane's name inside a cluster, meshc serve: of its
// service account, its Service and its Deployment in [Settings.SystemNamespace].
const ServerName = "meshc"

// ServerMetricsPort is where the scraper reads the metrics of meshc serve itself, and ServerMetricsPortName the name of
// that port in its container.
const (
	ServerMetricsPort     = 15013
	ServerMetricsPortName = "serve-metrics"
)

// ServerIdentity is the identity of the control plane, which proxies demand of
// it: spiffe://TRUST-DOMAIN/ns/MESH-system/sa/meshc.
func (s *Settings) ServerIdentity() spiffeid.ID {
	return spiffeid.RequireFromSegments(spiffeid.RequireTrustDomainFromString(s.TrustDomain), "ns", s.SystemNamespace(),
		"sa", ServerName)
}

// ServerHost is the DNS name of the control plane inside a cluster.
func (s *Settings) ServerHost() string {
	return s.ServiceHost(ServerName, s.SystemNamespace())
}

// Server is how meshc serve treats the mesh's proxies (mesh.server). Its zero value is the defaults.
type Server struct {
	Limits ServerLimits `json:"limits,omitzero"`
	// Except are members whose proxies no change waits for, sorted by kind and name.
	Except []Exception `json:"except,omitempty"`
	// Pods is what its pods and those of the approver carry, and where they run.
	Pods PodSettings     `json:"pods,omitzero"`
	Pos  source.Position `json:"pos,omitzero"`
}

// ServerLimits bound what the proxies of one identity may take of the server, and what clients may take of it that
// have not shown an identity of the mesh. A field that is zero has its default,
// which [ServerLimits.InForce] gives.
type ServerLimits struct {
	// Instances of an identity that are served at once, and holders of its certificates that are known.
	Instances uint32 `json:"instances,omitempty"`
	// Connections of an identity at once.
	Connections uint32 `json:"connections,omitempty"`
	// LogLines a second that are written about an identity.
	LogLines uint32 `json:"logLines,omitempty"`
	// RefusalBytes are kept and logged of what a proxy says when it refuses something.
	RefusalBytes uint32 `json:"refusalBytes,omitempty"`

	// Connections without an identity of the mesh at once, at each address where the server listens: from one client
	// address, and all together. Handshakes are those of them on which no request has come yet.
	ConnectionsPerAddress uint32 `json:"connectionsPerAddress,omitempty"`
	HandshakesPerAddress  uint32 `json:"handshakesPerAddress,omitempty"`
	OpenConnections       uint32 `json:"openConnections,omitempty"`
	OpenHandshakes        uint32 `json:"openHandshakes,omitempty"`
}

// DefaultServerLimits are those that hold where mesh.server.limits says nothing.
var DefaultServerLimits = ServerLimits{
	Instances: 1000, Connections: 2000, LogLines: 10, RefusalBytes: 4096,
	ConnectionsPerAddress: 500, HandshakesPerAddress: 200, OpenConnections: 5000, OpenHandshakes: 2000,
}

// InForce are the limits with the defaults for what is not written.
func (l ServerLimits) InForce() ServerLimits {
	return ServerLimits{
		Instances:    cmp.Or(l.Instances, DefaultServerLimits.Instances),
		Connections:  cmp.Or(l.Connections, DefaultServerLimits.Connections),
		LogLines:     cmp.Or(l.LogLines, DefaultServerLimits.LogLines),
		RefusalBytes: cmp.Or(l.RefusalBytes, DefaultServerLimits.RefusalBytes),

		ConnectionsPerAddress: cmp.Or(l.ConnectionsPerAddress, DefaultServerLimits.ConnectionsPerAddress),
		HandshakesPerAddress:  cmp.Or(l.HandshakesPerAddress, DefaultServerLimits.HandshakesPerAddress),
		OpenConnections:       cmp.Or(l.OpenConnections, DefaultServerLimits.OpenConnections),
		OpenHandshakes:        cmp.Or(l.OpenHandshakes, DefaultServerLimits.OpenHandshakes),
	}
}

// Exception is a member whose proxies no change waits for: they are served and reported as all others are.
type Exception struct {
	Kind   MemberKind      `json:"kind"`
	Name   string          `json:"name" member:""`
	Reason string          `json:"reason"`
	Pos    source.Position `json:"pos,omitzero"`
}

// Excepted is the exception of that member, or nil.
func (s *Server) Excepted(kind MemberKind, name string) *Exception {
	for i := range s.Except {
		if s.Except[i].Kind == kind && s.Except[i].Name == name {
			return &s.Except[i]
		}
	}
	return nil
}
