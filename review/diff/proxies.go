package diff

import (
	"slices"
	"strings"

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
	a, b := d.old.Settings, d.new.Settings
	a.Flux, b.Flux = nil, nil // Flux's own
	a.Images, b.Images = ir.Images{}, ir.Images{}
	all := !ir.Same(&a, &b)
	upstream := map[string]bool{} // services that are not the same for their callers
	pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name }, func(name string, a, b *ir.Service) {
		if a == nil || b == nil || d.changed["service "+name] && !ir.Same(&a.Upstream, &b.Upstream) {
			upstream[name] = true
		}
	})
	compare := func(name string, old, new []ir.Use, was, is bool) {
		switch {
		case !was:
			p.Added = append(p.Added, name)
		case !is:
			p.Removed = append(p.Removed, name)
		case all || d.changed[name] || slices.ContainsFunc(slices.Concat(old, new), func(u ir.Use) bool {
			return u.External && d.changed["external "+u.To] || !u.External && upstream[u.To]
		}):
			p.Changed = append(p.Changed, name)
		default:
			p.Untouched++
		}
	}
	pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name }, func(name string, a, b *ir.Service) {
		compare("service "+name, usesIn(a), usesIn(b), a != nil, b != nil)
	})
	pairs(d.old.Gateways, d.new.Gateways, func(g *ir.Gateway) string { return g.Name }, func(name string, a, b *ir.Gateway) {
		var before, after []ir.Use
		if a != nil {
			before = a.Uses
		}
		if b != nil {
			after = b.Uses
		}
		compare("gateway "+name, before, after, a != nil, b != nil)
	})
	for _, list := range [][]string{p.Changed, p.Added, p.Removed} {
		slices.SortFunc(list, strings.Compare)
	}
	return p
}

func usesIn(s *ir.Service) []ir.Use {
	if s == nil {
		return nil
	}
	return s.Uses
}
