package link

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

var origin = regexp.MustCompile(`^https?://(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$`)

// cors is which web pages may read a route's answers.
func (l *linker) cors(u *spec.Unit, path string, c *spec.CORS, route *ir.Route) *ir.CORS {
	if c == nil {
		return nil
	}
	out := &ir.CORS{
		Origins: values(c.Origins), Methods: values(c.Methods), Headers: values(c.Headers), ExposeHeaders: values(c.ExposeHeaders),
		Credentials: c.Credentials.Value,
	}
	if c.MaxAge.IsSet() {
		out.MaxAge = l.wholeSeconds(u, path+".maxAge", c.MaxAge)
	}
	for i, f := range c.Origins {
		if f.Value != allHosts && !origin.MatchString(f.Value) {
			l.add(diag.BadFormat, fmt.Sprintf("%s.origins[%d]", path, i), fmt.Sprintf("%q is no origin", f.Value), u.At(f.Pos)).
				hint(`"https://shop.example", "https://*.shop.example" or "*": a scheme and a host in lower case, no path`)
		}
	}
	for i, f := range c.Headers {
		l.sendable(fmt.Sprintf("%s.headers[%d]", path, i), f.Value, u.At(f.Pos))
	}
	if len(out.Origins) == 0 {
		l.add(diag.EmptyList, path+".origins", "origins is empty, so no page may read anything", u.At(c.Pos)).hint("take cors out, which does the same")
	}
	if i := slices.Index(out.Origins, allHosts); i >= 0 && out.Credentials {
		l.add(diag.BadFormat, path+".credentials", "every page of the web could act with its visitor's cookies", u.At(c.Credentials.Pos), u.At(c.Origins[i].Pos)).
			hint("with credentials, name the origins")
	}
	if m := route.Match.Method; m != "" && m != "OPTIONS" {
		l.add(diag.NoEffect, path, fmt.Sprintf("a browser asks with OPTIONS first, and the route takes %s only", m), u.At(c.Pos), route.Pos).
			hint("take match.method out; cors.methods says which methods pages may use")
	}
	return out
}
