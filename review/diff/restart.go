package diff

import (
	"fmt"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render"
)

// restarts tells whose pods Kubernetes replaces: those of members of both meshes for whose pods another template is
// written, as with another image of Envoy, or another bootstrap.
func (d *differ) restarts() {
	images := d.old.Images != d.new.Images
	before, after := scopes(d.old, ir.DeploymentPart), scopes(d.new, ir.DeploymentPart)
	var who []Subject
	compare := func(of ir.Ref, a, b ir.Scope) {
		if before[of] == after[of] {
			return
		}
		was, err := render.PodTemplate(a)
		is, errIs := render.PodTemplate(b)
		switch {
		case err != nil || errIs != nil:
			d.Missed = append(d.Missed,
				fmt.Sprintf("whether the pods of %s restart cannot be told: one of the meshes cannot be rendered",
					of))
		case was != is && was != "" && is != "":
			who = append(who, member(of))
		}
	}
	ir.Pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name },
		func(name string, a, b *ir.Service) {
			if a != nil && b != nil {
				compare(ir.ServiceRef(name), d.old.ServiceScope(a), d.new.ServiceScope(b))
			}
		})
	ir.Pairs(d.old.Gateways, d.new.Gateways, func(g *ir.Gateway) string { return g.Name },
		func(name string, a, b *ir.Gateway) {
			if a != nil && b != nil {
				compare(ir.GatewayRef(name), d.old.GatewayScope(a), d.new.GatewayScope(b))
			}
		})
	if d.old.Images.Meshc != d.new.Images.Meshc && d.new.Delivery == ir.DeliveryXDS {
		who = append(who, other("meshc serve"))
	}
	if len(who) == 0 {
		return
	}
	e := &Effect{
		Kind: Restart, From: who, To: other("pods"), Was: "run", Is: "are replaced by new ones", WasBy: d.old.Pos,
		IsBy: d.new.Pos,
	}
	if images {
		e.Was += fmt.Sprintf(" with the images %s and %s", d.old.Images.Meshc, d.old.Images.Envoy)
		e.Is += fmt.Sprintf(" with the images %s and %s", d.new.Images.Meshc, d.new.Images.Envoy)
	}
	d.tell(e)
}
