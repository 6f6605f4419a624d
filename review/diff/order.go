package diff

import (
	"fmt"

	"github.com/meshc/meshc/compiler/try"
)

// Update is how proxies may take a change. While it is on its way, some have the old mesh and some the new one.
type Update struct {
	// AnyOrder is set when no mixture of old and new proxies refuses a request that both meshes let in. What a service
	// lets in is what its rules do in one of the meshes, in any order.
	AnyOrder bool `json:"anyOrder"`
	// Why are requests for which that is not so, and what becomes of them meanwhile; empty with AnyOrder.
	Why []Mixture `json:"why,omitempty"`
}

// Mixture is a request that both meshes let in, and a mixture of proxies does not.
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

// mixed tries a request that both meshes let in, where the calling proxy has one of them and the called one the other.
func (d *differ) mixed(r *try.Request, to string, a, b outcome) {
	if a.class() != reaches || b.class() != reaches || d.seen[to] {
		return
	}
	for _, m := range d.mixtures {
		if o := tried(m, r); o.class() == refused {
			d.seen[to] = true
			d.Update.Why = append(d.Update.Why, Mixture{r.Command(), o.text(true)})
			return
		}
	}
}
