package link

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/similar"
	"github.com/meshc/meshc/compiler/spec"
)

// peers are the callers that a rule of the service is about, and where their
// connections must come from.
func (l *linker) peers(here place, of *ir.Service, p *spec.Peers, deny bool) ([]ir.Peer, []netip.Prefix) {
	if p == nil {
		return nil, nil // the schema has refused it
	}
	var out []ir.Peer
	for i, f := range p.Services {
		s := l.declaredServices[f.Value]
		if s == nil {
			l.unknown(diag.UnknownCaller, here.field("services").
				index(i), "service", f.Value, sortedKeys(l.declaredServices), f.Pos)
			continue
		}
		out = append(out, s.Peer())
	}
	for i, f := range p.Gateways {
		g := l.declaredGateways[f.Value]
		if g == nil {
			l.unknown(diag.UnknownCaller, here.field("gateways").
				index(i), "gateway", f.Value, sortedKeys(l.declaredGateways), f.Pos)
			continue
		}
		out = append(out, g.Peer())
	}
	for i, f := range p.Namespaces {
		if known := l.namespaces(); !slices.Contains(known, f.Value) {
			l.unknown(diag.UnknownCaller, here.field("namespaces").index(i), "namespace with members", f.Value, known,
				f.Pos)
			continue
		}
		out = append(out, ir.Peer{
			Kind: ir.KindNamespace, Namespace: f.Value,
			Pattern: l.trustDomain.IDString() + "/ns/" + f.Value + "/*",
		})
	}
	for i, f := range p.Identities {
		if l.identityPattern(here.field("identities").index(i), f) {
			out = append(out, ir.Peer{Kind: ir.KindIdentity, Pattern: f.Value})
		}
	}
	if p.Anyone.IsSet() {
		out = append(out, ir.Peer{Kind: ir.KindAnyone})
	}
	if p.Plaintext.IsSet() {
		out = append(out, ir.Peer{Kind: ir.KindPlaintext})
		if !of.Plaintext {
			l.add(diag.NoEffect, here.field("plaintext"),
				fmt.Sprintf("plaintext cannot take effect: %s accepts no connection without TLS", of.Name),
				here.pos(p.Plaintext.Pos), of.Pos).
				hint(`write mtls: "permissive" in services.%s, or name the callers instead`, of.Name)
		}
	}
	if p.Certificates != nil {
		l.add(diag.NoEffect, here.field("certificates"),
			"certificates cannot take effect at a service: its callers show those of the mesh",
			here.pos(firstPos(p.Certificates)), of.Pos).hint(`identities: ["spiffe://TRUST-DOMAIN/PATH"]`)
	}
	if p.Clients != nil {
		l.add(diag.NoEffect, here.field("clients"), "clients cannot take effect at a service: a gateway knows them",
			here.pos(firstPos(p.Clients)), of.Pos).hint("write the rule at the gateway, and let the gateway in here")
	}
	ranges := l.ipRanges(here.field("ipRanges"), p)
	named := len(p.Services) + len(p.Gateways) + len(p.Namespaces) + len(p.Identities)
	if named == 0 && len(out) == 0 {
		f := l.add(diag.EmptyList, here, "from names no caller, so the rule never matches", here.pos(p.Pos))
		switch {
		case deny:
			f.hint(`from: services: ["NAME"], or anyone: true with the paths that are denied`)
		case p.IPRanges != nil:
			f.hint(`ipRanges only narrows a rule; name the callers too: from: services: ["NAME"]`)
		default:
			f.hint(`from: services: ["NAME"]`)
		}
	}
	return out, ranges
}

// namespaces are those of the members, sorted.
func (l *linker) namespaces() []string {
	known := map[string]bool{}
	for _, s := range l.declaredServices {
		known[s.Namespace] = true
	}
	for _, g := range l.declaredGateways {
		known[g.Namespace] = true
	}
	return sortedKeys(known)
}

// identityPattern reports whether a pattern of SPIFFE IDs is one that the mesh can
// know: of its own trust domain, or of one whose roots it has.
func (l *linker) identityPattern(here place, f spec.Field[string]) bool {
	text := f.Value
	if below, all := strings.CutSuffix(text, "/*"); all {
		text = below
	}
	id, err := spiffeid.FromString(text)
	if err != nil {
		l.add(diag.BadFormat, here, fmt.Sprintf("%q is not a valid SPIFFE ID", f.Value), here.pos(f.Pos)).
			hint(`"spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT", or "spiffe://TRUST-DOMAIN/ns/NAMESPACE/*"`)
		return false
	}
	td := id.TrustDomain()
	if td == l.trustDomain || slices.ContainsFunc(l.mesh.TrustDomains, func(t *ir.TrustDomain) bool {
		return t.Name == td.Name()
	}) {
		return true
	}
	l.add(diag.UnknownCaller, here,
		fmt.Sprintf("callers of the trust domain %s cannot be authenticated: the mesh does not have its roots",
			td.Name()), here.pos(f.Pos)).
		hint("mesh: trustDomains: %q: bundle: \"-----BEGIN CERTIFICATE-----…\"", td.Name())
	return false
}

func (l *linker) ipRanges(here place, p *spec.Peers) []netip.Prefix {
	out := l.prefixes(here, p.IPRanges)
	if p.IPRanges != nil && len(p.IPRanges) == 0 {
		l.add(diag.EmptyList, here, "ipRanges is empty, so the rule never matches", here.pos(p.Pos)).
			hint("omit it for any address")
	}
	return out
}

// unknown says that a name leads nowhere.
func (l *linker) unknown(code diag.Code, here place, what, name string, candidates []string, pos spec.Pos) {
	if l.lost(name) {
		return
	}
	l.add(code, here, fmt.Sprintf("there is no %s %q", what, name), here.pos(pos)).
		hint("%s", l.didYouMean(name, candidates))
}

// didYouMean is a hint with the nearest of the candidates, or with all of few.
func (l *linker) didYouMean(name string, candidates []string) string {
	if near := similar.Name(name, candidates); near != "" {
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
