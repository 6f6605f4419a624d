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
	// Why are requests for which that is not so, and what happens to them meanwhile.
	Why []Mixture `json:"why,omitempty"`
	// Unstaged is why meshc serve cannot have proxies take it in stages either: some requests may fail meanwhile.
	Unstaged []string `json:"unstaged,omitempty"`
}

// Mixture is a request that both meshes let in, and a mixture of proxies does not.
type Mixture struct {
	Command string `json:"command"`
	// Meanwhile is what happens to it.
	Meanwhile string `json:"meanwhile"`
}

func (u *Update) text() string {
	if u.AnyOrder {
		return "proxies may take it in any order"
	}
	if len(u.Unstaged) > 0 {
		return "while proxies take it some requests may fail, in any order: " + listed(u.Unstaged)
	}
	text := "proxies must take it in stages, as meshc serve has them do"
	if len(u.Why) > 0 {
		text += fmt.Sprintf("; else %s %s", u.Why[0].Command, u.Why[0].Meanwhile)
	}
	return text
}

// mixed tries a request that both meshes let in, where the calling proxy has one of them and the called one the other.
func (d *differ) mixed(r *try.Request, to Subject, a, b outcome) {
	if d.seen[to] || !bothAllow(a, b) {
		return
	}
	for _, m := range d.mixtures {
		if o := tried(m, r); o.trial == nil || !o.trial.Allowed() {
			d.seen[to] = true
			d.Update.Why = append(d.Update.Why, Mixture{r.Command(), o.text(true)})
			return
		}
	}
}

// bothAllow reports whether both meshes let a request in, or answer it with what is not an error.
func bothAllow(a, b outcome) bool {
	return a.trial != nil && b.trial != nil && a.trial.Allowed() && b.trial.Allowed()
}

// comesLater tells of a request that both meshes let in, and that a new route takes to what is not there yet.
func (d *differ) comesLater(r *try.Request, to Subject, a, b outcome) {
	if d.seen[to] || !bothAllow(a, b) {
		return
	}
	for _, reach := range b.trial.Reaches {
		if reach.Service == "" {
			continue
		}
		if s := d.old.Service(reach.Service); s == nil || s.Port(reach.Port) == nil {
			d.seen[to] = true
			d.Update.Why = append(d.Update.Why,
				Mixture{r.Command(), "goes to " + reach.Service + " before that is there"})
			return
		}
	}
}
