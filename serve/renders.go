package serve

import (
	"slices"
	"sync"
	"weak"

	"github.com/meshc/meshc/compiler/ir"
)

// renders has the configurations of the connected proxies, of which those share one that differ in their names alone:
// the pods of a service, and the replicas of a gateway. It keeps none alive.
type renders struct {
	mu sync.Mutex
	of map[rendersOf]*alternatives
}

// rendersOf is a member and the kind of its clients.
type rendersOf struct {
	kind   string
	member ir.Ref
}

// alternatives are the configurations of one member. There are several while a change is on its way, and where
// instances have addresses of their own. The lock is held while one is rendered, so that proxies that connect together
// wait for one of them.
type alternatives struct {
	mu   sync.Mutex
	list []weak.Pointer[render]
}

// render is a configuration, with what it was rendered from.
type render struct {
	rendered
	built *built
}

// alike reports whether two configurations are rendered from the same. All that they take of the instance is where it
// is.
func (r *rendered) alike(other *rendered) bool {
	a, b := r.Options, other.Options
	a.Instance, a.Left, b.Instance, b.Left = "", nil, "", nil
	return ir.Same(r.place(), other.place()) && r.Scope.Same(ir.ProxyPart, &other.Scope) && ir.Same(a, b)
}

// place is where the instance is; nil where the configuration does not depend on it.
func (r *rendered) place() *ir.Endpoint {
	if at := r.Scope.Endpoint(r.Options.Instance); at != nil {
		return at
	}
	return r.Options.Left
}

// get returns the configuration that is rendered from the same, or else makes it.
func (r *renders) get(kind string, of *rendered, build func() (*render, error)) (*render, error) {
	member := of.Scope.Member()
	all := r.alternatives(rendersOf{kind, member.Ref()})
	all.mu.Lock()
	defer all.mu.Unlock()
	all.list = slices.DeleteFunc(all.list, func(p weak.Pointer[render]) bool { return p.Value() == nil })
	for _, p := range all.list {
		if known := p.Value(); known != nil && known.alike(of) {
			return known, nil
		}
	}
	made, err := build()
	if err != nil {
		return nil, err
	}
	all.list = append(all.list, weak.Make(made))
	return made, nil
}

func (r *renders) alternatives(of rendersOf) *alternatives {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.of[of]
	if all == nil {
		if r.of == nil {
			r.of = map[rendersOf]*alternatives{}
		}
		all = &alternatives{}
		r.of[of] = all
	}
	return all
}

// sweep forgets the members that have no configuration any more.
func (r *renders) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for of, all := range r.of {
		if all.mu.TryLock() { // else one is rendered
			if !slices.ContainsFunc(all.list, func(p weak.Pointer[render]) bool { return p.Value() != nil }) {
				delete(r.of, of)
			}
			all.mu.Unlock()
		}
	}
}
