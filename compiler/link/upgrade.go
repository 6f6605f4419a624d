package link

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// upgrades are the protocols that a port's connections may be upgraded to.
func (l *linker) upgrades(here place, p *spec.Port) []string {
	if spoken := ir.Protocol(p.Protocol.Value); len(p.Upgrades) > 0 && spoken != ir.HTTP && spoken != ir.HTTPS {
		hint := "remove them"
		if spoken != ir.UDP {
			hint += fmt.Sprintf(", or write protocol: %q", ir.HTTP)
		}
		l.add(diag.NoEffect, here.field("upgrades"),
			fmt.Sprintf("upgrades cannot take effect: the port speaks %s, and only HTTP/1.1 has them",
				p.Protocol.Value), here.pos(p.Upgrades[0].Pos)).
			hint("%s", hint)
		return nil
	}
	out := values(p.Upgrades)
	slices.Sort(out)
	return slices.Compact(out)
}
