package link

import (
	"cmp"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

const movedPermanently = 301

// redirect is the address that a route answers with.
func (l *linker) redirect(here place, r *spec.Redirect) *ir.Redirect {
	if r == nil {
		return nil
	}
	out := &ir.Redirect{
		Scheme: r.Scheme.Value, Host: strings.ToLower(r.Host.Value), Port: uint16(r.Port.Value),
		Path: r.Path.Value, Prefix: r.Prefix.Value, Status: uint16(cmp.Or(r.Status.Value, movedPermanently)),
	}
	if r.Path.IsSet() {
		l.plainPath(here.field("path"), strings.Replace(out.Path, "?", "", 1),
			here.pos(r.Path.Pos)) // an address may have a query
	}
	if r.Prefix.IsSet() {
		l.plainPath(here.field("prefix"), out.Prefix, here.pos(r.Prefix.Pos))
	}
	if r.Path.IsSet() && r.Prefix.IsSet() {
		l.add(diag.ExactlyOneOf, here, "path and prefix both say what the new path is", here.pos(r.Path.Pos),
			here.pos(r.Prefix.Pos)).
			hint("remove path, or remove prefix: path is the whole new path, prefix replaces what the route matched")
	}
	if *out == (ir.Redirect{Status: out.Status}) {
		l.add(diag.EmptyList, here, "redirect does not change the address, so a client would be redirected forever",
			here.pos(r.Pos)).
			hint(`redirect: path: "/new"`)
	}
	return out
}
