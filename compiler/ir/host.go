package ir

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// DNSDomain is that of the Kubernetes cluster.
func (s *Settings) DNSDomain() string { return cmp.Or(s.ClusterDomain, "cluster.local") }

// servicesDomain is the DNS domain below which Kubernetes' services are: NAME.NAMESPACE before it.
func (s *Settings) servicesDomain() string {
	return "svc." + s.DNSDomain()
}

// ServiceHost is the DNS name of a Kubernetes Service.
func (s *Settings) ServiceHost(name, namespace string) string {
	return name + "." + namespace + "." + s.servicesDomain()
}

// maxLabel is how long a DNS label may be (RFC 1123, 2.1), and with it the name
// of a Kubernetes Service.
const maxLabel = 63

// ClusterService is the name of the headless Kubernetes Service whose addresses are the instances, or those of one of
// the versions: where meshc makes the Service that applications name, NAME and NAME-VERSION. Elsewhere those may be the
// team's own, and it is NAME-meshc and NAME-meshc-VERSION.
func (u *Upstream) ClusterService(version string) string {
	name := u.PlainName()
	if !u.Created {
		name += ownSuffix
	}
	if version != "" {
		name += "-" + version
	}
	return Label(name)
}

// ownSuffix ends the names of Services that meshc makes for itself.
const ownSuffix = "-meshc"

// FormerClusterService is the name that [Upstream.ClusterService] has if somebody else makes the Service than now.
// Until all of a change has been applied, the instances may be found by it.
func (u *Upstream) FormerClusterService(version string) string {
	other := Upstream{Name: u.Name, Created: !u.Created}
	return other.ClusterService(version)
}

// ClusterHost is the DNS name of [Upstream.ClusterService] of a callee.
func (s *Settings) ClusterHost(u *Upstream, version string) string {
	return s.ServiceHost(u.ClusterService(version), u.Namespace)
}

// InstancePort is where callers reach that port of the instances that are pods: the
// Target, from which the connection is redirected to the proxy, or without
// redirection the Number, where the proxy listens.
func (u *Upstream) InstancePort(p *Port) uint16 {
	if u.Explicit {
		return p.Number
	}
	return p.Target
}

// CertificateSecret is the name of the Kubernetes Secret, in the member's
// namespace, that has the files of its certificate directory.
func (m *Member) CertificateSecret() string { return CertificateSecret(m.PlainName()) }

// CertificateSecret is [Member.CertificateSecret] of whoever has that name, the
// control plane included. A dot keeps it apart from the Secrets that teams name.
func CertificateSecret(name string) string { return name + ".certificate" }

// Label is a name that is short enough for a DNS label. Of one that is too long
// the end is replaced by a hash of the whole, so that it stays its own.
func Label(name string) string {
	if len(name) <= maxLabel {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	end := "-" + hex.EncodeToString(sum[:4])
	return strings.TrimRight(name[:maxLabel-len(end)], "-") + end
}

// HostCovers reports whether a host, or every host of another pattern, is one of a pattern's: the same, or below
// the DOMAIN of "*.DOMAIN"; "*" is any.
func HostCovers(pattern, host string) bool {
	if pattern == "*" || pattern == host {
		return true
	}
	suffix, wildcard := strings.CutPrefix(pattern, "*")
	return wildcard && strings.HasSuffix(host, suffix) && host != suffix
}

// Specific orders the patterns that cover a host: exact ones come last, longer wildcards after shorter ones, and "*"
// first.
func Specific(pattern string) int {
	switch {
	case pattern == "*":
		return 0
	case strings.HasPrefix(pattern, "*"):
		return len(pattern)
	}
	return 1000 + len(pattern)
}
