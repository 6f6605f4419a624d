package update

import (
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// door is whom a service lets in.
type door struct {
	Allow, Deny []ir.Rule
	Authorizer  string
	RateLimit   *ir.RateLimit
	Plaintext   bool
	Probes      []ir.Probe
}

func doorOf(s *ir.Service) door {
	return door{s.Allow, s.Deny, s.Authorizer, s.RateLimit, s.Plaintext, s.Probes}
}

func (d door) set(s *ir.Service) {
	s.Allow, s.Deny, s.Authorizer, s.RateLimit, s.Plaintext, s.Probes = d.Allow, d.Deny, d.Authorizer, d.RateLimit, d.Plaintext, d.Probes
}

// or is a door that lets in what d and e let in, and nothing that neither does. What only one of them lets in it may refuse,
// when the other denies or asks for more.
func (d door) or(e door) door {
	switch {
	case d.within(e):
		return e
	case e.within(d):
		return d
	}
	out := e
	out.Allow, out.Deny = also(e.Allow, d.Allow), also(e.Deny, d.Deny)
	if out.Authorizer == "" {
		out.Authorizer = d.Authorizer
	}
	out.Plaintext = d.Plaintext || e.Plaintext
	out.Probes = also(e.Probes, d.Probes)
	return out
}

// within reports whether e plainly lets in all that d does.
func (d door) within(e door) bool {
	return d.Authorizer == e.Authorizer && (e.Plaintext || !d.Plaintext) && ir.Same(d.RateLimit, e.RateLimit) &&
		len(also(e.Allow, d.Allow)) == len(e.Allow) && len(also(d.Deny, e.Deny)) == len(d.Deny) && len(also(e.Probes, d.Probes)) == len(e.Probes)
}

// also is a list with what another one has besides.
func also[T any](list, other []T) []T {
	out := slices.Clone(list)
	for _, x := range other {
		if !slices.ContainsFunc(list, func(y T) bool { return ir.Same(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}

// WithDoors is a mesh whose services let in whom those of the same name in another mesh let in: what proxies do that
// have the one, with calls to proxies that have the other.
func WithDoors(m, doors *ir.Mesh) *ir.Mesh {
	out := *m
	out.Services = slices.Clone(m.Services)
	for i, s := range out.Services {
		if other := doors.Service(s.Name); other != nil && other != s {
			mixed := *s
			doorOf(other).set(&mixed)
			out.Services[i] = &mixed
		}
	}
	return &out
}
