package ir

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/source"
)

// Rule lets requests in, or takes that back. A request matches when every field
// does; an empty list matches everything. A rule about requests never matches
// what is not HTTP.
type Rule struct {
	// Name says what the rule is for, or in words what it says.
	Name string `json:"name"`
	// From is who calls. At least one.
	From []Peer `json:"from"`
	// IPRanges are where the request must come from besides; empty: anywhere. See [Mesh.ClientGateways] for whose
	// address it is.
	IPRanges []netip.Prefix `json:"ipRanges,omitempty"`
	// Ports of the service, or listeners of the gateway, by name, sorted; empty: all.
	Ports []string `json:"ports,omitempty"`
	// Hosts are exact, "*.DOMAIN" or "*", lower case; the request's has another case or a port all the same. Of
	// gateways alone; empty: all.
	Hosts   []string `json:"hosts,omitempty"`
	Methods []string `json:"methods,omitempty"`
	// Paths are exact, or end with "/*" and match everything below.
	Paths []string `json:"paths,omitempty"`
	// Headers have lower case names, by which they are sorted.
	Headers []StringMatch `json:"headers,omitempty"`
	// JWT is a token that the request must carry; nil for none.
	JWT *JWTRule `json:"jwt,omitempty"`
	// Until is when the rule ends; zero for never.
	Until time.Time `json:"until,omitzero"`
	// Audit has the rule logged and not enforced.
	Audit bool            `json:"audit,omitempty"`
	Pos   source.Position `json:"pos,omitzero"`
}

// Peer is a caller, or several.
type Peer struct {
	// Kind is what the caller is.
	Kind MemberKind `json:"kind"`
	// Name, Namespace and Identity are those of a service or a gateway.
	Name      string      `json:"name,omitempty" member:""`
	Namespace string      `json:"namespace,omitempty"`
	Identity  spiffeid.ID `json:"identity,omitzero"`
	// Pattern is a SPIFFE ID, or ends with "/*" and stands for all below. For
	// KindIdentity and KindNamespace. For KindCertificate see [Peer.SAN], and for KindClient it is the client's name.
	Pattern string `json:"pattern,omitempty"`
}

// MemberKind is what a member of the mesh is, or a caller.
type MemberKind string

// The kinds of member.
const (
	KindService MemberKind = "service"
	KindGateway MemberKind = "gateway"
)

// The kinds of caller that rules know besides.
const (
	// KindNamespace are all members in a namespace.
	KindNamespace MemberKind = "namespace"
	// KindIdentity are those whose SPIFFE ID is that of a pattern.
	KindIdentity MemberKind = "identity"
	// KindAnyone is whoever the mesh knows at all; at a gateway every client.
	KindAnyone MemberKind = "anyone"
	// KindCertificate are clients of a gateway, by a name in their certificates.
	KindCertificate MemberKind = "certificate"
	// KindClient are clients of a gateway, by their names there, which are patterns of their peers.
	KindClient MemberKind = "client"
	// KindPlaintext is who comes without TLS and has no identity.
	KindPlaintext MemberKind = "plaintext"
)

// Covers reports whether the rule holds for that port.
func (r *Rule) Covers(port string) bool {
	return len(r.Ports) == 0 || slices.Contains(r.Ports, port)
}

// AboutRequests reports whether the rule says something that only a request has,
// and a connection below HTTP has not.
func (r *Rule) AboutRequests() bool {
	return len(r.Methods) > 0 || len(r.Paths) > 0 || len(r.Headers) > 0 || r.JWT != nil || len(r.Hosts) > 0 ||
		r.AsksCertificate() || r.AsksClient()
}

// AsksCertificate reports whether the rule is about clients with certificates alone.
func (r *Rule) AsksCertificate() bool {
	return slices.ContainsFunc(r.From, func(p Peer) bool { return p.Kind == KindCertificate }) &&
		!slices.ContainsFunc(r.From, func(p Peer) bool { return p.Kind == KindAnyone })
}

// Holds reports whether the rule can match anything on that port.
func (r *Rule) Holds(port *Port) bool {
	return r.Covers(port.Name) && (port.Protocol.IsHTTP() || !r.AboutRequests())
}

