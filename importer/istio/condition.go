package istio

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	securityv1 "istio.io/api/security/v1beta1"

	"github.com/meshc/meshc/compiler/spec"
)

// operation carries over what a rule is about, and reports whether that can be said.
func (t *translation) operation(o *securityv1.Operation, rule *spec.Rule, at []string) bool {
	if o == nil {
		return true
	}
	d := proto.Clone(o).(*securityv1.Operation)
	if methods := d.Methods; !slices.ContainsFunc(methods, func(m string) bool { return strings.Contains(m, "*") }) {
		rule.Methods, d.Methods = spec.WrittenAll(methods...), nil
	} else if slices.Contains(methods, "*") {
		d.Methods = nil
	}
	if slices.Contains(d.Paths, "*") || slices.Contains(d.Paths, "/*") {
		d.Paths = nil
	}
	if !slices.ContainsFunc(d.Paths, func(p string) bool { return !pathPattern.MatchString(p) }) {
		rule.Paths, d.Paths = spec.WrittenAll(d.Paths...), nil
	}
	rule.Ports, d.Ports = t.ports(d.Ports)
	return t.unsaid(d, at)
}

// pathPattern is a path of a rule in the language: exact, or all below one.
var pathPattern = regexp.MustCompile(`^/([^*?#{}]*/)?([^*?#/{}]*|\*)$`)

// ports are the names of the service's ports with these numbers, which are those of its pods; and the numbers
// that are none of them.
func (t *translation) ports(numbers []string) (names []spec.Field[string], left []string) {
	for _, text := range numbers {
		number, _ := strconv.Atoi(text)
		found := false
		for _, name := range slices.Sorted(maps.Keys(t.service.Spec.Ports)) {
			if p := t.service.Spec.Ports[name]; p.Target.Or(p.Port.Value) == number {
				names, found = append(names, spec.Written(name)), true
			}
		}
		if !found {
			left = append(left, text)
		}
	}
	return names, left
}

// tokens are the rule for each of the issuers that request principals, "ISSUER/SUBJECT", mean.
func (t *translation) tokens(list []string, rule *spec.Rule, at []string) ([]*spec.Rule, bool) {
	if len(list) == 0 {
		return []*spec.Rule{rule}, true
	}
	var out []*spec.Rule
	for i, principal := range list {
		issuer, subject := "*", "*"
		if cut := strings.LastIndex(principal, "/"); cut >= 0 {
			issuer, subject = principal[:cut], principal[cut+1:]
		}
		named := t.issuers[t.service.Name]
		if issuer != "*" {
			if named = []string{t.issuerOf(issuer)}; !slices.Contains(t.issuers[t.service.Name], named[0]) {
				named = nil
			}
		}
		if slices.Contains(named, "") || len(named) == 0 || subject != "*" && strings.Contains(subject, "*") ||
			principal != "*" && issuer == "*" {
			if !t.unsaid(principal, slices.Concat(at, []string{strconv.Itoa(i)})) {
				continue
			}
			out = append(out, rule)
			continue
		}
		for _, name := range named {
			t.asked[t.service.Name+"/"+name] = true
			r := *rule
			r.JWT = &spec.JWTRule{Issuer: spec.Written(name)}
			if subject != "*" {
				r.JWT.Claims = map[string][]spec.Field[string]{"sub": spec.WrittenAll(subject)}
			}
			out = append(out, &r)
		}
	}
	return out, len(out) > 0
}

