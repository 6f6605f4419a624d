package link

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// door is a member whose rules are linked: a service or a gateway.
type door struct {
	place
	name    string
	pos     source.Position
	ports   []ir.Port   // a gateway's are its listeners
	service *ir.Service // nil for a gateway
	gateway *ir.Gateway // nil for a service
}

func doorOf(s *ir.Service, h home[spec.Service]) *door {
	return &door{h.place, s.Name, s.Pos, slices.Concat(s.Ports, s.UDP), s, nil}
}

// rules links allow or deny of a member.
func (l *linker) rules(d *door, list string, rules []*spec.Rule) []ir.Rule {
	var out []ir.Rule
	for i, r := range rules {
		here := d.field(list).index(i)
		rule := ir.Rule{Pos: here.pos(r.Pos), Audit: r.Mode.Value == "audit"}
		if d.gateway != nil {
			rule.From, rule.IPRanges = l.clients(here.field("from"), d, r)
			l.doorsOf(here, d, r, &rule)
		} else {
			rule.From, rule.IPRanges = l.peers(here.field("from"), d.service, r.From, list == "deny")
			l.portsOf(here, d, r, &rule)
		}
		rule.Methods, rule.Paths = l.requestsOf(here, r)
		rule.Headers = l.headerMatches(here.field("headers"), r.Headers)
		rule.JWT = l.jwtRule(here.field("jwt"), r.JWT)
		rule.Until = l.until(here.field("until"), r.Until)
		l.emptyLists(here, r, rule.Pos)
		l.ruleTakesEffect(here, d, &rule)
		if d.service != nil {
			l.udpRule(here, d.service, list, &rule)
		}
		rule.Name = r.Name.Or(ruleInWords(&rule))
		if len(rule.From) > 0 {
			out = append(out, rule)
		}
	}
	return out
}

// portsOf are the ports of a service that a rule is about.
func (l *linker) portsOf(here place, d *door, r *spec.Rule, rule *ir.Rule) {
	rule.Ports = l.portList(here.field("ports"), r.Ports, d.ports, d.name)
	for _, name := range rule.Ports {
		if p := d.service.Port(name); p != nil && p.Open {
			l.add(diag.NoEffect, here.field("ports"),
				fmt.Sprintf(
					"the rule cannot take effect on port %s, which has mtls \"off\": rules are not enforced there",
					name), rule.Pos, p.Pos).
				hint("remove mtls from the port, or the port from the rule")
		}
	}
	for _, f := range []struct {
		name, in string
		list     []spec.Field[string]
	}{
		{"listeners", "ports", r.Listeners}, {"hosts", `headers: host: exact: "HOST"`, r.Hosts},
	} {
		if f.list != nil {
			l.add(diag.NoEffect, here.field(f.name), f.name+" cannot take effect at a service: they are of gateways",
				here.pos(firstPos(f.list)), rule.Pos).hint("write %s", f.in)
		}
	}
}

// requestsOf are the methods and paths of a rule; a method of gRPC is a POST to
// /SERVICE/METHOD (gRPC over HTTP/2).
func (l *linker) requestsOf(here place, r *spec.Rule) (methods, paths []string) {
	if r.GRPC == nil {
		for i, p := range r.Paths {
			l.inOrder(here.field("paths").index(i), strings.TrimSuffix(p.Value, "*"), false, false, here.pos(p.Pos))
		}
		return values(r.Methods), values(r.Paths)
	}
	if r.Methods != nil || r.Paths != nil {
		l.add(diag.ExactlyOneOf, here.field("grpc"), "grpc replaces methods and paths, which are written too",
			here.pos(r.GRPC.Pos)).
			hint("remove one of them")
	}
	method := r.GRPC.Method.Or("*")
	return []string{"POST"}, []string{"/" + r.GRPC.Service.Value + "/" + method}
}

// until is when a rule ends.
func (l *linker) until(here place, f spec.Field[string]) time.Time {
	if !f.IsSet() {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, f.Value)
	if day, dayErr := time.Parse(time.DateOnly, f.Value); dayErr == nil {
		t, err = day.AddDate(0, 0, 1), nil
	}
	switch {
	case err != nil:
		l.add(diag.BadFormat, here, fmt.Sprintf("until is %q, which is neither a date nor a time", f.Value),
			here.pos(f.Pos)).
			hint(`"2027-01-31" or "2027-01-31T12:00:00Z"`)
	case l.mesh.Delivery == ir.DeliveryStatic:
		l.add(diag.NotSupported, here,
			`until with delivery "static" is not supported yet: nothing would remove the rule when it expires`,
			here.pos(f.Pos)).
			hint(`deliver by "xds", or omit until: somebody must then remove the rule`)
	case l.now.After(t):
		l.add(diag.RuleOver, here, fmt.Sprintf("this rule expired on %s", f.Value), here.pos(f.Pos)).
			hint("remove the rule, or write a later time")
	}
	return t.UTC()
}

