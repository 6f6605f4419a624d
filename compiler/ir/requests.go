package ir

import (
	"iter"

	"github.com/meshc/meshc/compiler/source"
)

// Forms are forms of requests that a member takes. The zero value takes none of them.
type Forms struct {
	// EncodedSlashes are kept in paths.
	EncodedSlashes bool `json:"encodedSlashes,omitempty"`
	// Underscores in names of headers; empty for requests that are refused.
	Underscores Underscores `json:"underscores,omitempty"`
	// HTTP10 is taken.
	HTTP10 bool `json:"http10,omitempty"`
	// HeaderCase of HTTP/1.1 is kept.
	HeaderCase bool `json:"headerCase,omitempty"`
	// Pos is where the member writes them; none where it takes those of the mesh.
	Pos source.Position `json:"pos,omitzero"`
}

// Inside are the forms that the callee's proxy takes of other proxies. It drops headers that it would refuse: over
// HTTP/2 Envoy refuses them by resetting the stream, which the caller's proxy would count against the instance.
func (f Forms) Inside() Forms {
	if f.Underscores == "" {
		f.Underscores = UnderscoresDrop
	}
	return f
}

// ToExternals are the forms that are taken where all requests go to externals, which nothing in the mesh judges.
func (f Forms) ToExternals() Forms {
	f.EncodedSlashes, f.Underscores, f.HTTP10 = true, UnderscoresAllow, true
	return f
}

// Underscores says how a proxy treats headers that have an underscore in their name.
type Underscores string

// How a proxy treats such headers, where it does not refuse the request.
const (
	UnderscoresDrop  Underscores = "drop"
	UnderscoresAllow Underscores = "allow"
)

// KeepsCase reports whether requests to a port, which is one of the member or of an external that it calls, keep the
// case of their headers: over HTTP/2 there is none.
func (f *Forms) KeepsCase(p *Port) bool {
	return f.HeaderCase && p.Protocol.IsHTTP() && !p.Protocol.Multiplexed()
}

// HTTP1 reports whether proxies send requests to a port of the member by HTTP/1.1: to keep the case of headers, and
// where connections may be upgraded. Over HTTP/2 an upgrade is a CONNECT (RFC 8441), which has neither the method of
// the request nor, in its answer, a difference between 200 and 101.
func (f *Forms) HTTP1(p *Port) bool {
	return f.KeepsCase(p) || len(p.Upgrades) > 0
}

// Share reports whether the requests that proxies send to a port of the member share connections.
func (f *Forms) Share(p *Port) bool { return p.Protocol.IsHTTP() && !f.HTTP1(p) }

// union takes what either takes: the next proxy decides for itself.
func (f Forms) union(other Forms) Forms {
	f.EncodedSlashes = f.EncodedSlashes || other.EncodedSlashes
	f.HTTP10 = f.HTTP10 || other.HTTP10
	f.HeaderCase = f.HeaderCase || other.HeaderCase
	if f.Underscores == "" || other.Underscores == UnderscoresAllow {
		f.Underscores = other.Underscores
	}
	return f
}

// FormsOn are the forms that the member's proxy takes on its host, at the listener of that port of a use: those of the
// member itself, and of the services that it calls there.
func (s *Scope) FormsOn(use *Use, name string, number uint16) Forms {
	out := s.Member().Proxy.Requests
	for callee := range s.together(use, name, number) {
		out = out.union(callee.Forms)
	}
	return out
}

// together are the ports of HTTP of services whose requests come to the listener of that port of a use, with their
// services.
func (s *Scope) together(use *Use, name string, number uint16) iter.Seq2[*Upstream, string] {
	return func(yield func(*Upstream, string) bool) {
		for other, p := range s.portsTogether(use, name, number) {
			if callee := s.Upstreams[other.To]; !other.External && callee != nil && !yield(callee, p) {
				return
			}
		}
	}
}

// externalsTogether are those of externals, as [Scope.together].
func (s *Scope) externalsTogether(use *Use, name string, number uint16) iter.Seq2[*External, string] {
	return func(yield func(*External, string) bool) {
		for other, p := range s.portsTogether(use, name, number) {
			if e := s.Externals[other.To]; other.External && e != nil && !yield(e, p) {
				return
			}
		}
	}
}

// portsTogether are the ports of HTTP whose requests come to the listener of that port of a use, with the uses.
func (s *Scope) portsTogether(use *Use, name string, number uint16) iter.Seq2[*Use, string] {
	uses, bound := s.Member().Uses, use.Binds[name] != ""
	return func(yield func(*Use, string) bool) {
		for i := range uses {
			other := &uses[i]
			if s.Externals[other.To] == nil && s.Upstreams[other.To] == nil {
				continue
			}
			for _, p := range other.Ports {
				port := s.port(other, p)
				here := bound && other == use && p == name || !bound && other.Binds[p] == "" && port.Number == number
				if here && port.Protocol.IsHTTP() && !yield(other, p) {
					return
				}
			}
		}
	}
}

const (
	// Authority is a regular expression for what the header host of a request has, or the pseudo header ":authority":
	// a name or an address, and perhaps a port. Gateways answer 400 to requests that have another one or none.
	Authority = `([A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\])` + AuthorityPort
	// AuthorityPort is one for what may stand behind the host.
	AuthorityPort = `(:[0-9]+)?`
)
