package diff

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Update is how proxies may take a change. While it is on its way, some have the old mesh and some the new one.
type Update struct {
	// AnyOrder is set when no mixture of old and new proxies refuses a request that both meshes let in, or lets one in
	// that both refuse.
	AnyOrder bool `json:"anyOrder"`
	// Why are requests for which that is not so, and what becomes of them meanwhile; empty with AnyOrder.
	Why []Mixture `json:"why,omitempty"`
}

// Mixture is a request that a mixture of proxies answers otherwise than both meshes.
type Mixture struct {
	Command string `json:"command"`
	// Meanwhile is what becomes of it.
	Meanwhile string `json:"meanwhile"`
}

func (u *Update) text() string {
	if u.AnyOrder {
		return "proxies may take it in any order"
	}
	text := "proxies must take it in stages, as meshc serve has them do"
	if len(u.Why) > 0 {
		text += fmt.Sprintf("; else %s %s", u.Why[0].Command, u.Why[0].Meanwhile)
	}
	return text
}

// mixed tries a request that both meshes let in, or both refuse, where the calling proxy has one of them and the called one
// the other.
func (d *differ) mixed(r *try.Request, to string, a, b outcome) {
	was, is := a.class(), b.class()
	if was != is || was == answered || d.seen[to] {
		return
	}
	for _, m := range d.mixtures {
		if o := tried(m, r); o.class() != was && o.class() != answered {
			d.seen[to] = true
			d.Update.Why = append(d.Update.Why, Mixture{r.Command(), o.text(true)})
			return
		}
	}
}

// WithDoors is a mesh in which services let in whom those of the same name in another mesh let in: what proxies do that
// have the one, with calls to proxies that have the other.
func WithDoors(m, doors *ir.Mesh) *ir.Mesh {
	out := *m
	out.Services = slices.Clone(m.Services)
	for i, s := range out.Services {
		if door := doors.Service(s.Name); door != nil && door != s {
			mixed := *s
			mixed.Allow, mixed.Deny, mixed.Authorizer, mixed.RateLimit = door.Allow, door.Deny, door.Authorizer, door.RateLimit
			mixed.Plaintext, mixed.Probes = door.Plaintext, door.Probes
			out.Services[i] = &mixed
		}
	}
	return &out
}
