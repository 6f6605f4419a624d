package lever

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/heard"
)

var (
	// openedPath is a path in the form that proxies compare, exact or with all below it. What needs more than these
	// characters belongs into the spec, where the compiler checks it.
	openedPath = regexp.MustCompile(`^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?(/\*)?$`)
	method     = regexp.MustCompile(`^[A-Z][A-Z-]{0,19}$`)
)

// opens reports what is wrong with a lever that lets a caller in. It may be let in where it calls already, so that no
// operator makes an edge that the spec does not have.
func (l *Lever) opens(m *ir.Mesh, now time.Time) error {
	s, peer := m.Service(l.To.Name), l.peer(m)
	switch {
	case l.Until.Sub(now) > LongestOpen:
		return fmt.Errorf("a service is opened for at most %v; what is needed for longer belongs into the spec", LongestOpen)
	case peer == nil:
		return errors.New("name the caller (--from)")
	case s == nil || l.To.Kind != ir.KindService:
		return errors.New("name the service that is to let it in (--to)")
	case len(l.Path) > maxName || strings.Contains(l.Path, "//") || !openedPath.MatchString(l.Path):
		return fmt.Errorf("%q is not a valid path to open: write /a/b, or /a/* for all below", heard.Line(l.Path, maxName))
	case l.Method != "" && !method.MatchString(l.Method):
		return fmt.Errorf("%q is not a valid method", heard.Line(l.Method, 20))
	}
	calls := l.use(m)
	if calls == nil {
		return fmt.Errorf("%s does not use %s: its proxies know no way there. Add the use and the rule to the spec", l.From, l.To)
	}
	if l.Port != "" && !slices.Contains(calls.Reached(), l.Port) {
		return fmt.Errorf("%s does not call port %q of %s: %s", l.From, heard.Line(l.Port, maxName), l.To,
			strings.Join(calls.Reached(), ", "))
	}
	if len(l.doors(m)) == 0 {
		return fmt.Errorf("no port that %s calls at %s has rules, or has what is to be opened", l.From, l.To)
	}
	return nil
}

// peer is the caller in rules, or nil.
func (l *Lever) peer(m *ir.Mesh) *ir.Peer {
	switch l.From.Kind {
	case ir.KindService:
		if s := m.Service(l.From.Name); s != nil {
			p := s.Peer()
			return &p
		}
	case ir.KindGateway:
		if g := m.Gateway(l.From.Name); g != nil {
			p := g.Peer()
			return &p
		}
	}
	return nil
}

// use is the call that is to be let in, or nil.
func (l *Lever) use(m *ir.Mesh) *ir.Use {
	var uses []ir.Use
	if s := m.Service(l.From.Name); s != nil && l.From.Kind == ir.KindService {
		uses = s.Uses
	} else if g := m.Gateway(l.From.Name); g != nil && l.From.Kind == ir.KindGateway {
		uses = g.Uses
	}
	if u := ir.UseOf(uses, l.To.Name); u != nil && !u.External {
		return u
	}
	return nil
}

// doors are the ports of the callee that are opened: those that the caller calls, have rules, and have what the lever
// is about.
func (l *Lever) doors(m *ir.Mesh) (out []string) {
	s, calls, rule := m.Service(l.To.Name), l.use(m), l.rule(m)
	if s == nil || calls == nil || rule == nil {
		return nil
	}
	for i := range s.Ports {
		if p := &s.Ports[i]; !p.Open && slices.Contains(calls.Reached(), p.Name) && rule.Holds(p) {
			out = append(out, p.Name)
		}
	}
	return out
}

// rule is what the lever adds to the rules of the callee; nil if the mesh has no such caller any more.
func (l *Lever) rule(m *ir.Mesh) *ir.Rule {
	peer := l.peer(m)
	if peer == nil {
		return nil
	}
	return &ir.Rule{
		Name: "lever " + l.ID, From: []ir.Peer{*peer}, Ports: some(l.Port), Methods: some(l.Method), Paths: some(l.Path),
		Until: l.Until,
	}
}

// some is a list of one value, or nil for none.
func some(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// Opened is a service with the rules of the levers that open it. Each has its end, so that proxies end it by
// themselves.
func Opened(list []Lever, m *ir.Mesh, s *ir.Service) *ir.Service {
	out := s
	for i := range list {
		l := &list[i]
		if l.Kind != Open || l.To != ir.ServiceRef(s.Name) {
			continue
		}
		ports, rule := l.doors(m), l.rule(m)
		if len(ports) == 0 {
			continue // the mesh has changed, and nothing is left to open
		}
		rule.Ports = slices.Sorted(slices.Values(ports))
		if out == s {
			copied := *s
			copied.Allow = slices.Clone(s.Allow)
			out = &copied
		}
		out.Allow = append(out.Allow, *rule)
	}
	return out
}

// requests are what is let in, in words.
func (l *Lever) requests() string {
	out := "all requests"
	if l.Method != "" {
		out = l.Method + " requests"
	}
	if l.Path != "" {
		out += " for " + l.Path
	}
	if l.Port != "" {
		out += " on port " + l.Port
	}
	return out
}

// opened are the effects of a lever that lets a caller in, with the rules that have let it in so far, and those that go
// on to refuse it.
func (l *Lever) opened(m *ir.Mesh) []string {
	s, peer := m.Service(l.To.Name), l.peer(m)
	all := *l
	all.Port = strings.Join(l.doors(m), ", ")
	out := []string{fmt.Sprintf("%s: its proxies let in from %s: %s", l.To, l.From, all.requests())}
	list := func(what string, rules []ir.Rule) {
		for i := range rules {
			if r := &rules[i]; !r.Audit && r.Names(peer) {
				out = append(out, fmt.Sprintf("%s %s (%s)", what, r.Name, r.Pos))
			}
		}
	}
	list("so far they let it in by the rule", s.Allow)
	list("they still refuse what is denied by the rule", s.Deny)
	return out
}

// permanentRule is the CUE of the rule.
func (l *Lever) permanentRule(m *ir.Mesh) string {
	quoted := func(name, value string) string {
		if value == "" {
			return ""
		}
		return fmt.Sprintf(", %s: [%q]", name, value)
	}
	return fmt.Sprintf("// add to the list allow of %s (%s)\n// {from: %ss: [%q]%s%s%s},", l.To.Name,
		m.Service(l.To.Name).Pos, l.From.Kind, l.From.Name, quoted("ports", l.Port), quoted("methods", l.Method),
		quoted("paths", l.Path))
}