// condition adds to the rules what a condition asks for besides.
func (t *translation) condition(c *securityv1.Condition, rules []*spec.Rule, ok bool, at []string) ([]*spec.Rule,
	bool,
) {
	if !ok {
		return nil, false
	}
	d := proto.Clone(c).(*securityv1.Condition)
	values := d.Values
	var out []*spec.Rule
	for _, rule := range rules {
		r := *rule
		switch key, name := cutKey(d.Key); {
		case key == "request.headers" && headerName.MatchString(name) && !strings.EqualFold(name, "host") &&
			len(d.NotValues) == 0:
			r.Headers = maps.Clone(r.Headers)
			if r.Headers == nil {
				r.Headers = map[string]*spec.StringMatch{}
			}
			if _, twice := r.Headers[strings.ToLower(name)]; !twice {
				r.Headers[strings.ToLower(name)] = anyOf(values)
				out = append(out, &r)
			}
		case key == "request.auth.claims" && name != "" && len(d.NotValues) == 0 && !slices.ContainsFunc(values, wild):
			out = append(out, t.claim(&r, name, values)...)
		case d.Key == "request.auth.principal" && len(d.NotValues) == 0 && r.JWT != nil:
			if slices.Contains(values, "*") || slices.ContainsFunc(values, func(v string) bool {
				issuer, any := strings.CutSuffix(v, "/*")
				return any && t.issuerOf(issuer) == r.JWT.Issuer.Value
			}) {
				out = append(out, &r) // which it demands already
			}
		case d.Key == "request.auth.principal" && len(d.NotValues) == 0:
			tokens, _ := t.tokens(values, &r, at)
			out = append(out, tokens...)
		case d.Key == "source.namespace" && len(d.NotValues) == 0:
			if p := t.namespaces(values, at); p != nil && r.From.Anyone.Value {
				p.IPRanges = r.From.IPRanges
				r.From = p
				out = append(out, &r)
			}
		case d.Key == "source.principal" && len(d.NotValues) == 0:
			if p := t.principals(values, nil, at); p != nil && r.From.Anyone.Value {
				p.IPRanges = r.From.IPRanges
				r.From = p
				out = append(out, &r)
			}
		case d.Key == "source.ip" || d.Key == "remote.ip":
			list, ok := addresses(values, d.NotValues)
			if !ok {
				break
			}
			if r.From = t.peersAt(r.From, list, d.Key == "source.ip", at); r.From != nil {
				out = append(out, &r)
			} else if len(rules) == 1 {
				return nil, false // it is for nobody
			}
		case d.Key == "destination.port" && len(d.NotValues) == 0 && r.Ports == nil:
			var left []string
			if r.Ports, left = t.ports(values); len(left) == 0 {
				out = append(out, &r)
			}
		}
	}
	if len(out) > 0 {
		return out, true
	}
	return rules, t.unsaid(d, at)
}

// claim adds a claim to a rule, for each issuer whose tokens it may be in.
func (t *translation) claim(rule *spec.Rule, name string, values []string) []*spec.Rule {
	issuers := t.issuers[t.service.Name]
	if rule.JWT != nil {
		issuers = []string{rule.JWT.Issuer.Value}
	}
	var out []*spec.Rule
	for _, issuer := range issuers {
		t.asked[t.service.Name+"/"+issuer] = true
		r := *rule
		jwt := spec.JWTRule{Issuer: spec.Written(issuer), Claims: map[string][]spec.Field[string]{}}
		if rule.JWT != nil {
			maps.Copy(jwt.Claims, rule.JWT.Claims)
		}
		if jwt.Claims[name] != nil {
			return nil
		}
		jwt.Claims[name] = spec.WrittenAll(values...)
		r.JWT = &jwt
		out = append(out, &r)
	}
	return out
}

// cutKey takes "request.headers[x-a]" apart.
func cutKey(key string) (kind, name string) {
	kind, name, _ = strings.Cut(strings.TrimSuffix(key, "]"), "[")
	if strings.ContainsAny(name, "[]") {
		name = "" // a claim within a claim
	}
	return kind, name
}

func wild(value string) bool { return strings.HasPrefix(value, "*") || strings.HasSuffix(value, "*") }

// anyOf matches one of the values, each exact or with "*" at one end (AuthorizationPolicy, "Condition").
func anyOf(values []string) *spec.StringMatch {
	if len(values) == 1 {
		value := values[0]
		switch {
		case value == "*":
			return &spec.StringMatch{Present: spec.Written(true)}
		case strings.HasPrefix(value, "*"):
			return &spec.StringMatch{Suffix: spec.Written(value[1:])}
		case strings.HasSuffix(value, "*"):
			return &spec.StringMatch{Prefix: spec.Written(value[:len(value)-1])}
		}
		return &spec.StringMatch{Exact: spec.Written(value)}
	}
	var each []string
	for _, value := range values {
		quoted := regexp.QuoteMeta(strings.Trim(value, "*"))
		if strings.HasPrefix(value, "*") {
			quoted = ".*" + quoted
		}
		if strings.HasSuffix(value, "*") && value != "*" {
			quoted += ".*"
		}
		each = append(each, quoted)
	}
	return &spec.StringMatch{Regex: spec.Written(strings.Join(each, "|"))}
}
