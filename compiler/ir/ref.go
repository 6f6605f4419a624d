package ir

import (
	"fmt"
	"strings"
)

// KindExternal is what an external is: it is called, and no member that calls.
const KindExternal MemberKind = "external"

// Ref names a service, a gateway or an external. As text, and so in JSON, it is "service cart".
type Ref struct {
	Kind MemberKind
	Name string `member:""`
}

// ServiceRef names a service.
func ServiceRef(name string) Ref { return Ref{KindService, name} }

// GatewayRef names a gateway.
func GatewayRef(name string) Ref { return Ref{KindGateway, name} }

// ExternalRef names an external.
func ExternalRef(name string) Ref { return Ref{KindExternal, name} }

// ParseRef reads what [Ref.String] writes.
func ParseRef(text string) (Ref, error) {
	kind, name, _ := strings.Cut(text, " ")
	r := Ref{MemberKind(kind), name}
	switch r.Kind {
	case KindService, KindGateway, KindExternal:
		if name != "" {
			return r, nil
		}
	}
	return Ref{}, fmt.Errorf("%q is not service NAME, gateway NAME or external NAME", text)
}

func (r Ref) String() string { return string(r.Kind) + " " + r.Name }

// Path is where it stands in the spec: "services.cart".
func (r Ref) Path() string {
	if r.Kind == KindExternal {
		return "external." + r.Name
	}
	return string(r.Kind) + "s." + r.Name
}

// ID is what the ids of its proxies begin with: "service/cart".
func (r Ref) ID() string { return string(r.Kind) + "/" + r.Name }

// MarshalText is [Ref.String].
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is [ParseRef].
func (r *Ref) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRef(string(text))
	return err
}

// Ref names the service or gateway that the peer is.
func (p *Peer) Ref() Ref { return Ref{p.Kind, p.Name} }

// Callee names what is called.
func (u *Use) Callee() Ref {
	if u.External {
		return ExternalRef(u.To)
	}
	return ServiceRef(u.To)
}
