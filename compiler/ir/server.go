package ir

import "github.com/spiffe/go-spiffe/v2/spiffeid"

// ServerName is the control plane's name inside a cluster, meshc serve: of its
// service account, its Service and its Deployment in [Settings.SystemNamespace].
const ServerName = "meshc"

// ServerIdentity is the identity of the control plane, which proxies demand of
// it: spiffe://TRUST-DOMAIN/ns/MESH-system/sa/meshc.
func (s *Settings) ServerIdentity() spiffeid.ID {
	return spiffeid.RequireFromSegments(spiffeid.RequireTrustDomainFromString(s.TrustDomain), "ns", s.SystemNamespace(), "sa", ServerName)
}

// ServerHost is the DNS name of the control plane inside a cluster.
func (s *Settings) ServerHost() string {
	return ServerName + "." + s.SystemNamespace() + "." + clusterDomain
}
