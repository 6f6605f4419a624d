package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// rules links a service's allow.
func (l *linker) rules(s *ir.Service, h home[spec.Service]) []ir.Rule {
	var out []ir.Rule
	for i, r := range h.spec.Allow {
		path := fmt.Sprintf("services.%s.allow[%d]", s.Name, i)
		rule := ir.Rule{Pos: h.unit.At(r.Pos), From: l.peers(h.unit, path+".from", r.From)}
		rule.Ports = l.portList(h.unit, path+".ports", r.Ports, s.Ports, s.Name)
		rule.Methods = values(r.Methods)
		rule.Paths = values(r.Paths)
		for _, list := range []struct {
			name  string
			empty bool
		}{
			{"ports", r.Ports != nil && len(r.Ports) == 0},
			{"methods", r.Methods != nil && len(r.Methods) == 0},
			{"paths", r.Paths != nil && len(r.Paths) == 0},
		} {
			if list.empty {
				l.add(diag.EmptyList, path+"."+list.name, fmt.Sprintf("%s is empty: does the rule let in everything, or nothing?", list.name), rule.Pos).
					hint("leave %s out for everything; take the rule out for nothing", list.name)
			}
		}
		l.ruleTakesEffect(path, s, &rule)
		if len(rule.From) > 0 {
			out = append(out, rule)
		}
	}
	return out
}

// ruleTakesEffect refuses methods and paths where nobody reads requests.
func (l *linker) ruleTakesEffect(path string, s *ir.Service, r *ir.Rule) {
	if len(r.Methods) == 0 && len(r.Paths) == 0 {
		return
	}
	what := "methods"
	if len(r.Paths) > 0 {
		what = "paths"
	}
	http := false
	for _, p := range s.Ports {
		if !r.Covers(p.Name) {
			continue
		}
		http = http || p.Protocol.IsHTTP()
		if !p.Protocol.IsHTTP() && len(r.Ports) > 0 {
			l.add(diag.NoEffect, path+"."+what, fmt.Sprintf("%s cannot take effect on port %s, which speaks %s", what, p.Name, p.Protocol), r.Pos, p.Pos).
				hint("write a rule of its own for that port")
			return
		}
	}
	if !http && len(r.Ports) == 0 && len(s.Ports) > 0 {
		l.add(diag.NoEffect, path+"."+what, fmt.Sprintf("%s cannot take effect: no port of %s speaks HTTP", what, s.Name), r.Pos, s.Pos)
	}
}

func (l *linker) peers(u *spec.Unit, path string, p *spec.Peers) []ir.Peer {
	var out []ir.Peer
	if p == nil {
		return nil // the schema has refused it
	}
	if len(p.Services)+len(p.Gateways) == 0 {
		l.add(diag.EmptyList, path, "from names nobody, so the rule lets nobody in", u.At(p.Pos)).
			hint(`from: services: ["NAME"]`)
	}
	for i, f := range p.Services {
		s := l.declaredServices[f.Value]
		if s == nil {
			l.unknown(diag.UnknownCaller, fmt.Sprintf("%s.services[%d]", path, i), "service", f.Value, sortedKeys(l.declaredServices), u, f.Pos)
			continue
		}
		out = append(out, ir.Peer{Kind: ir.KindService, Name: s.Name, Namespace: s.Namespace, Identity: s.Identity})
	}
	for i, f := range p.Gateways {
		g := l.declaredGateways[f.Value]
		if g == nil {
			l.unknown(diag.UnknownCaller, fmt.Sprintf("%s.gateways[%d]", path, i), "gateway", f.Value, sortedKeys(l.declaredGateways), u, f.Pos)
			continue
		}
		out = append(out, ir.Peer{Kind: ir.KindGateway, Name: g.Name, Namespace: g.Namespace, Identity: g.Identity})
	}
	return out
}

// unknown says that a name leads nowhere.
func (l *linker) unknown(code diag.Code, path, what, name string, candidates []string, u *spec.Unit, pos spec.Pos) {
	if l.lost(name) {
		return
	}
	l.add(code, path, fmt.Sprintf("there is no %s %q", what, name), u.At(pos)).
		hint("%s", l.didYouMean(name, candidates))
}

// didYouMean is a hint with the nearest of the candidates, or with all of few.
func (l *linker) didYouMean(name string, candidates []string) string {
	if near := diag.DidYouMean(name, candidates); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	switch {
	case len(candidates) == 0:
		return "there are none"
	case len(candidates) <= 8:
		return "there are " + strings.Join(candidates, ", ")
	}
	return fmt.Sprintf("there are %d others, none with a name like it", len(candidates))
}

// portList resolves names of ports, sorted; an empty list stays empty.
func (l *linker) portList(u *spec.Unit, path string, names []spec.Field[string], ports []ir.Port, of string) []string {
	var out []string
	for i, f := range names {
		if !slices.ContainsFunc(ports, func(p ir.Port) bool { return p.Name == f.Value }) {
			l.add(diag.UnknownPort, fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%s has no port %q", of, f.Value), u.At(f.Pos)).
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
