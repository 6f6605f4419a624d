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
func (l *linker) redirect(u *spec.Unit, path string, r *spec.Redirect) *ir.Redirect {
	if r == nil {
		return nil
	}
	out := &ir.Redirect{
		Scheme: r.Scheme.Value, Host: strings.ToLower(r.Host.Value), Port: uint16(r.Port.Value),
		Path: r.Path.Value, Prefix: r.Prefix.Value, Status: uint16(cmp.Or(r.Status.Value, movedPermanently)),
	}
	if r.Path.IsSet() {
		l.plainPath(path+".path", strings.Replace(out.Path, "?", "", 1), u.At(r.Path.Pos)) // an address may have a query
	}
	if r.Prefix.IsSet() {
		l.plainPath(path+".prefix", out.Prefix, u.At(r.Prefix.Pos))
	}
	if r.Path.IsSet() && r.Prefix.IsSet() {
		l.add(diag.ExactlyOneOf, path, "path and prefix both say what the new path is", u.At(r.Path.Pos), u.At(r.Prefix.Pos)).
			hint("take path out, or take prefix out: path is the whole of it, prefix takes the place of what the route matched")
	}
	if *out == (ir.Redirect{Status: out.Status}) {
		l.add(diag.EmptyList, path, "redirect names no other address, so a client would go round in a circle", u.At(r.Pos)).
			hint(`redirect: path: "/new"`)
	}
	return out
}
