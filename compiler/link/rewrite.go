package link

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// rewrite is what a route changes of what its requests ask for.
func (l *linker) rewrite(here place, r *spec.Rewrite, matched template) *ir.Rewrite {
	if r == nil {
		return nil
	}
	out := &ir.Rewrite{Host: strings.ToLower(r.Host.Value)}
	if p := r.Path; p != nil {
		out.Path = l.pathRewrite(here.field("path"), p, matched)
	}
	if r.Path == nil && out.Host == "" {
		l.add(diag.EmptyList, here, "rewrite has neither path nor host, so it has no effect", here.pos(r.Pos)).
			hint(`rewrite: path: prefix: "/"`)
		return nil
	}
	return out
}

func (l *linker) pathRewrite(here place, p *spec.PathRewrite, matched template) *ir.PathRewrite {
	out := &ir.PathRewrite{}
	var written choice
	written.add("prefix", p.Prefix.IsSet())
	written.add("template", p.Template.IsSet())
	written.add("regex", p.Regex != nil)
	if p.Prefix.IsSet() {
		out.Prefix = p.Prefix.Value
		l.plainPath(here.field("prefix"), p.Prefix.Value, here.pos(p.Prefix.Pos))
	}
	if p.Template.IsSet() {
		if matched.regex == "" {
			l.add(diag.NoEffect, here.field("template"),
				"template needs the variables of match.path.template, which is not written", here.pos(p.Template.Pos)).
				hint(`match: path: template: "/users/{id}"`)
			return nil
		}
		l.plainPath(here.field("template"), p.Template.Value, here.pos(p.Template.Pos))
		out = &ir.PathRewrite{Pattern: "^" + matched.regex + "$", Substitution: l.substitution(here.field("template"),
			p.Template, matched)}
	}
	if r := p.Regex; r != nil {
		out = &ir.PathRewrite{Pattern: r.Pattern.Value, Substitution: r.Substitution.Value}
		l.regex(here.field("regex.pattern"), r.Pattern.Value, here.pos(r.Pattern.Pos))
		l.groups(here.field("regex.substitution"), r, here.pos(r.Substitution.Pos))
	}
	if len(written) != 1 {
		l.add(diag.ExactlyOneOf, here,
			fmt.Sprintf("path has %d of prefix, template and regex, and must have exactly one", len(written)),
			here.pos(p.Pos)).
			hint("%s", written.instead(`path: prefix: "/"`))
		return nil
	}
	return out
}

// plainPath refuses what would no longer be the path once it is written there.
func (l *linker) plainPath(here place, value string, pos source.Position) {
	if strings.ContainsFunc(value, func(r rune) bool { return r == '?' || r == '#' || r <= ' ' || r >= 0x7f }) {
		l.add(diag.BadFormat, here, fmt.Sprintf("%q has a character that a path cannot have", value), pos).
			hint("no query, no fragment, no spaces; others are written as %%XX")
	}
}

var reference = regexp.MustCompile(`\\(.?)`)

// groups refuses references to groups that the pattern has not.
func (l *linker) groups(here place, r *spec.RegexRewrite, pos source.Position) {
	pattern, err := regexp.Compile(r.Pattern.Value)
	if err != nil {
		return // said of the pattern
	}
	l.lineOfText(here, r.Substitution.Value, pos)
	template := reference.ReplaceAllString(strings.ReplaceAll(r.Substitution.Value, "$", "$$"), "$${$1}")
	for _, sample := range []string{"/", "/a", "/a/b"} {
		if got := pattern.ReplaceAllString(sample, template); !strings.HasPrefix(got, "/") {
			l.add(diag.BadFormat, here, fmt.Sprintf("this rewrites %[2]q to %[1]q, and a path begins with \"/\"", got,
				sample), pos).
				hint("keep the first slash: remove it from the pattern, or put it into the substitution")
			break
		}
	}
	for _, match := range reference.FindAllStringSubmatch(r.Substitution.Value, -1) {
		switch c := match[1]; {
		case c == `\`:
		case c < "0" || c > "9":
			l.add(diag.BadFormat, here, fmt.Sprintf(`%q is neither a group nor "\\"`, match[0]), pos).
				hint(`a backslash is written "\\" in a substitution, and "\\\\" in CUE`)
		case int(c[0]-'0') > pattern.NumSubexp():
			l.add(diag.OutOfRange, here, fmt.Sprintf(`there is no group \%s: the pattern has %d`, c,
				pattern.NumSubexp()), pos).
				hint("groups are the parentheses of the pattern, counted from 1; \\0 is all of the match")
		}
	}
}
