package diff

import (
	"cmp"

	"github.com/meshc/meshc/compiler/ir"
)

// Subject is whose requests an effect is about, where they go, or what a setting is of: a service, a gateway or an
// external, or something else, in words. As text, and so in JSON, it is "service cart".
type Subject struct {
	// Member is the zero value for what is none.
	Member ir.Ref
	// Other says what it is when it is not a member, for example "outside" or "mesh shop".
	Other string
}

// member is the subject that a service, a gateway or an external is.
func member(r ir.Ref) Subject { return Subject{Member: r} }

// other is a subject that is not a member.
func other(words string) Subject { return Subject{Other: words} }

// outside is who comes without an identity, through no gateway or from outside the mesh.
var outside = other("outside")

func service(name string) Subject { return member(ir.ServiceRef(name)) }

func gateway(name string) Subject { return member(ir.GatewayRef(name)) }

func (s Subject) String() string {
	if s.Member.Kind == "" {
		return s.Other
	}
	return s.Member.String()
}

// MarshalText is [Subject.String].
func (s Subject) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what [Subject.MarshalText] writes.
func (s *Subject) UnmarshalText(text []byte) error {
	if r, err := ir.ParseRef(string(text)); err == nil {
		*s = member(r)
	} else {
		*s = other(string(text))
	}
	return nil
}

// compare orders subjects as their texts.
func (s Subject) compare(t Subject) int { return cmp.Compare(s.String(), t.String()) }

// compareRefs orders members as their texts.
func compareRefs(a, b ir.Ref) int { return cmp.Compare(a.String(), b.String()) }
