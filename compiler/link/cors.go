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
func (l *linker) cors(here place, c *spec.CORS, route *ir.Route) *ir.CORS {
	if c == nil {
		return nil
	}
	out := &ir.CORS{
		Origins: values(c.Origins), Methods: values(c.Methods), Headers: values(c.Headers),
		ExposeHeaders: values(c.ExposeHeaders),
		Credentials:   c.Credentials.Value,
	}
	if c.MaxAge.IsSet() {
		out.MaxAge = l.wholeSeconds(here.field("maxAge"), c.MaxAge)
	}
	for i, f := range c.Origins {
		if f.Value != allHosts && !origin.MatchString(f.Value) {
			l.add(diag.BadFormat, here.field("origins").index(i), fmt.Sprintf("%q is not a valid origin", f.Value),
				here.pos(f.Pos)).
				hint(`"https://shop.example", "https://*.shop.example" or "*": a scheme and a host in lower case, no path`)
		}
	}
	for i, f := range c.Headers {
		l.sendable(here.field("headers").index(i), f.Value, here.pos(f.Pos))
	}
	if len(out.Origins) == 0 {
		l.add(diag.EmptyList, here.field("origins"), "origins is empty, so no web page may read a response",
			here.pos(c.Pos)).hint("remove cors, which has the same effect")
	}
	if i := slices.Index(out.Origins, allHosts); i >= 0 && out.Credentials {
		l.add(diag.BadFormat, here.field("credentials"), "any web page could send requests with its visitor's cookies",
			here.pos(c.Credentials.Pos), here.pos(c.Origins[i].Pos)).
			hint("with credentials, name the origins")
	}
	if m := route.Match.Method; m != "" && m != "OPTIONS" {
		l.add(diag.NoEffect, here, fmt.Sprintf("a browser first sends OPTIONS, and the route matches %s only", m),
			here.pos(c.Pos), route.Pos).
			hint("remove match.method; cors.methods says which methods pages may use")
	}
	return out
}
