package link

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// gatewayRules links allow and deny of a gateway.
func (l *linker) gatewayRules(g *ir.Gateway, h home[spec.Gateway]) {
	d := &door{h.place, g.Name, g.Pos, g.Doors(), nil, g}
	for _, list := range []struct {
		name  string
		rules []*spec.Rule
		out   *[]ir.Rule
	}{{"allow", h.spec.Allow, &g.Allow}, {"deny", h.spec.Deny, &g.Deny}} {
		here := h.field(list.name)
		switch {
		case list.rules == nil, len(g.Listeners) == 0 && len(list.rules) == 0:
			continue
		case len(g.Listeners) == 0:
			l.add(diag.NoEffect, here.index(0), fmt.Sprintf("%s cannot take effect: %s has no listeners", list.name, g.Name),
				here.pos(list.rules[0].Pos), h.pos).
				hint("remove it: members of the mesh call externals by this gateway, as their uses say")
			continue
		case len(list.rules) == 0:
			l.add(diag.EmptyList, here, list.name+" is empty, and could mean everything or nothing", h.pos).
				hint("a list of rules has one at least")
		}
		*list.out = l.rules(d, list.name, list.rules)
	}
	g.Closed = slices.ContainsFunc(g.Allow, func(r ir.Rule) bool { return !r.Audit })
}

// clients are those of a gateway that a rule is about, and where they must come from.
func (l *linker) clients(here place, d *door, r *spec.Rule) (out []ir.Peer, ranges []netip.Prefix) {
	p := r.From
	if p == nil {
		return nil, nil // the schema has refused it
	}
	wrong := false
	for _, f := range []struct {
		name string
		pos  spec.Pos
	}{
		{"services", firstPos(p.Services)},
		{"gateways", firstPos(p.Gateways)},
		{"namespaces", firstPos(p.Namespaces)},
		{"identities", firstPos(p.Identities)},
		{"plaintext", p.Plaintext.Pos},
	} {
		if f.pos != 0 {
			wrong = true
			l.add(diag.NoEffect, here.field(f.name),
				fmt.Sprintf("%s cannot take effect at a gateway: its clients have no identity in the mesh", f.name),
				here.pos(f.pos), d.pos).
				hint("clients are told apart by ipRanges, certificates and clients")
		}
	}
	ranges = l.ipRanges(here.field("ipRanges"), p)
	for i, f := range p.Certificates {
		if _, err := ir.ParseSAN(f.Value); err != nil {
			l.add(diag.BadFormat, here.field("certificates").index(i), err.Error(), here.pos(f.Pos)).
				hint(`"DNS:shop.example" or "URI:spiffe://partner.example/web"`)
			continue
		}
		out = append(out, ir.Peer{Kind: ir.KindCertificate, Pattern: f.Value})
	}
	out = append(out, l.clientPeers(here.field("clients"), d, p.Clients)...)
	for _, f := range []struct {
		name string
		pos  spec.Pos
		list []spec.Field[string]
	}{{"certificates", firstPos(p.Certificates), p.Certificates}, {"clients", firstPos(p.Clients), p.Clients}} {
		switch {
		case f.list != nil && len(f.list) == 0:
			l.add(diag.EmptyList, here.field(f.name), f.name+" is empty, so the rule never matches", here.pos(p.Pos)).
				hint("omit it for clients with and without one")
			return nil, ranges
		case f.list != nil && p.Anyone.IsSet():
			l.add(diag.NoEffect, here.field(f.name), f.name+" cannot take effect beside anyone, which is every client",
				here.pos(p.Pos)).hint("remove one of them")
			return nil, ranges
		}
	}
	switch {
	case p.Certificates != nil && p.Clients != nil:
		l.add(diag.ExactlyOneOf, here, "from names clients by certificates and by clients", here.pos(p.Pos)).
			hint("write two rules: each lets its clients in")
		return nil, ranges
	case p.Certificates != nil || p.Clients != nil:
		return out, ranges
	case p.Anyone.IsSet() || p.IPRanges != nil:
	case wrong:
		return nil, ranges
	default:
		l.add(diag.EmptyList, here, "from names no client, so the rule never matches", here.pos(p.Pos)).
			hint("from: anyone: true")
		return nil, ranges
	}
	return append(out, ir.Peer{Kind: ir.KindAnyone}), ranges
}

// doorsOf are the listeners and hosts that a gateway's rule is about.
func (l *linker) doorsOf(here place, d *door, r *spec.Rule, rule *ir.Rule) {
	if r.Ports != nil {
		l.add(diag.NoEffect, here.field("ports"), "ports cannot take effect at a gateway: it has listeners",
			here.pos(firstPos(r.Ports)), d.pos).hint("write listeners")
	}
	for i, f := range r.Listeners {
		at := here.field("listeners").index(i)
		switch of := d.gateway.Listener(f.Value); {
		case of == nil:
			var names []string
			for _, other := range d.gateway.Listeners {
				names = append(names, other.Name)
			}
			l.add(diag.UnknownListener, at, fmt.Sprintf("the gateway %s has no listener %q", d.name, f.Value),
				here.pos(f.Pos), d.pos).hint("%s", l.didYouMean(f.Value, names))
			continue
		case of.RedirectTo != "":
			l.add(diag.NoEffect, at, fmt.Sprintf("a rule cannot take effect at %s, which redirects all requests to %s",
				f.Value, of.RedirectTo), here.pos(f.Pos), of.Pos).hint("write %q", of.RedirectTo)
		}
		rule.Ports = append(rule.Ports, f.Value)
	}
	slices.Sort(rule.Ports)
	rule.Ports = slices.Compact(rule.Ports)
	for i, f := range r.Hosts {
		rule.Hosts = append(rule.Hosts, l.host(here.field("hosts").index(i), f.Value, here.pos(f.Pos)))
	}
	l.certificatesAreShown(here.field("from.certificates"), d, rule)
}

// certificatesAreShown refuses a rule about certificates at listeners that ask for none.
func (l *linker) certificatesAreShown(here place, d *door, rule *ir.Rule) {
	if !rule.AsksCertificate() {
		return
	}
	some := false
	for i := range d.gateway.Listeners {
		of := &d.gateway.Listeners[i]
		asks := of.TLS != nil && of.TLS.ClientRoots != ""
		some = some || asks && rule.Covers(of.Name)
		if !asks && slices.Contains(rule.Ports, of.Name) {
			l.add(diag.NoEffect, here, fmt.Sprintf(
				"certificates cannot take effect at %s, which asks clients for none", of.Name), rule.Pos, of.Pos).
				hint(`tls: clientCertificates: secret: "NAME"`)
			return
		}
	}
	if !some && len(rule.Ports) == 0 {
		l.add(diag.NoEffect, here, fmt.Sprintf(
			"certificates cannot take effect: no listener of %s asks clients for one", d.name), rule.Pos, d.pos).
			hint(`tls: clientCertificates: secret: "NAME"`)
	}
}
