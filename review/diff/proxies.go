package diff

import (
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// Proxies are the members whose proxies a change is about, sorted.
type Proxies struct {
	// Changed get another configuration.
	Changed []ir.Ref `json:"changed"`
	Added   []ir.Ref `json:"added"`
	Removed []ir.Ref `json:"removed"`
	// Untouched is how many members' proxies keep theirs.
	Untouched int `json:"untouched"`
}

func (p *Proxies) untouched() bool { return len(p.Changed)+len(p.Added)+len(p.Removed) == 0 }

// proxies finds those whose scope, which is all that their configuration depends on, is not the same.
func (d *differ) proxies() Proxies {
	p := Proxies{Changed: []ir.Ref{}, Added: []ir.Ref{}, Removed: []ir.Ref{}}
	was, is := scopes(d.old, ir.ProxyPart), scopes(d.new, ir.ProxyPart)
	for member, sum := range was {
		switch now, there := is[member]; {
		case !there:
			p.Removed = append(p.Removed, member)
		case now != sum:
			p.Changed = append(p.Changed, member)
		default:
			p.Untouched++
		}
	}
	for member := range is {
		if _, there := was[member]; !there {
			p.Added = append(p.Added, member)
		}
	}
	for _, list := range [][]ir.Ref{p.Changed, p.Added, p.Removed} {
		slices.SortFunc(list, compareRefs)
	}
	return p
}

// scopes are the hashes of what a part has of the scope of each member.
func scopes(m *ir.Mesh, part ir.Part) map[ir.Ref]ir.Sum {
	h := ir.Hasher{Part: part}
	out := make(map[ir.Ref]ir.Sum, len(m.Services)+len(m.Gateways))
	for _, s := range m.Scopes() {
		of := s.Member()
		out[of.Ref()] = h.Hash(&s)
	}
	return out
}
