package link

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// undeclaredCalls links what happens to connections that nobody declares, and warns where they pass. It warns once of
// what is written for the whole mesh.
func (l *linker) undeclaredCalls(here place, p *spec.Proxy, proxy *ir.Proxy) {
	if !p.UndeclaredCalls.IsSet() {
		return
	}
	proxy.PassUndeclared = p.UndeclaredCalls.Value == "pass"
	if proxy.PassUndeclared && proxy.Interception == ir.InterceptRedirect {
		l.add(diag.OpenOutbound, here.field("undeclaredCalls"),
			"calls that are not declared pass: whoever controls an application calls any address with it",
			here.pos(p.UndeclaredCalls.Pos)).
			hint(`declare the calls that meshc edges --undeclared lists, then write undeclaredCalls: "refuse"`)
	}
}
