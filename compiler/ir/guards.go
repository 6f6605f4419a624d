package ir

import "slices"

// Guards are what a service's proxy holds requests and connections against before its application gets them, and what
// a gateway's does before its routes take them. Who
// stages a change, compares two meshes or checks one goes through all of them by this type's methods; a guard that is
// not among [guards] makes TestEveryGuardIsCompared fail.
type Guards struct {
	// Allow is who may call; nobody else may, but see [Gateway.Closed]. In the order written.
	Allow []Rule `json:"allow,omitempty"`
	// Deny takes back a part of what Allow grants.
	Deny []Rule `json:"deny,omitempty"`
	// Authorizer is asked about requests that the rules let in; empty for none.
	Authorizer string `json:"externalAuthorization,omitempty"`
	// Plaintext has callers without an identity let in, as far as rules say so.
	Plaintext bool `json:"plaintext,omitempty"`
	// Probes are let in without mutual TLS, in the order written.
	Probes []Probe `json:"probes,omitempty"`
	// RateLimit bounds the requests that each instance takes; nil for no bound.
	RateLimit *RateLimit `json:"rateLimit,omitempty"`
}

// guard is how one field of [Guards] compares.
type guard struct {
	// field is its name in Go.
	field string
	// within reports whether e plainly lets in all that d does.
	within func(d, e *Guards) bool
	// join has out let in what d does besides.
	join func(out, d *Guards)
	// shut has it let nobody in who is not let in by another guard; nil for one that lets nobody in by itself.
	shut func(g *Guards)
}

var guards = []guard{
	{
		"Allow", func(d, e *Guards) bool { return contains(e.Allow, d.Allow) },
		func(out, d *Guards) { out.Allow = Joined(out.Allow, d.Allow) }, func(g *Guards) { g.Allow = nil },
	},
	{
		"Deny", func(d, e *Guards) bool { return contains(d.Deny, e.Deny) },
		func(out, d *Guards) { out.Deny = Joined(out.Deny, d.Deny) }, func(g *Guards) { g.Deny = nil },
	},
	{
		"Authorizer", func(d, e *Guards) bool { return d.Authorizer == e.Authorizer },
		func(out, d *Guards) {
			if out.Authorizer == "" {
				out.Authorizer = d.Authorizer
			}
		}, nil,
	},
	{
		"Plaintext", func(d, e *Guards) bool { return e.Plaintext || !d.Plaintext },
		func(out, d *Guards) { out.Plaintext = out.Plaintext || d.Plaintext }, func(g *Guards) { g.Plaintext = false },
	},
	{
		"Probes", func(d, e *Guards) bool { return contains(e.Probes, d.Probes) },
		func(out, d *Guards) { out.Probes = Joined(out.Probes, d.Probes) }, func(g *Guards) { g.Probes = nil },
	},
	{
		"RateLimit", func(d, e *Guards) bool { return Same(d.RateLimit, e.RateLimit) }, func(*Guards, *Guards) {}, nil,
	},
}

// Within reports whether other guards plainly let in all that these do. False says nothing for sure.
func (g *Guards) Within(other *Guards) bool {
	return !slices.ContainsFunc(guards, func(one guard) bool { return !one.within(g, other) })
}

// Union are guards that let in what these and the others let in, and nothing that neither does. What only one of them
// lets in they may refuse, when the other denies or asks for more; of two bounds or authorization services they have
// the others'.
func (g *Guards) Union(other *Guards) Guards {
	switch {
	case g.Within(other):
		return *other
	case other.Within(g):
		return *g
	}
	out := *other
	for _, one := range guards {
		one.join(&out, g)
	}
	return out
}

// Shut are the guards without whom they let in.
func (g *Guards) Shut() Guards {
	out := *g
	for _, one := range guards {
		if one.shut != nil {
			one.shut(&out)
		}
	}
	return out
}

// Joined is a list with what another one has besides, but for where it was written.
func Joined[T any](list, other []T) []T {
	out := slices.Clone(list)
	for _, x := range other {
		if !slices.ContainsFunc(list, func(y T) bool { return Same(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}

// contains reports whether a list has all that another one has.
func contains[T any](list, other []T) bool { return len(Joined(list, other)) == len(list) }
