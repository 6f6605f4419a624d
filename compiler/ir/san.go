package ir

import (
	"fmt"
	"strings"
)

// SAN is a subject alternative name of a client's certificate (RFC 5280, 4.2.1.6), as rules of gateways ask for it.
type SAN struct {
	// Kind is "DNS" or "URI"; empty for any certificate.
	Kind string
	// Value is the name, and with Below what it begins with.
	Value string
	Below bool
}

// ParseSAN reads what a rule says: "DNS:NAME", "URI:NAME", "URI:BEGINNING*" or "*".
func ParseSAN(text string) (SAN, error) {
	if text == "*" {
		return SAN{}, nil
	}
	kind, value, _ := strings.Cut(text, ":")
	if kind != "DNS" && kind != "URI" || value == "" {
		return SAN{}, fmt.Errorf("%q is not a name in a certificate", text)
	}
	out := SAN{Kind: kind, Value: value}
	out.Value, out.Below = strings.CutSuffix(value, "*")
	return out, nil
}

// SAN is which certificates a peer of [KindCertificate] has.
func (p *Peer) SAN() SAN {
	out, _ := ParseSAN(p.Pattern) // the linker has read it
	return out
}

// validRules reports rules about callers whom no client of a gateway can be.
func (g *Gateway) validRules() error {
	for _, r := range g.all() {
		for i := range r.From {
			p := &r.From[i]
			_, err := ParseSAN(p.Pattern)
			if p.Kind != KindAnyone && p.Kind != KindClient && (p.Kind != KindCertificate || err != nil) {
				return fmt.Errorf("gateway %s: the rule %q is about %s %q", g.Name, r.Name, p.Kind, p.Pattern)
			}
		}
		for _, name := range r.Ports {
			if g.Listener(name) == nil {
				return fmt.Errorf("gateway %s: the rule %q is about a listener %q, which is not there", g.Name, r.Name,
					name)
			}
		}
	}
	return nil
}
