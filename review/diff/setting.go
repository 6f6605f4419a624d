package diff

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/values"
)

// settings compares what requests do not show: that members come and go, who they are, and how they run.
func (d *differ) settings() {
	d.fields(&d.old.Settings, &d.new.Settings, d.mesh(), "defaults")
	ir.Pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name },
		func(name string, a, b *ir.Service) {
			if a == nil || b == nil {
				d.member(ir.ServiceRef(name), a == nil, memberOf(a, b))
				return
			}
			if !d.changed[ir.ServiceRef(name)] {
				return
			}
			d.fields(a, b, service(name), "allow", "deny", "uses", "routes", "traffic", "probes",
				"scrape", "forms")
			d.fields(audited(&a.Guards), audited(&b.Guards), service(name))
			d.fields(binds(a.Uses), binds(b.Uses), service(name))
			d.fields(promised(a.Uses), promised(b.Uses), service(name))
			d.renamed(service(name), "name of a route", namesOfRoutes(a.Routes), namesOfRoutes(b.Routes))
			d.renamed(service(name), "name of a rule", namesOfRules(slices.Concat(a.Allow, a.Deny)),
				namesOfRules(slices.Concat(b.Allow, b.Deny)))
		})
	ir.Pairs(d.old.Gateways, d.new.Gateways, func(g *ir.Gateway) string { return g.Name },
		func(name string, a, b *ir.Gateway) {
			if a == nil || b == nil {
				is := a
				if is == nil {
					is = b
				}
				d.member(ir.GatewayRef(name), a == nil, is.Identity.String())
				return
			}
			if !d.changed[ir.GatewayRef(name)] {
				return
			}
			d.fields(a, b, gateway(name), "uses", "routes", "allow", "deny", "closed")
			d.fields(audited(&a.Guards), audited(&b.Guards), gateway(name))
			d.fields(promised(a.Uses), promised(b.Uses), gateway(name))
			d.renamed(gateway(name), "name of a route", namesOfRoutes(a.Routes), namesOfRoutes(b.Routes))
			d.renamed(gateway(name), "name of a rule", namesOfRules(slices.Concat(a.Allow, a.Deny)),
				namesOfRules(slices.Concat(b.Allow, b.Deny)))
		})
	ir.Pairs(d.old.Externals, d.new.Externals, func(e *ir.External) string { return e.Name },
		func(name string, a, b *ir.External) {
			if a == nil || b == nil {
				is := a
				if is == nil {
					is = b
				}
				d.member(ir.ExternalRef(name), a == nil, strings.Join(is.Hosts, ", "))
				return
			}
			if !d.changed[ir.ExternalRef(name)] {
				return
			}
			d.fields(a, b, member(ir.ExternalRef(name)), "traffic")
		})
}

func memberOf(a, b *ir.Service) string {
	if a != nil {
		return a.Identity.String()
	}
	return b.Identity.String()
}

// member adds one that comes or goes.
func (d *differ) member(of ir.Ref, comes bool, what string) {
	e := &Effect{Kind: Member, To: member(of), Was: what, Is: "none"}
	if comes {
		e.Was, e.Is = "none", what
	}
	for i, m := range []*ir.Mesh{d.old, d.new} {
		pos := &e.WasBy
		if i == 1 {
			pos = &e.IsBy
		}
		*pos = positionOf(m, of)
	}
	d.tell(e)
}

// mesh is the subject that the mesh's own settings have.
func (d *differ) mesh() Subject { return other("mesh " + d.new.Name) }

// fields compares what is set of a member, or of the mesh.
func (d *differ) fields(a, b any, of Subject, skipped ...string) {
	for _, f := range values.Differing(a, b, skipped...) {
		d.tell(&Effect{
			Kind: kindOfField(cmp.Or(of.Member.Kind, meshSettings), f.Path, &f), To: of, What: f.Path,
			Was: orNone(f.Old), Is: orNone(f.New), WasBy: f.OldPos, IsBy: f.NewPos,
		})
	}
}

// rules that are audited and not enforced, which requests do not show.
type rules struct {
	Allow []string `json:"auditedAllow"`
	Deny  []string `json:"auditedDeny"`
}

func audited(s *ir.Guards) *rules {
	words := func(list []ir.Rule) (out []string) {
		for i := range list {
			if list[i].Audit {
				out = append(out, values.Text(reflect.ValueOf(list[i])))
			}
		}
		return out
	}
	return &rules{words(s.Allow), words(s.Deny)}
}

// bound are the addresses at which a service's proxy takes its calls, by the callee.
type bound struct {
	Binds map[string]map[string]string `json:"binds"`
}

func binds(uses []ir.Use) *bound {
	b := &bound{map[string]map[string]string{}}
	for i := range uses {
		if len(uses[i].Binds) > 0 {
			b.Binds[uses[i].To] = uses[i].Binds
		}
	}
	return b
}

// promises are the objectives of a member's calls, by the callee.
type promises struct {
	Objectives []promise `json:"objectives"`
}

type promise struct {
	Name string         `json:"-"`
	Of   *ir.Objectives `json:""`
}

func promised(uses []ir.Use) *promises {
	out := &promises{}
	for i := range uses {
		if uses[i].Objectives != nil {
			out.Objectives = append(out.Objectives, promise{uses[i].To, uses[i].Objectives})
		}
	}
	return out
}
