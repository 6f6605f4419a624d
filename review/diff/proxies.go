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
	all := !ir.Same(everybodys(&d.old.Settings), everybodys(&d.new.Settings))
	upstream := map[string]bool{} // services that are not the same for their callers
	ir.Pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name }, func(name string, a, b *ir.Service) {
		if a == nil || b == nil || d.changed[ir.ServiceRef(name)] && !ir.Same(&a.Upstream, &b.Upstream) {
			upstream[name] = true
		}
	})
	compare := func(member ir.Ref, old, new []ir.Use, was, is bool, asked func(m *ir.Mesh) []any) {
		name := member.String()
		switch {
		case !was:
			p.Added = append(p.Added, name)
		case !is:
			p.Removed = append(p.Removed, name)
		case all || d.changed[member] || !ir.Same(asked(d.old), asked(d.new)) || slices.ContainsFunc(slices.Concat(old, new), func(u ir.Use) bool {
			return u.External && d.changed[ir.ExternalRef(u.To)] || !u.External && upstream[u.To]
		}):
			p.Changed = append(p.Changed, name)
		default:
			p.Untouched++
		}
	}
	ir.Pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name }, func(name string, a, b *ir.Service) {
		compare(ir.ServiceRef(name), usesIn(a), usesIn(b), a != nil, b != nil, func(m *ir.Mesh) (out []any) {
			s := m.Service(name)
			for _, issuer := range s.AllTokenIssuers() {
				out = append(out, m.JWTIssuer(issuer))
			}
			return append(out, m.ExternalAuthorization(s.Authorizer))
		})
	})
	ir.Pairs(d.old.Gateways, d.new.Gateways, func(g *ir.Gateway) string { return g.Name }, func(name string, a, b *ir.Gateway) {
		var before, after []ir.Use
		if a != nil {
			before = a.Uses
		}
		if b != nil {
			after = b.Uses
		}
		compare(ir.GatewayRef(name), before, after, a != nil, b != nil, func(m *ir.Mesh) []any {
			return []any{m.ExternalAuthorization(m.Gateway(name).Authorizer)}
		})
	})
	for _, list := range [][]string{p.Changed, p.Added, p.Removed} {
		slices.SortFunc(list, strings.Compare)
	}
	return p
}

// everybodys are the settings that every proxy's configuration is made of.
func everybodys(s *ir.Settings) *ir.Settings {
	out := *s
	out.Flux, out.Images, out.MaxAttempts, out.Authorizers, out.JWTIssuers, out.Server = nil, ir.Images{}, nil, nil, nil, ir.Server{}
	for _, header := range s.ClaimHeaders() { // which every proxy takes out of requests
		out.JWTIssuers = append(out.JWTIssuers, &ir.JWTIssuer{Name: header})
	}
	return &out
}

func usesIn(s *ir.Service) []ir.Use {
	if s == nil {
		return nil
	}
	return s.Uses
}
