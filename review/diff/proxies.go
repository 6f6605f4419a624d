package diff

import (
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// Proxies are the members whose proxies a change is about: "service NAME" and "gateway NAME", sorted.
type Proxies struct {
	// Changed get another configuration.
	Changed []string `json:"changed"`
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	// Untouched is how many members' proxies keep theirs.
	Untouched int `json:"untouched"`
}

func (p *Proxies) untouched() bool { return len(p.Changed)+len(p.Added)+len(p.Removed) == 0 }

// proxies finds those whose scope, which is all that their configuration depends on, is not the same.
func (d *differ) proxies() Proxies {
	p := Proxies{Changed: []string{}, Added: []string{}, Removed: []string{}}
	was, is := scopes(d.old, ir.ProxyPart), scopes(d.new, ir.ProxyPart)
	for name, sum := range was {
		switch now, there := is[name]; {
		case !there:
			p.Removed = append(p.Removed, name)
		case now != sum:
			p.Changed = append(p.Changed, name)
		default:
			p.Untouched++
		}
	}
	for name := range is {
		if _, there := was[name]; !there {
			p.Added = append(p.Added, name)
		}
	}
	for _, list := range [][]string{p.Changed, p.Added, p.Removed} {
		slices.Sort(list)
	}
	return p
}

// scopes are the hashes of what a part has of the scope of each member, by "service NAME" and "gateway NAME".
func scopes(m *ir.Mesh, part ir.Part) map[string]ir.Sum {
	h := ir.Hasher{Part: part}
	out := make(map[string]ir.Sum, len(m.Services)+len(m.Gateways))
	for _, s := range m.Scopes() {
		of := s.Member()
		out[string(of.Kind)+" "+of.Name] = h.Hash(&s)
	}
	return out
}