// Total reports whether the rule matches everything that its callers do on its
// ports.
func (r *Rule) Total() bool { return !r.AboutRequests() && len(r.IPRanges) == 0 }

// Over reports whether the rule's time is over.
func (r *Rule) Over(now time.Time) bool { return !r.Until.IsZero() && now.After(r.Until) }

// InForce returns the service without those of its rules that let callers in until a time which is over.
func (s *Service) InForce(now time.Time) *Service {
	left, some := withoutExpired(s.Allow, now)
	if !some {
		return s
	}
	copied := *s
	copied.Allow = left
	return &copied
}

// InForce is [Service.InForce] of a gateway. One that was closed by such rules stays so.
func (g *Gateway) InForce(now time.Time) *Gateway {
	left, some := withoutExpired(g.Allow, now)
	if !some {
		return g
	}
	copied := *g
	copied.Allow = left
	return &copied
}

// withoutExpired returns the rules that are in force; some is false when all are.
func withoutExpired(rules []Rule, now time.Time) (left []Rule, some bool) {
	over := func(r Rule) bool { return r.Over(now) }
	if !slices.ContainsFunc(rules, over) {
		return rules, false
	}
	return slices.DeleteFunc(slices.Clone(rules), over), true
}

// Names reports whether the rule is about that caller.
func (r *Rule) Names(caller *Peer) bool {
	return slices.ContainsFunc(r.From, func(p Peer) bool { return p.Is(caller) })
}

// Says reports whether the rule names that caller, by its name, or with others: not by the name of a service that has
// the same identity.
func (r *Rule) Says(caller *Peer) bool {
	return slices.ContainsFunc(r.From, func(p Peer) bool {
		return p.Is(caller) && (p.Name == "" || p.Ref() == caller.Ref())
	})
}

// Peer is the service as a caller.
func (s *Service) Peer() Peer {
	return Peer{Kind: KindService, Name: s.Name, Namespace: s.Namespace, Identity: s.Identity}
}

// Peer is the gateway as a caller.
func (g *Gateway) Peer() Peer {
	return Peer{Kind: KindGateway, Name: g.Name, Namespace: g.Namespace, Identity: g.Identity}
}

// Is reports whether another peer, which is one alone, is this one, or one of them, as proxies can tell: by the
// identity in its certificate, which services with one service account share.
func (p *Peer) Is(other *Peer) bool {
	switch p.Kind {
	case KindAnyone:
		return true
	case KindIdentity, KindNamespace:
		below, all := strings.CutSuffix(p.Pattern, "*")
		id := other.Identity.String()
		return p.Pattern == id || all && strings.HasPrefix(id, below)
	case KindPlaintext, KindCertificate, KindClient:
		return false
	}
	return p.Identity == other.Identity
}

// String is the caller in words.
func (p *Peer) String() string {
	switch p.Kind {
	case KindAnyone, KindPlaintext:
		return string(p.Kind)
	case KindIdentity:
		return p.Pattern
	case KindCertificate:
		return "certificate " + p.Pattern
	case KindClient:
		return "client " + p.Pattern
	case KindNamespace:
		return "namespace " + p.Namespace
	}
	return string(p.Kind) + " " + p.Name
}

// Lets reports whether some rule lets that caller in on the port, and none takes
// that back wholly. On a port that is open rules hold for nobody.
func (s *Service) Lets(caller *Peer, port string) bool {
	return s.allows(caller, port) && s.Refuses(caller, port) == nil
}

func (s *Service) allows(caller *Peer, port string) bool {
	if s.UDPPort(port) != nil {
		return s.takesUDP(caller, port)
	}
	if p := s.Port(port); p != nil && p.Open {
		return false // nobody looks at rules there, and it does not speak the mesh's TLS
	}
	return slices.ContainsFunc(s.Allow, func(r Rule) bool { return !r.Audit && r.Covers(port) && r.Names(caller) })
}

// Refuses is the rule of deny that refuses all that the caller does on the port;
// nil when there is none.
func (s *Service) Refuses(caller *Peer, port string) *Rule {
	for i := range s.Deny {
		if r := &s.Deny[i]; !r.Audit && r.Total() && r.Covers(port) && r.Names(caller) {
			return r
		}
	}
	return nil
}
