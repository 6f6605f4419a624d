package link

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/spec"
)

// template is a path with variables, after Envoy's URI templates (Envoy,
// "UriTemplateMatchConfig").
type template struct {
	// regex matches the same paths; its groups are the variables, in order.
	regex     string
	variables []string
}

var variable = regexp.MustCompile(`^\{([A-Za-z_][A-Za-z0-9_]*)(=\*\*|=\*)?\}$`)

// One segment is not empty, and the rest may be.
const (
	oneSegment = `[^/]+`
	allTheRest = `.*`
)

func (l *linker) template(here place, f spec.Field[string]) template {
	var t template
	segments := strings.Split(strings.TrimPrefix(f.Value, "/"), "/")
	for i, segment := range segments {
		part := regexp.QuoteMeta(segment)
		match := variable.FindStringSubmatch(segment)
		rest := segment == "**"
		switch {
		case match != nil:
			if slices.Contains(t.variables, match[1]) {
				l.add(diag.BadFormat, here, fmt.Sprintf("the variable %s is used twice", match[1]), here.pos(f.Pos)).
					hint("give each its own name")
			}
			t.variables = append(t.variables, match[1])
			rest = match[2] == "=**"
			part = "(" + oneSegment + ")"
			if rest {
				part = "(" + allTheRest + ")"
			}
		case segment == "*":
			part = oneSegment
		case rest:
			part = allTheRest
		case strings.ContainsAny(segment, "{}*"):
			l.add(diag.BadFormat, here, fmt.Sprintf("%q is not a valid template segment", segment), here.pos(f.Pos)).
				hint("a variable is a whole segment: {NAME} or * for one, {NAME=**} or ** at the end for all the rest")
		}
		if rest && i < len(segments)-1 {
			l.add(diag.BadFormat, here, fmt.Sprintf("%s matches the rest of the path, so nothing can follow it",
				segment), here.pos(f.Pos)).hint("put it last")
		}
		t.regex += "/" + part
	}
	return t
}

// maxVariables are as many groups as a substitution of RE2 can name.
const maxVariables = 9

// substitution is a template for a new path, with the groups of the template that
// the path was matched by in place of its variables.
func (l *linker) substitution(here place, f spec.Field[string], matched template) string {
	var out []string
	for segment := range strings.SplitSeq(f.Value, "/") {
		text := strings.ReplaceAll(segment, `\`, `\\`)
		if match := variable.FindStringSubmatch(segment); match != nil {
			i := slices.Index(matched.variables, match[1])
			if i < 0 || match[2] != "" {
				l.add(diag.BadFormat, here, fmt.Sprintf("%s is not a variable of match.path.template", segment),
					here.pos(f.Pos)).
					hint("%s", l.didYouMean(match[1], matched.variables))
			}
			if i >= maxVariables {
				l.add(diag.OutOfRange, here,
					fmt.Sprintf("%s is variable %d of the match, and only the first %d can be used in a rewrite",
						segment, i+1, maxVariables), here.pos(f.Pos)).
					hint("write * for those that the new path does not need")
			}
			text = fmt.Sprintf(`\%d`, i+1)
		} else if strings.ContainsAny(segment, "{}*") {
			l.add(diag.BadFormat, here, fmt.Sprintf("%q is not a valid template segment", segment), here.pos(f.Pos)).
				hint("a variable is a whole segment: {NAME}")
		}
		out = append(out, text)
	}
	return strings.Join(out, "/")
}