func (l *linker) emptyLists(here place, r *spec.Rule, pos source.Position) {
	for _, list := range []struct {
		name  string
		empty bool
	}{
		{"ports", r.Ports != nil && len(r.Ports) == 0},
		{"listeners", r.Listeners != nil && len(r.Listeners) == 0},
		{"hosts", r.Hosts != nil && len(r.Hosts) == 0},
		{"methods", r.Methods != nil && len(r.Methods) == 0},
		{"paths", r.Paths != nil && len(r.Paths) == 0},
		{"headers", r.Headers != nil && len(r.Headers) == 0},
	} {
		if list.empty {
			l.add(diag.EmptyList, here.field(list.name),
				fmt.Sprintf("%s is empty, and could mean everything or nothing", list.name), pos).
				hint("omit %s for everything; remove the rule for nothing", list.name)
		}
	}
}

// ruleTakesEffect refuses what only requests have where nobody reads requests.
func (l *linker) ruleTakesEffect(here place, d *door, r *ir.Rule) {
	what, kind := "", "port"
	if d.gateway != nil {
		kind = "listener"
	}
	for _, field := range []struct {
		name    string
		written bool
	}{
		{"from.certificates", r.AsksCertificate()},
		{"from.clients", r.AsksClient()},
		{"hosts", len(r.Hosts) > 0},
		{"methods", len(r.Methods) > 0},
		{"paths", len(r.Paths) > 0},
		{"headers", len(r.Headers) > 0},
		{"jwt", r.JWT != nil},
	} {
		if field.written {
			what = field.name
		}
	}
	if what == "" {
		return
	}
	http := false
	for _, p := range d.ports {
		if !r.Covers(p.Name) {
			continue
		}
		http = http || p.Protocol.IsHTTP()
		if !p.Protocol.IsHTTP() && len(r.Ports) > 0 {
			l.add(diag.NoEffect, here.field(what), fmt.Sprintf("%s cannot take effect on %s %s, which speaks %s",
				what, kind, p.Name, p.Protocol), r.Pos, p.Pos).
				hint("write a separate rule for that %s", kind)
			return
		}
	}
	if !http && len(r.Ports) == 0 && len(d.ports) > 0 {
		l.add(diag.NoEffect, here.field(what), fmt.Sprintf("%s cannot take effect: no %s of %s speaks HTTP", what,
			kind, d.name), r.Pos, d.pos)
	}
}

// ruleInWords is the name of a rule that has none, which is its own wherever in
// the list it stands.
func ruleInWords(r *ir.Rule) string {
	var from []string
	for _, p := range r.From {
		from = append(from, p.String())
	}
	for _, prefix := range r.IPRanges {
		from = append(from, prefix.String())
	}
	words := []string{strings.Join(from, ", ")}
	for _, list := range [][]string{r.Hosts, r.Methods, r.Paths} {
		if len(list) > 0 {
			words = append(words, strings.Join(list, " "))
		}
	}
	for _, h := range r.Headers {
		words = append(words, "header "+describeString(h))
	}
	if r.JWT != nil {
		words = append(words, "jwt "+r.JWT.Issuer)
		for _, c := range r.JWT.Claims {
			words = append(words, c.Name+"="+strings.Join(c.Values, "|"))
		}
	}
	return strings.Join(words, ": ")
}

// portList resolves names of ports, sorted; an empty list stays empty.
func (l *linker) portList(here place, names []spec.Field[string], ports []ir.Port, of string) []string {
	var out []string
	for i, f := range names {
		if !slices.ContainsFunc(ports, func(p ir.Port) bool { return p.Name == f.Value }) {
			l.add(diag.UnknownPort, here.index(i), fmt.Sprintf("%s has no port %q", of, f.Value), here.pos(f.Pos)).
				hint("%s", l.didYouMean(f.Value, portNames(ports)))
			continue
		}
		out = append(out, f.Value)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func values(fields []spec.Field[string]) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Value)
	}
	return out
}
