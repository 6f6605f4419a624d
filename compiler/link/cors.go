package link

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

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
	l.anyOrNamed(here, "methods", c.Methods, out.Credentials)
	l.anyOrNamed(here, "headers", c.Headers, out.Credentials)
	for i, f := range c.Headers {
		if f.Value == anything {
			continue
		}
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

// anything stands for all methods, or all headers.
const anything = "*"

// anyOrNamed refuses "*" in a list of methods or headers where it says nothing: beside others, and with credentials,
// where browsers read it as a name (Fetch standard, "HTTP responses").
func (l *linker) anyOrNamed(here place, field string, list []spec.Field[string], credentials bool) {
	i := slices.IndexFunc(list, func(f spec.Field[string]) bool { return f.Value == anything })
	switch {
	case i < 0:
	case credentials:
		l.add(diag.BadFormat, here.field(field).index(i), fmt.Sprintf(
			`with credentials "*" is the name of a %s, and no leave for all`, strings.TrimSuffix(field, "s")),
			here.pos(list[i].Pos)).hint("name them")
	case len(list) > 1:
		l.add(diag.BadFormat, here.field(field).index(i), `"*" is for all, and stands alone`, here.pos(list[i].Pos)).
			hint("remove it")
	}
}
